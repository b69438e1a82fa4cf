//! The name of a log: the first line of its checkpoints and the name of its key.

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;

/// Bytes that an origin may have. A signed checkpoint names it twice and has 166 bytes besides; it
/// has to fit into a sector of 512 bytes, in order to be written whole or not at all.
pub(crate) const ORIGIN_LEN_MAX: usize = 160;

/// The name of a log, by convention a URL without scheme (`audit.example.org/kms/eu1`), unique in
/// the world: it is what keeps a checkpoint of one log from being taken for another's.
///
/// Printable ASCII without space or `+`, which C2SP's notes and keys use as separators; 1 to 160
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// The text is no origin: it must be 1 to 160 printable ASCII characters other than space and `+`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is 1 to {ORIGIN_LEN_MAX} printable ASCII characters without space and \"+\"")]
pub struct OriginError;

impl Origin {
    /// The origin written as `text`.
    pub fn new(text: &str) -> Result<Self, OriginError> {
        let ok = (1..=ORIGIN_LEN_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+');
        if ok { Ok(Self(text.to_owned())) } else { Err(OriginError) }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of its text: what the first entry of the log names as the entry before, and what
    /// each segment carries.
    pub fn hash(&self) -> Hash {
        Hash::of(self.0.as_bytes())
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::new(text)
    }
}

impl AsRef<str> for Origin {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn separators_control_characters_and_lengths_are_refused() {
        assert!(Origin::new("audit.example.org/kms/eu1").is_ok());
        assert!(Origin::new(&"a".repeat(160)).is_ok());
        for bad in ["", "a b", "a+b", "a\nb", "a\u{7f}", "é", "a\0", &"a".repeat(161)] {
            assert!(Origin::new(bad).is_err(), "{bad:?}");
        }
    }
}
