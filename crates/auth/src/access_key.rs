//! Access keys: the public id that names a principal, and the secret that signs its requests.
//!
//! The id may be shown and recorded. The secret can only be looked at by the named call [`SecretAccessKey::expose`]: it
//! has neither `Debug` nor `Display` nor `Serialize` nor `Clone`, and is wiped when dropped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::AuthError;
use crate::names::base32;

/// The public half of an access key: `AKIA` (of a user, kept until it is deleted) or `ASIA` (of a session), and 16 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// Makes an id of 80 random bits. Two ids collide with probability 2⁻⁸⁰, so no register is asked.
    pub fn from_random(random: [u8; 10]) -> Self {
        Self(format!("AKIA{}", base32(&random)))
    }

    /// The same for a session.
    pub fn temporary_from_random(random: [u8; 10]) -> Self {
        Self(format!("ASIA{}", base32(&random)))
    }

    /// Whether it is a session's, and hence worth nothing without the session's token.
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessKeyId {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        let base32 = |byte: u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
        match text.strip_prefix("AKIA").or(text.strip_prefix("ASIA")) {
            Some(rest) if rest.len() == 16 && rest.bytes().all(base32) => Ok(Self(text.to_owned())),
            _ => Err(AuthError::AccessKeyId),
        }
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = AuthError;

    fn try_from(text: String) -> Result<Self, AuthError> {
        text.parse()
    }
}

impl From<AccessKeyId> for String {
    fn from(id: AccessKeyId) -> Self {
        id.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret half of an access key: 40 characters, 240 random bits.
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Writes 30 random bytes in the alphabet of AWS's secrets (that of base64; 30 bytes fill 40 characters exactly).
    pub fn from_random(random: &Zeroizing<[u8; 30]>) -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = Zeroizing::new(String::with_capacity(40));
        for group in random.chunks_exact(3) {
            let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
            for shift in [18, 12, 6, 0] {
                text.push(char::from(ALPHABET[(bits >> shift & 63) as usize]));
            }
        }
        Self(text)
    }

    /// Takes a secret back from where it was sealed.
    pub fn from_sealed(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The secret itself: for signing, and for showing it once to the person it was made for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// An access key with its secret, as it is handed over once when it is made.
pub struct AccessKey {
    /// The public half.
    pub id: AccessKeyId,
    /// The secret half.
    pub secret: SecretAccessKey,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_aws_and_parse_back() {
        for seed in 0..=255 {
            let lasting = AccessKeyId::from_random([seed; 10]);
            let temporary = AccessKeyId::temporary_from_random([seed; 10]);
            assert!(!lasting.is_temporary() && temporary.is_temporary());
            for id in [lasting, temporary] {
                assert_eq!(id.as_str().len(), 20);
                assert_eq!(id.as_str().parse(), Ok(id.clone()));
                let json = serde_json::to_string(&id).unwrap();
                assert_eq!(serde_json::from_str::<AccessKeyId>(&json).unwrap(), id);
            }
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "AKIA",
            "AIDAAAAAAAAAAAAAAAAA",
            "AKIAAAAAAAAAAAAAAAA1",
            "AKIAaaaaaaaaaaaaaaaa",
            "AKIAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(text.parse::<AccessKeyId>(), Err(AuthError::AccessKeyId), "{text}");
        }
    }

    #[test]
    fn secrets_fill_forty_characters() {
        let secret = SecretAccessKey::from_random(&Zeroizing::new([0xff; 30]));
        assert_eq!(secret.expose(), "/".repeat(40));
        let secret = SecretAccessKey::from_random(&Zeroizing::new([0; 30]));
        assert_eq!(secret.expose(), "A".repeat(40));
    }
}
