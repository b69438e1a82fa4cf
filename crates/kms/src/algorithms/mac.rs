//! HMAC (FIPS 198-1) with SHA-224, SHA-256, SHA-384 and SHA-512.
//!
//! A new key is as long as its hash's output, the length that RFC 2104 §3 calls the least sensible one and that AWS uses.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::spec::{KeySpec, MacAlgorithm};

/// Bytes of a new key.
pub(super) const fn key_len(spec: KeySpec) -> usize {
    match spec {
        KeySpec::Hmac224 => 28,
        KeySpec::Hmac384 => 48,
        KeySpec::Hmac512 => 64,
        _ => 32,
    }
}

/// The tag of `message`.
pub(super) fn generate(algorithm: MacAlgorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    match algorithm {
        MacAlgorithm::HmacSha224 => tag(&mac::<Hmac<Sha224>>(key, message)),
        MacAlgorithm::HmacSha256 => tag(&mac::<Hmac<Sha256>>(key, message)),
        MacAlgorithm::HmacSha384 => tag(&mac::<Hmac<Sha384>>(key, message)),
        MacAlgorithm::HmacSha512 => tag(&mac::<Hmac<Sha512>>(key, message)),
    }
}

/// Whether `tag` is the whole tag of `message`; compared in constant time.
pub(super) fn verify(algorithm: MacAlgorithm, key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    let verified = match algorithm {
        MacAlgorithm::HmacSha224 => mac::<Hmac<Sha224>>(key, message).verify_slice(tag),
        MacAlgorithm::HmacSha256 => mac::<Hmac<Sha256>>(key, message).verify_slice(tag),
        MacAlgorithm::HmacSha384 => mac::<Hmac<Sha384>>(key, message).verify_slice(tag),
        MacAlgorithm::HmacSha512 => mac::<Hmac<Sha512>>(key, message).verify_slice(tag),
    };
    verified.is_ok()
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key)
        .expect("HMAC takes keys of every length")
        .chain_update(message)
}

fn tag<M: Mac + Clone>(mac: &M) -> Vec<u8> {
    mac.clone().finalize().into_bytes().to_vec()
}
