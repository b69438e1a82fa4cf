//! The ciphertext blob: what Encrypt and `GenerateDataKey` give out, and Decrypt takes back.
//!
//! It carries all that is needed to find the key again, so that Decrypt works without a `KeyId`. AWS's format is private;
//! this one is ours (`schemas/ciphertext-blob.md`):
//!
//! ```text
//! offset  bytes  field
//!      0      4  mark         "KTC" and the format version 1
//!      4     17  key id       0 and the UUID's bytes, or 1 and the bytes behind mrk-
//!     21     32  material id  which of the key's materials
//!     53     16  salt         random; makes the message key
//!     69      n  ciphertext   AES-256-GCM, as long as the plaintext, 1 to 4096 bytes
//!   69+n     16  tag
//! ```
//!
//! Associated data is the header (bytes 0 to 68) followed by the encoded encryption context (`context`): a header of
//! fixed length and an injective encoding are injective together. The message key is derived from the material and the
//! salt (`sealing`), for this one message.

use zeroize::Zeroizing;

use keytrail_ledger::Random;

use crate::context::EncryptionContext;
use crate::material::{Material, MaterialId};
use crate::names::KeyId;
use crate::sealing::{MessageKey, NotAuthentic, SALT_LEN, TAG_LEN};

/// The longest plaintext; AWS's limit for Encrypt.
pub const PLAINTEXT_BYTES_MAX: usize = 4096;

/// The longest `CiphertextBlob` that the API accepts. Ours have at most 4181 bytes.
pub(crate) const BLOB_BYTES_MAX: usize = 6144;

const MARK: &[u8; 4] = b"KTC\x01";
const KEY_ID_AT: usize = MARK.len();
const MATERIAL_ID_AT: usize = KEY_ID_AT + KeyId::LEN;
const SALT_AT: usize = MATERIAL_ID_AT + 32;
const HEADER_LEN: usize = SALT_AT + SALT_LEN;

/// Goes into the derivation of the message key.
const PURPOSE: &str = "keytrail ciphertext blob 1";

/// A well-formed blob. Nothing in it is proven before [`CiphertextBlob::decrypt`] succeeds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CiphertextBlob(Vec<u8>);

/// The bytes are no blob of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotABlob;

impl CiphertextBlob {
    /// Encrypts `plaintext` under a key's material. The caller has checked its length.
    pub(crate) fn encrypt(
        key: KeyId,
        material: &Material,
        context: &EncryptionContext,
        plaintext: &[u8],
        random: &dyn Random,
    ) -> Self {
        let (message_key, salt) = MessageKey::fresh(material.bytes(), PURPOSE, random);
        let mut blob = Vec::with_capacity(HEADER_LEN + plaintext.len() + TAG_LEN);
        blob.extend_from_slice(MARK);
        blob.extend_from_slice(&key.to_bytes());
        blob.extend_from_slice(material.id().as_bytes());
        blob.extend_from_slice(&salt);
        let aad = associated_data(&blob, context);
        message_key.encrypt(&aad, plaintext, &mut blob);
        Self(blob)
    }

    /// Accepts bytes that have the mark, a whole header with a key id, and between 1 and 4096 bytes of ciphertext.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, NotABlob> {
        let plaintext = bytes.len().checked_sub(HEADER_LEN + TAG_LEN).ok_or(NotABlob)?;
        let sized = (1..=PLAINTEXT_BYTES_MAX).contains(&plaintext);
        let blob = Self(bytes);
        let whole = sized && blob.0.starts_with(MARK);
        let named = whole && KeyId::from_bytes(blob.field(KEY_ID_AT)).is_some();
        if named { Ok(blob) } else { Err(NotABlob) }
    }

    /// The key that it claims to be encrypted under.
    pub(crate) fn key_id(&self) -> KeyId {
        KeyId::from_bytes(self.field(KEY_ID_AT)).expect("the constructor made sure of a key id")
    }

    /// The material that it claims to be encrypted under.
    pub(crate) fn material_id(&self) -> MaterialId {
        MaterialId::from_bytes(self.field(MATERIAL_ID_AT))
    }

    /// Opens the blob with the material that its header names.
    pub(crate) fn decrypt(
        &self,
        material: &Material,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        let (header, sealed) = self.0.split_at(HEADER_LEN);
        let message_key = MessageKey::derive(material.bytes(), PURPOSE, &self.field(SALT_AT));
        message_key.decrypt(&associated_data(header, context), sealed)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let field = self.0.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        field.expect("the constructor made sure of a whole header")
    }
}

fn associated_data(header: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let mut aad = header.to_vec();
    context.encode_to(&mut aad);
    aad
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    fn material() -> (KeyId, Material) {
        let key = KeyId::from_random([9; 16]);
        (key, Material::generate(key, &SeededRandom::new(1)))
    }

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        EncryptionContext::new(pairs.collect::<BTreeMap<_, _>>()).unwrap()
    }

    fn blob(plaintext: &[u8], context: &EncryptionContext) -> CiphertextBlob {
        let (key, material) = material();
        CiphertextBlob::encrypt(key, &material, context, plaintext, &SeededRandom::new(2))
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let (key, material) = material();
        let bytes = blob(b"hello", &context(&[])).0;
        let fields = [
            (0, 4, "mark         \"KTC\" and the format version 1"),
            (
                KEY_ID_AT,
                KeyId::LEN,
                "key id       0 and the UUID's bytes, or 1 and the bytes behind mrk-",
            ),
            (MATERIAL_ID_AT, 32, "material id  which of the key's materials"),
            (SALT_AT, SALT_LEN, "salt         random; makes the message key"),
        ];
        assert_eq!(&bytes[KEY_ID_AT..MATERIAL_ID_AT], key.to_bytes());
        assert_eq!(&bytes[MATERIAL_ID_AT..SALT_AT], material.id().as_bytes());
        assert_eq!(bytes.len(), HEADER_LEN + 5 + TAG_LEN);
        let mut drawn = "offset  bytes  field\n".to_owned();
        for (offset, bytes, field) in fields {
            writeln!(drawn, "{offset:>6}  {bytes:>5}  {field}").unwrap();
        }
        writeln!(drawn, "{HEADER_LEN:>6}      n  ciphertext   AES-256-GCM, as long as the plaintext, 1 to {PLAINTEXT_BYTES_MAX} bytes").unwrap();
        writeln!(drawn, "  {HEADER_LEN}+n     {TAG_LEN}  tag").unwrap();
        assert!(include_str!("../../../schemas/ciphertext-blob.md").contains(&drawn), "{drawn}");
        let module = include_str!("blob.rs").replace("//! ", "");
        assert!(module.contains(&drawn), "{drawn}");
    }

    #[test]
    fn a_blob_opens_with_its_own_material_and_context_only() {
        let (key, material) = material();
        let pairs = context(&[("Department", "Engineering"), ("Project", "Alpha")]);
        let blob = blob(b"hello", &pairs);
        assert_eq!((blob.key_id(), blob.material_id()), (key, material.id()));
        let reordered = context(&[("Project", "Alpha"), ("Department", "Engineering")]);
        assert_eq!(blob.decrypt(&material, &reordered).unwrap().as_slice(), b"hello");
        for other in [
            context(&[]),
            context(&[("Department", "Engineering")]),
            context(&[("Department", "engineering"), ("Project", "Alpha")]),
            context(&[("DepartmentE", "ngineering"), ("Project", "Alpha")]),
        ] {
            assert_eq!(blob.decrypt(&material, &other), Err(NotAuthentic));
        }
        let other = Material::generate(key, &SeededRandom::new(7));
        assert_eq!(blob.decrypt(&other, &pairs), Err(NotAuthentic));
    }

    #[test]
    fn no_truncated_or_flipped_blob_opens() {
        let (_, material) = material();
        let context = context(&[("a", "b")]);
        let bytes = blob(b"hello", &context).0;
        let opens = |bytes: Vec<u8>| {
            CiphertextBlob::parse(bytes).is_ok_and(|blob| blob.decrypt(&material, &context).is_ok())
        };
        assert!(opens(bytes.clone()));
        for end in 0..bytes.len() {
            assert!(!opens(bytes[..end].to_vec()), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(flipped), "bit {bit}");
        }
        assert!(!opens([bytes, vec![0]].concat()));
    }

    #[test]
    fn sizes_outside_the_format_are_no_blob() {
        let sized = |length| [MARK.to_vec(), vec![0; length - MARK.len()]].concat();
        let empty = HEADER_LEN + TAG_LEN;
        assert!(CiphertextBlob::parse(sized(empty)).is_err());
        assert!(CiphertextBlob::parse(sized(empty + 1)).is_ok());
        assert!(CiphertextBlob::parse(sized(empty + PLAINTEXT_BYTES_MAX)).is_ok());
        assert!(CiphertextBlob::parse(sized(empty + PLAINTEXT_BYTES_MAX + 1)).is_err());
        const { assert!(HEADER_LEN + PLAINTEXT_BYTES_MAX + TAG_LEN < BLOB_BYTES_MAX) };
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_plaintext_comes_back(plaintext in prop::collection::vec(any::<u8>(), 1..=200)) {
            let blob = blob(&plaintext, &context(&[]));
            let parsed = CiphertextBlob::parse(blob.as_bytes().to_vec()).unwrap();
            let opened = parsed.decrypt(&material().1, &context(&[])).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let marked = [MARK.to_vec(), bytes.clone()].concat();
            for bytes in [bytes, marked] {
                if let Ok(blob) = CiphertextBlob::parse(bytes) {
                    prop_assert!(blob.decrypt(&material().1, &context(&[])).is_err());
                }
            }
        }
    }
}
