//! Key ids: what is the same for a key in every place, and for all the related keys of a multi-Region key.

use std::fmt;

use keytrail_event::Guid;
use serde::{Deserialize, Serialize};

/// A key's id: a version 4 UUID, or `mrk-` and 32 lower-case hexadecimal digits for a multi-Region key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum KeyId {
    SingleRegion(Guid),
    MultiRegion([u8; 16]),
}

/// What a multi-Region key's id begins with.
const MULTI_REGION: &str = "mrk-";

impl KeyId {
    /// Bytes of an id in binary formats: which kind of id, and the bytes of its digits.
    pub(crate) const LEN: usize = 17;

    pub(crate) fn from_random(random: [u8; 16]) -> Self {
        Self::SingleRegion(Guid::from_random(random))
    }

    /// The bytes that its hexadecimal digits stand for, whichever kind it is.
    pub(crate) const fn digits(self) -> [u8; 16] {
        match self {
            Self::SingleRegion(guid) => *guid.as_bytes(),
            Self::MultiRegion(digits) => digits,
        }
    }

    /// 0 and the UUID's bytes, or 1 and the bytes behind `mrk-`.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [u8::from(matches!(self, Self::MultiRegion(_))); Self::LEN];
        bytes[1..].copy_from_slice(&self.digits());
        bytes
    }

    pub(crate) fn from_bytes([kind, digits @ ..]: [u8; Self::LEN]) -> Option<Self> {
        match kind {
            0 => Some(Self::SingleRegion(Guid::from_bytes(digits))),
            1 => Some(Self::MultiRegion(digits)),
            _ => None,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(MULTI_REGION) {
            Some(digits) => parse_digits(digits).map(Self::MultiRegion),
            None => Guid::parse(text).ok().map(Self::SingleRegion),
        }
    }
}

fn parse_digits(digits: &str) -> Option<[u8; 16]> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 32 || !digits.bytes().all(digit) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SingleRegion(guid) => guid.fmt(f),
            Self::MultiRegion(digits) => {
                write!(f, "{MULTI_REGION}{:032x}", u128::from_be_bytes(*digits))
            }
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a key id is a UUID in lower case, or mrk- and 32 digits")
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_go_to_text_and_bytes_and_back() {
        for (text, multi_region) in [
            ("1234abcd-12ab-34cd-56ef-1234567890ab", false),
            ("mrk-0034abcd12ab34cd56ef1234567890ab", true),
        ] {
            let id = KeyId::parse(text);
            assert_eq!(id.map(|id| id.to_string()).as_deref(), Some(text));
            assert_eq!(matches!(id, Some(KeyId::MultiRegion(_))), multi_region);
            assert_eq!(id.and_then(|id| KeyId::from_bytes(id.to_bytes())), id);
        }
        let [single, multi] = [KeyId::from_random([7; 16]), KeyId::MultiRegion([7; 16])];
        assert_ne!(single.to_bytes(), multi.to_bytes());
        assert_eq!(KeyId::from_bytes([2; KeyId::LEN]), None);
    }

    #[test]
    fn nothing_else_is_an_id() {
        let digits = "1234abcd12ab34cd56ef1234567890ab";
        for text in [
            String::new(),
            digits.to_owned(),
            "mrk-".to_owned(),
            format!("mrk-{}", digits.to_uppercase()),
            format!("mrk-+{}", &digits[1..]),
            format!("mrk-{digits}0"),
            format!("MRK-{digits}"),
        ] {
            assert_eq!(KeyId::parse(&text), None, "{text}");
        }
    }
}
