//! Key material: the secret behind a key. Sealed wherever it is kept; open beside its material key once it was used.
//!
//! [`WrappedMaterial`] is what the state, the ledger and the snapshot hold: sealed under a material key that they do not hold
//! (`material_keys`), so that erasing that one erases the material from all of them. Only [`crate::state::Key::material`] and
//! [`crate::state::Key::secret_key`] open it, and only for a caller who shows the token of a decision about that very key.
//! Symmetric keys are [`Material`], 32 bytes for the ciphertext `blob`; all others are a [`SecretKey`] of `algorithms`.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use keytrail_ledger::Random;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::algorithms::{KeySpec, NotMade, SecretKey};
use crate::material_keys::{MaterialKey, MaterialKeyId, MaterialKeys};
use crate::names::KeyId;
use crate::sealing::NotAuthentic;

/// Names one material of one key; 64 hexadecimal digits in the API and in records.
///
/// Derived from key id and material, so that importing the same bytes again gives the same id. HKDF is one-way, and the
/// material has far more than 128 bits of entropy: the id tells nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MaterialId([u8; 32]);

impl MaterialId {
    fn of(key: KeyId, bytes: &[u8]) -> Self {
        let mut id = [0; 32];
        Hkdf::<Sha256>::new(Some(&key.digits()), bytes)
            .expand(b"keytrail material id 1", &mut id)
            .expect("32 bytes are within HKDF-SHA-256's limit of 255 × 32");
        Self(id)
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for MaterialId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a material id is 64 lower-case hexadecimal digits";
        let mut bytes = [0; 32];
        if text.len() != 64 || text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(WRONG);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        Ok(Self(bytes))
    }
}

impl From<MaterialId> for String {
    fn from(id: MaterialId) -> Self {
        id.to_string()
    }
}

/// Material of a symmetric key in the clear. Wiped when the last call is done with it after its material key is gone.
pub(crate) struct Material {
    id: MaterialId,
    /// [`MATERIAL_LEN`] of them, where they were made or opened: moving the material moves no secret over the stack.
    bytes: Zeroizing<Vec<u8>>,
}

/// Bytes of a symmetric key's material.
const MATERIAL_LEN: usize = 32;

impl Material {
    /// New material for a key.
    pub(crate) fn generate(key: KeyId, random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new(vec![0; MATERIAL_LEN]);
        random.fill(&mut bytes);
        Self { id: MaterialId::of(key, &bytes), bytes }
    }

    pub(crate) fn id(&self) -> MaterialId {
        self.id
    }

    /// For `blob`, which encrypts under it.
    pub(crate) fn bytes(&self) -> &[u8; MATERIAL_LEN] {
        self.bytes.as_array().expect("no material is made or opened with another length")
    }
}

/// Material as it is kept: sealed under a key of its own, bound to its key and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrappedMaterial {
    pub(crate) id: MaterialId,
    /// The material key that opens it.
    pub(crate) under: MaterialKeyId,
    #[serde(with = "crate::state::base64_text")]
    sealed: Vec<u8>,
    /// The public key of an asymmetric key (SPKI). It lies here in the clear so that nobody has to open the secret to
    /// verify, to encrypt, or to show it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "public_key_text")]
    public_key: Option<Vec<u8>>,
}

impl WrappedMaterial {
    pub(crate) fn wrap(
        material: &Material,
        key: KeyId,
        under: &MaterialKey,
        random: &dyn Random,
    ) -> Self {
        Self::seal(material.id, &material.bytes, key, under, random)
    }

    /// Wraps the secret of a key that is not symmetric, beside its public key. Fails if the secret is none of its spec.
    pub(crate) fn wrap_secret_key(
        secret: &SecretKey,
        key: KeyId,
        under: &MaterialKey,
        random: &dyn Random,
    ) -> Result<Self, NotMade> {
        let public_key = secret.public_key()?;
        let id = MaterialId::of(key, secret.bytes());
        Ok(Self { public_key, ..Self::seal(id, secret.bytes(), key, under, random) })
    }

    /// Wraps material from outside; `None` if it is none for a key of this spec.
    pub(crate) fn import(
        spec: KeySpec,
        bytes: &[u8],
        key: KeyId,
        under: &MaterialKey,
        random: &dyn Random,
    ) -> Option<Self> {
        if spec == KeySpec::SymmetricDefault {
            let id = MaterialId::of(key, bytes);
            return (bytes.len() == MATERIAL_LEN)
                .then(|| Self::seal(id, bytes, key, under, random));
        }
        let secret = SecretKey::import(spec, bytes).ok()?;
        Self::wrap_secret_key(&secret, key, under, random).ok()
    }

    fn seal(
        id: MaterialId,
        bytes: &[u8],
        key: KeyId,
        under: &MaterialKey,
        random: &dyn Random,
    ) -> Self {
        let sealed = under.seal(&associated_data(key, id), bytes, random);
        Self { id, under: under.id(), sealed, public_key: None }
    }

    /// Opens it. Failing means that its material key is gone, which opening the directory should have found out.
    pub(crate) fn unwrap(
        &self,
        key: KeyId,
        keys: &MaterialKeys,
    ) -> Result<Arc<Material>, NotAuthentic> {
        let under = keys.find(self.under).ok_or(NotAuthentic)?;
        let aad = associated_data(key, self.id);
        under.open_symmetric(&aad, || {
            let bytes = under.open(&aad, &self.sealed)?;
            match bytes.len() {
                MATERIAL_LEN => Ok(Material { id: self.id, bytes }),
                _ => Err(NotAuthentic),
            }
        })
    }

    /// Opens what [`Self::wrap_secret_key`] wrapped for a key of this spec.
    pub(crate) fn unwrap_secret_key(
        &self,
        spec: KeySpec,
        key: KeyId,
        keys: &MaterialKeys,
    ) -> Result<Arc<SecretKey>, NotAuthentic> {
        let under = keys.find(self.under).ok_or(NotAuthentic)?;
        let aad = associated_data(key, self.id);
        under.open_secret_key(&aad, || {
            Ok(SecretKey::from_bytes(spec, under.open(&aad, &self.sealed)?))
        })
    }

    /// The public key (SPKI) of an asymmetric key.
    pub(crate) fn public_key(&self) -> Option<&[u8]> {
        self.public_key.as_deref()
    }
}

/// Public keys as base64. They are stored only where there is one.
mod public_key_text {
    use serde::{Deserializer, Serializer};

    use crate::state::base64_text;

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        key: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        base64_text::serialize(key.as_deref().unwrap_or_default(), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        base64_text::deserialize(deserializer).map(Some)
    }
}

/// Both parts have a fixed length, so the concatenation is injective.
fn associated_data(key: KeyId, id: MaterialId) -> [u8; KeyId::LEN + 32] {
    let mut aad = [0; KeyId::LEN + 32];
    aad[..KeyId::LEN].copy_from_slice(&key.to_bytes());
    aad[KeyId::LEN..].copy_from_slice(id.as_bytes());
    aad
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::store_key::StoreKey;
    use keytrail_testkit::SeededRandom;

    #[test]
    fn material_opens_for_its_own_key_and_id_under_its_own_material_key_only() {
        let random = SeededRandom::new(1);
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("keys")).unwrap();
        let keys = MaterialKeys::create(data.path()).unwrap();
        let made = keys.make(2, 0, &StoreKey::for_tests(&random), &random).unwrap();
        let [key, other] = [KeyId::from_random([1; 16]), KeyId::from_random([2; 16])];
        let material = Material::generate(key, &random);
        let wrapped = WrappedMaterial::wrap(&material, key, &made[0], &random);
        assert_eq!(wrapped.unwrap(key, &keys).ok().unwrap().bytes(), material.bytes());
        assert!(wrapped.unwrap(other, &keys).is_err());
        let elsewhere = WrappedMaterial { under: made[1].id(), ..wrapped.clone() };
        assert!(elsewhere.unwrap(key, &keys).is_err());
        let renamed = WrappedMaterial { id: MaterialId([0; 32]), ..wrapped.clone() };
        assert!(renamed.unwrap(key, &keys).is_err());
        keys.erase(&[made[0].id()]).unwrap();
        assert!(wrapped.unwrap(key, &keys).is_err());
    }

    /// It is kept open, which must not open it to more than before.
    #[test]
    fn a_secret_key_that_is_open_serves_its_own_key_only_and_ends_with_its_material_key() {
        let random = SeededRandom::new(3);
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("keys")).unwrap();
        let keys = MaterialKeys::create(data.path()).unwrap();
        let under = keys.make(1, 0, &StoreKey::for_tests(&random), &random).unwrap().remove(0);
        let [key, other] = [KeyId::from_random([1; 16]), KeyId::from_random([2; 16])];
        let secret = SecretKey::generate(KeySpec::P256, &random).unwrap();
        let wrapped = WrappedMaterial::wrap_secret_key(&secret, key, &under, &random).unwrap();
        let open = |key| wrapped.unwrap_secret_key(KeySpec::P256, key, &keys);
        let [first, second] = [open(key).ok().unwrap(), open(key).ok().unwrap()];
        assert!(first.bytes() == secret.bytes() && Arc::ptr_eq(&first, &second));
        assert!(open(other).is_err());
        keys.erase(&[under.id()]).unwrap();
        assert!(open(key).is_err());
    }

    #[test]
    fn an_id_is_64_digits_and_parses_back() {
        let id = Material::generate(KeyId::from_random([1; 16]), &SeededRandom::new(1)).id();
        let text = id.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(MaterialId::try_from(text.clone()), Ok(id));
        for bad in [&text[1..], &text.to_uppercase(), &text.replace(&text[..1], "+")] {
            assert!(MaterialId::try_from(bad.to_owned()).is_err());
        }
    }
}
