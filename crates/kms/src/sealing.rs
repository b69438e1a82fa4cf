//! Authenticated encryption as the engine uses it everywhere: AES-256-GCM under a key that encrypts one message only.
//!
//! ```text
//! message key = HKDF-SHA-256(ikm = long-term key, salt = 16 random bytes, info = purpose)   (RFC 5869)
//! sealed      = salt[16] ‖ AES-256-GCM(message key, nonce = 0⁹⁶, aad, plaintext) ‖ tag[16]
//! ```
//!
//! Why a key per message and not a random nonce: a random 96-bit nonce under one key must stop near 2³² messages
//! (NIST SP 800-38D §8.3), and a counter has to survive crashes and restored backups. A 128-bit salt repeats with
//! probability 2⁻³² only after 2⁴⁸ messages, and nobody has to count. With one message per key the nonce may be
//! constant.
//!
//! What this module leaves to others: which data goes into `aad`. It must be injective, so that no two meanings have
//! the same bytes.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use keytrail_ledger::Random;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::environment::random_bytes;

/// What something is sealed for, under the root key, the store key or a material key; the text goes into the key derivation,
/// so it must never change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The store key, by the root key. All others but material are by the store key.
    StoreKey,
    /// A state change in a ledger frame.
    Change,
    /// The snapshot of the state in `keys/`.
    Snapshot,
    /// The key of a material.
    MaterialKey,
    /// The material of one key, by its material key.
    Material,
    /// A secret access key.
    SecretAccessKey,
    /// A token for importing material.
    ImportToken,
    /// The seed of a ledger's signing key.
    SigningSeed,
    /// A grant token, which is kept nowhere.
    GrantToken,
    /// A session token, which is kept nowhere either.
    SessionToken,
}

impl Purpose {
    /// All of them, for the test that compares them with the schema.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 10] = [
        Self::StoreKey,
        Self::Change,
        Self::Snapshot,
        Self::MaterialKey,
        Self::Material,
        Self::SecretAccessKey,
        Self::ImportToken,
        Self::SigningSeed,
        Self::GrantToken,
        Self::SessionToken,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::StoreKey => "keytrail root 1: store key",
            Self::Change => "keytrail store 1: state change",
            Self::Snapshot => "keytrail store 1: snapshot",
            Self::MaterialKey => "keytrail store 1: material key",
            Self::Material => "keytrail material 1: key material",
            Self::SecretAccessKey => "keytrail store 1: secret access key",
            Self::ImportToken => "keytrail store 1: import token",
            Self::SigningSeed => "keytrail store 1: signing seed",
            Self::GrantToken => "keytrail store 1: grant token",
            Self::SessionToken => "keytrail store 1: session token",
        }
    }
}

/// Bytes of the salt that makes the message key.
pub(crate) const SALT_LEN: usize = 16;
/// Bytes of the authentication tag; GCM's full length.
pub(crate) const TAG_LEN: usize = 16;
/// Bytes that sealing adds.
pub(crate) const OVERHEAD: usize = SALT_LEN + TAG_LEN;

/// The bytes were not sealed with this key, for this purpose, with this associated data; or they were changed. Which of
/// these it was cannot be told, and must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

/// A message key for one message, from a fresh salt or from the salt of a message that is to be opened.
pub(crate) struct MessageKey(Aes256Gcm);

impl MessageKey {
    /// A key for a new message, with the salt to be stored beside it.
    pub(crate) fn fresh(
        long_term: &[u8; 32],
        purpose: &str,
        random: &dyn Random,
    ) -> (Self, [u8; SALT_LEN]) {
        let salt = random_bytes(random);
        (Self::derive(long_term, purpose, &salt), salt)
    }

    /// The key of the message that has this salt.
    pub(crate) fn derive(long_term: &[u8; 32], purpose: &str, salt: &[u8; SALT_LEN]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(salt), long_term)
            .expand(purpose.as_bytes(), key.as_mut())
            .expect("32 bytes are within HKDF-SHA-256's limit of 255 × 32");
        Self(Aes256Gcm::new((&*key).into()))
    }

    /// Encrypts `plaintext` behind what `out` already holds: ciphertext, then tag. Takes the key: it has done its one
    /// message.
    pub(crate) fn encrypt(self, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) {
        // Reserved in one go: growing later would leave a copy of the plaintext in freed memory.
        out.reserve_exact(plaintext.len() + TAG_LEN);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .0
            .encrypt_inout_detached(&Nonce::default(), aad, (&mut out[start..]).into())
            .expect("callers are held to sizes far below GCM's 64 GiB");
        out.extend_from_slice(&tag);
    }

    /// Opens ciphertext and tag.
    pub(crate) fn decrypt(
        self,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        let split = sealed.len().checked_sub(TAG_LEN).ok_or(NotAuthentic)?;
        let (ciphertext, tag) = sealed.split_at(split);
        let tag = tag.try_into().map_err(|_| NotAuthentic)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        self.0
            .decrypt_inout_detached(&Nonce::default(), aad, plaintext.as_mut_slice().into(), tag)
            .map_err(|_| NotAuthentic)?;
        Ok(plaintext)
    }
}

/// Seals `plaintext` into one piece: `salt ‖ ciphertext ‖ tag`.
pub(crate) fn seal(
    long_term: &[u8; 32],
    purpose: Purpose,
    aad: &[u8],
    plaintext: &[u8],
    random: &dyn Random,
) -> Vec<u8> {
    let (key, salt) = MessageKey::fresh(long_term, purpose.text(), random);
    let mut out = Vec::with_capacity(plaintext.len() + OVERHEAD);
    out.extend_from_slice(&salt);
    key.encrypt(aad, plaintext, &mut out);
    out
}

/// Opens what [`seal`] made for the same purpose and associated data.
pub(crate) fn open(
    long_term: &[u8; 32],
    purpose: Purpose,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
    let (salt, rest) = sealed.split_first_chunk::<SALT_LEN>().ok_or(NotAuthentic)?;
    MessageKey::derive(long_term, purpose.text(), salt).decrypt(aad, rest)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use keytrail_testkit::SeededRandom;

    const KEY: [u8; 32] = [7; 32];
    const A: Purpose = Purpose::Change;
    const B: Purpose = Purpose::Snapshot;

    #[test]
    fn opens_only_with_the_same_key_purpose_and_associated_data() {
        let sealed = seal(&KEY, A, b"aad", b"plaintext", &SeededRandom::new(1));
        assert_eq!(sealed.len(), b"plaintext".len() + OVERHEAD);
        assert_eq!(open(&KEY, A, b"aad", &sealed).unwrap().as_slice(), b"plaintext");
        assert_eq!(open(&[8; 32], A, b"aad", &sealed), Err(NotAuthentic));
        assert_eq!(open(&KEY, B, b"aad", &sealed), Err(NotAuthentic));
        assert_eq!(open(&KEY, A, b"aae", &sealed), Err(NotAuthentic));
    }

    #[test]
    fn no_truncated_or_flipped_message_opens() {
        let sealed = seal(&KEY, A, b"", b"short", &SeededRandom::new(2));
        for end in 0..sealed.len() {
            assert_eq!(open(&KEY, A, b"", &sealed[..end]), Err(NotAuthentic));
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&KEY, A, b"", &flipped), Err(NotAuthentic), "bit {bit}");
        }
    }

    #[test]
    fn the_same_plaintext_is_never_sealed_the_same_way() {
        let random = SeededRandom::new(3);
        assert_ne!(seal(&KEY, A, b"", b"x", &random), seal(&KEY, A, b"", b"x", &random));
    }

    /// The construction, spelled out with the primitives: a change of it would make old data unreadable.
    #[test]
    fn the_construction_is_the_documented_one() {
        let sealed = seal(&KEY, A, b"aad", b"plaintext", &SeededRandom::new(4));
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(&sealed[..16]), &KEY)
            .expand(A.text().as_bytes(), &mut key)
            .unwrap();
        let payload = aes_gcm::aead::Payload { msg: &sealed[16..], aad: b"aad" };
        let opened =
            aes_gcm::aead::Aead::decrypt(&Aes256Gcm::new(&key.into()), &[0; 12].into(), payload);
        assert_eq!(opened.unwrap(), b"plaintext");
    }
}
