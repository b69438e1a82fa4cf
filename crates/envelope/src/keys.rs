//! The data key, and what is made of it.
//!
//! ```text
//! version 2   salt = message id, HKDF-SHA-512:
//!               message key = 32 bytes, info = suite id ‖ "DERIVEKEY"
//!               commitment  = 32 bytes, info = "COMMITKEY"
//! version 1   no salt, HKDF of the suite:
//!               message key, info = suite id ‖ message id          or the data key as it is
//! ```
//!
//! The message id is random and part of the derivation: a data key may serve many messages, and a message key never does, so
//! that the nonces of its frames can be plain numbers.

use aws_lc_rs::aead::{LessSafeKey, UnboundKey};
use aws_lc_rs::constant_time;
use aws_lc_rs::hkdf::{self, HKDF_SHA256, HKDF_SHA384, HKDF_SHA512, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use crate::suite::Derivation;
use crate::{EnvelopeError, Suite};

/// Bytes of a commitment.
pub(crate) const COMMITMENT_LEN: usize = 32;

/// A data key in the clear. It is wiped when dropped, and cannot be shown or copied.
pub struct DataKey(Zeroizing<Vec<u8>>);

impl DataKey {
    /// A data key of as many bytes as its suite wants ([`Suite::data_key_bytes`]).
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

/// A data key as a message carries it: encrypted, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedDataKey {
    /// Who can decrypt it: `aws-kms`, or a name of the writer's.
    pub provider: String,
    /// With which key: for `aws-kms` the ARN of the key. Bytes, because other providers put more than text here.
    pub provider_info: Vec<u8>,
    /// What the provider decrypts.
    pub ciphertext: Vec<u8>,
}

/// What a data key becomes for one message.
pub(crate) struct MessageKeys {
    /// Encrypts the frames, and authenticates the header.
    pub(crate) message_key: LessSafeKey,
    /// `None` before version 2.
    pub(crate) commitment: Option<[u8; COMMITMENT_LEN]>,
}

impl MessageKeys {
    pub(crate) fn derive(
        suite: Suite,
        data_key: &DataKey,
        message_id: &[u8],
    ) -> Result<Self, EnvelopeError> {
        let data_key = data_key.0.as_slice();
        let (expected, found) = (suite.data_key_bytes(), data_key.len());
        if expected != found {
            return Err(EnvelopeError::DataKeyLength { suite, expected, found });
        }
        let id = suite.id().to_be_bytes();
        let mut key = Zeroizing::new(vec![0; expected]);
        let mut commitment = None;
        match suite.derivation() {
            Derivation::None => key.copy_from_slice(data_key),
            Derivation::HkdfSha256 => {
                fill(&Salt::none(HKDF_SHA256).extract(data_key), &[&id, message_id], &mut key)?;
            }
            Derivation::HkdfSha384 => {
                fill(&Salt::none(HKDF_SHA384).extract(data_key), &[&id, message_id], &mut key)?;
            }
            Derivation::Committing => {
                let extracted = Salt::new(HKDF_SHA512, message_id).extract(data_key);
                fill(&extracted, &[&id, b"DERIVEKEY"], &mut key)?;
                let committed = commitment.insert([0; COMMITMENT_LEN]);
                fill(&extracted, &[b"COMMITKEY"], committed)?;
            }
        }
        let key = UnboundKey::new(suite.cipher(), &key)
            .map_err(|_| EnvelopeError::Cryptography { action: "take a key" })?;
        Ok(Self { message_key: LessSafeKey::new(key), commitment })
    }

    /// Whether the commitment in a header is to this data key. Trivially so where there is none.
    pub(crate) fn is_committed_to(&self, header: Option<&[u8; COMMITMENT_LEN]>) -> bool {
        match (&self.commitment, header) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => {
                constant_time::verify_slices_are_equal(ours, theirs).is_ok()
            }
            _ => false,
        }
    }
}

/// How many bytes are wanted, in the library's way of asking.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn fill(extracted: &Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), EnvelopeError> {
    extracted
        .expand(info, Length(out.len()))
        .and_then(|output: hkdf::Okm<'_, Length>| output.fill(out))
        .map_err(|_| EnvelopeError::Cryptography { action: "derive a key" })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_derivation_is_the_documented_one() {
        let document = include_str!("../../../schemas/encrypted-message.md");
        let module = include_str!("keys.rs").replace("//! ", "");
        let drawn = module.split("```").nth(1).unwrap_or_default();
        assert!(drawn.starts_with("text\nversion 2   salt") && document.contains(drawn), "{drawn}");
    }
}
