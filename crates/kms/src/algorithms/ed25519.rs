//! Ed25519 and Ed25519ph (RFC 8032, FIPS 186-5 §7), by the library that also signs the ledger's checkpoints.
//!
//! Ed25519ph hashes its message with SHA-512 first. AWS takes a digest as that message and hashes it once more; whoever
//! verifies elsewhere must do the same. The private key is its 32-byte seed. Verification is strict: keys and commitments
//! of small order, with which one signature could fit many messages, are refused.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::message::Message;
use super::spec::SigningAlgorithm;
use super::{NotMade, Spki};

/// `SubjectPublicKeyInfo` up to the 32 bytes of the key (RFC 8410 §4): algorithm 1.3.101.112, a bit string of 32 bytes.
const SPKI_HEAD: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// `PrivateKeyInfo` up to the 32 bytes of the seed (RFC 8410 §7).
const PKCS8_HEAD: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// The public key of a seed.
pub(super) fn public_key(seed: &[u8]) -> Result<Spki, NotMade> {
    Ok([&SPKI_HEAD[..], signing_key(seed)?.verifying_key().as_bytes()].concat())
}

/// The seed in PKCS#8, for a data key pair.
pub(super) fn to_pkcs8(seed: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&PKCS8_HEAD[..], seed].concat())
}

/// The seed in a PKCS#8 as [`to_pkcs8`] writes it; others have attributes or the public key besides, and are not taken.
pub(super) fn seed_of_pkcs8(pkcs8: &[u8]) -> Option<&[u8]> {
    pkcs8.strip_prefix(&PKCS8_HEAD).filter(|seed| seed.len() == super::SEED_LEN)
}

/// A signature: 64 bytes.
pub(super) fn sign(
    seed: &[u8],
    algorithm: SigningAlgorithm,
    message: &Message<'_>,
) -> Result<Vec<u8>, NotMade> {
    let key = signing_key(seed)?;
    let signature = match (algorithm, message) {
        (SigningAlgorithm::Ed25519, Message::Raw(message)) => key.sign(message),
        (SigningAlgorithm::Ed25519ph, Message::Digest(digest)) => {
            key.sign_prehashed(Sha512::new_with_prefix(digest), None).map_err(|_| NotMade)?
        }
        _ => return Err(NotMade),
    };
    Ok(signature.to_bytes().to_vec())
}

/// Whether it is a signature of the message.
pub(super) fn verify(
    spki: &[u8],
    algorithm: SigningAlgorithm,
    message: &Message<'_>,
    signature: &[u8],
) -> bool {
    let key = spki.strip_prefix(&SPKI_HEAD).and_then(|key| VerifyingKey::try_from(key).ok());
    let (Some(key), Ok(signature)) = (key, Signature::from_slice(signature)) else { return false };
    let verified = match (algorithm, message) {
        (SigningAlgorithm::Ed25519, Message::Raw(message)) => {
            key.verify_strict(message, &signature)
        }
        (SigningAlgorithm::Ed25519ph, Message::Digest(digest)) => {
            key.verify_prehashed_strict(Sha512::new_with_prefix(digest), None, &signature)
        }
        _ => return false,
    };
    verified.is_ok()
}

fn signing_key(seed: &[u8]) -> Result<SigningKey, NotMade> {
    SigningKey::try_from(seed).map_err(|_| NotMade)
}
