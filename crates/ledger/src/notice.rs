//! The payloads of the entries that a ledger writes about itself: lines of text.
//!
//! ```text
//! start                                    recovery
//! writer keytrail-ledger <version>         torn <file> <bytes> <SHA-256 in hex>  (for each)
//! public-key <name+id+base64>
//! ```
//!
//! A `start` entry is the first of every ledger, where it pins the public key, and the first of
//! what each opening appends. A `recovery` entry stands before it when something had to be put
//! aside, exactly where it was found: directly before that entry.

use std::fmt::Write;

use crate::hash::Hash;
use crate::note::VerifyingKey;

/// Torn tails that are kept at one place of the log: one for each interrupted recovery.
const TORN_MAX: usize = 1_000_000;

/// The payload of a `start` entry by this version of the writer.
pub(crate) fn start(version: &str, key: &VerifyingKey) -> Vec<u8> {
    format!("start\nwriter keytrail-ledger {version}\npublic-key {key}\n").into_bytes()
}

/// The public key that a `start` entry names, as text.
pub(crate) fn started_key(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?.strip_prefix("start\n")?;
    text.lines().find_map(|line| line.strip_prefix("public-key "))
}

/// What was found at the end of a ledger that was not closed: torn tails, each now in a file of its
/// own. Nearly always one; more when recovering from it was interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wreck {
    pub(crate) torn: Vec<Torn>,
}

/// A file with bytes that were found behind the last whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) file: String,
    pub(crate) len: u64,
    pub(crate) sha256: Hash,
}

impl Wreck {
    /// The payload of the `recovery` entry that tells of it.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut text = "recovery\n".to_owned();
        for Torn { file, len, sha256 } in &self.torn {
            let _ = writeln!(text, "torn {file} {len} {sha256}"); // a String takes everything
        }
        text.into_bytes()
    }

    /// Reads the payload of a `recovery` entry.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?.strip_prefix("recovery\n")?;
        let mut wreck = Self::default();
        for line in text.lines() {
            let mut parts = line.strip_prefix("torn ")?.split(' ');
            wreck.torn.push(Torn {
                file: parts.next()?.to_owned(),
                len: parts.next()?.parse().ok()?,
                sha256: Hash::parse_hex(parts.next()?)?,
            });
        }
        (wreck.write() == payload).then_some(wreck)
    }
}

/// The name of the `number`th torn tail that was found where entry `sequence` is now.
pub(crate) fn torn_name(sequence: u64, number: usize) -> String {
    format!("quarantine/{sequence:020}-{number}.torn")
}

/// The sequence and number in the name of a torn tail; `None` for every other name.
pub(crate) fn parse_torn_name(name: &str) -> Option<(u64, usize)> {
    let middle = name.strip_prefix("quarantine/")?.strip_suffix(".torn")?;
    let (sequence, number) = middle.split_once('-')?;
    let (sequence, number) = (sequence.parse().ok()?, number.parse().ok()?);
    let kept = number < TORN_MAX && torn_name(sequence, number) == name;
    kept.then_some((sequence, number))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::{Torn, Wreck, parse_torn_name, start, started_key, torn_name};
    use crate::hash::Hash;
    use crate::note::SigningKey;
    use crate::origin::Origin;

    #[test]
    fn a_start_names_its_key() {
        let origin = Origin::new("example.org/log").unwrap();
        let key = SigningKey::from_seed(&[1; 32]).verifying_key(&origin);
        assert_eq!(started_key(&start("0.1.0", &key)), Some(key.to_string().as_str()));
        assert_eq!(started_key(b"recovery\npublic-key x\n"), None);
    }

    #[test]
    fn a_wreck_round_trips_and_anything_else_is_refused() {
        let torn = |number| Torn {
            file: torn_name(12, number),
            len: 345,
            sha256: Hash::of(&[u8::try_from(number).unwrap()]),
        };
        let wreck = Wreck { torn: vec![torn(0), torn(1)] };
        let payload = wreck.write();
        assert_eq!(Wreck::parse(&payload), Some(wreck));
        for cut in 0..payload.len() {
            let parsed = Wreck::parse(&payload[..cut]);
            assert!(parsed.is_none_or(|parsed| parsed.write() == payload[..cut]), "{cut} bytes");
        }
        assert_eq!(Wreck::parse(b"recovery\ntorn a 1 b\n"), None);
    }

    #[test]
    fn a_torn_tail_has_one_name() {
        assert_eq!(torn_name(12, 3), "quarantine/00000000000000000012-3.torn");
        assert_eq!(parse_torn_name(&torn_name(12, 3)), Some((12, 3)));
        assert_eq!(parse_torn_name("quarantine/00000000000000000012-03.torn"), None);
        assert_eq!(parse_torn_name("quarantine/12-3.torn"), None);
    }
}
