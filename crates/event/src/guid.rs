//! Request and event ids: version 4 UUIDs in lower case.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// Sixteen bytes, written as `8-4-4-4-12` lower-case hexadecimal digits (RFC 9562 §4).
///
/// Only the lower-case form parses: an id must have one spelling, or looking it up by text would
/// miss it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// A version 4 id from 16 random bytes, of which 122 bits are kept (RFC 9562 §5.4).
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid().into_bytes())
    }

    /// The bytes as they are, whatever version they claim.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The sixteen bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the 36 characters of the lower-case form.
    ///
    /// # Errors
    /// [`ParseError::Guid`] for any other spelling (upper case, braces, no hyphens).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let lower = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match uuid::Uuid::try_parse(text) {
            Ok(id) if lower => Ok(Self(id.into_bytes())),
            _ => Err(ParseError::Guid),
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_become_version_4() {
        let text = Guid::from_random([0xff; 16]).to_string();
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(Guid::parse(&text).unwrap(), Guid::from_random([0xff; 16]));
    }

    #[test]
    fn only_the_lower_case_hyphenated_form_parses() {
        let good = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";
        assert_eq!(Guid::parse(good).unwrap().to_string(), good);
        for bad in [
            "0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D",
            "{0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d}",
            "0a1b2c3d4e5f4a6b8c7d9e0f1a2b3c4d",
            "urn:uuid:0a1b2c3d-4e5f-4a6b-8c7d-9e0f",
            "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4g",
            "",
        ] {
            assert_eq!(Guid::parse(bad), Err(ParseError::Guid), "{bad}");
        }
    }
}
