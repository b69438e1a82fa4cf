//! Private keys that come from outside, in the forms that AWS takes: PKCS#8 of an asymmetric key, the bytes of an HMAC key.

use std::ops::RangeInclusive;

use zeroize::Zeroizing;

use super::{KeySpec, NotMade, SecretKey, ed25519, ml_dsa};

impl SecretKey {
    /// The key in `bytes`. Fails if they are not a key of this spec.
    pub(crate) fn import(spec: KeySpec, bytes: &[u8]) -> Result<Self, NotMade> {
        let bytes = match spec {
            KeySpec::SymmetricDefault => return Err(NotMade),
            KeySpec::Ed25519 => ed25519::seed_of_pkcs8(bytes).ok_or(NotMade)?,
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                ml_dsa::seed_of_pkcs8(spec, bytes).ok_or(NotMade)?
            }
            _ => bytes,
        };
        if mac_key_lengths(spec).is_some_and(|lengths| !lengths.contains(&bytes.len())) {
            return Err(NotMade);
        }
        let key = Self::from_bytes(spec, Zeroizing::new(bytes.to_vec()));
        // The public key is what shows that an asymmetric key is well: the libraries check what they parse.
        key.public_key().map(|_| key)
    }
}

/// How long an imported HMAC key may be: from the hash's output to its block.
const fn mac_key_lengths(spec: KeySpec) -> Option<RangeInclusive<usize>> {
    match spec {
        KeySpec::Hmac224 => Some(28..=64),
        KeySpec::Hmac256 => Some(32..=64),
        KeySpec::Hmac384 => Some(48..=128),
        KeySpec::Hmac512 => Some(64..=128),
        _ => None,
    }
}
