//! The entry: the leaf of the tree, 82 bytes that say *that* something was logged and not *what*.
//!
//! ```text
//! version u8 · kind u8 · sequence u64 · time_ns u64 · prev[32] · commit[32]        (big-endian)
//! ```
//!
//! `prev` is the leaf hash of the entry before (for the first: SHA-256 of the origin line), which
//! makes the entries a chain. `commit` binds the content through a salt, so that an entry may be
//! shown to anybody, and content may be withheld or erased later, while every proof still holds.
//! The chain is checked on scans; proofs rest on the tree alone ([`crate::merkle`]).

use crate::hash::Hash;
use crate::merkle;

/// Bytes of an encoded entry.
pub const ENTRY_LEN: usize = 82;
/// Bytes of the salt that hides the content from whoever holds the entry only.
pub const SALT_LEN: usize = 16;
/// The first byte of an entry: the version of its layout.
pub(crate) const ENTRY_VERSION: u8 = 1;

/// Separates a commitment from every other use of SHA-256. The trailing NUL ends it.
const COMMIT_DOMAIN: &[u8] = b"keytrail/ledger/commit/v1\0";

/// What an entry stands for. The byte values are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// A record of the log's user.
    Record = 1,
    /// The ledger was created or opened; written by the ledger itself.
    Start = 2,
    /// A torn tail was set aside when opening; written by the ledger itself.
    Recovery = 3,
    /// The clock of the writer was seen to step.
    Clock = 4,
    /// A commit of a catalog: files that now belong to a table.
    Segment = 5,
}

impl EntryKind {
    /// The kind with this byte, if it is one.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Record,
            2 => Self::Start,
            3 => Self::Recovery,
            4 => Self::Clock,
            5 => Self::Segment,
            _ => return None,
        })
    }

    /// Its byte in an entry.
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

/// One leaf of the log, free of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it stands for.
    pub kind: EntryKind,
    /// Its place in the log, counted from 0; equal to its leaf index in the tree.
    pub sequence: u64,
    /// Nanoseconds since the Unix epoch, never less than the entry's before.
    pub time_ns: u64,
    /// Leaf hash of the entry before.
    pub prev: Hash,
    /// [`commitment`] to salt, state and payload.
    pub commit: Hash,
}

impl Entry {
    /// The 82 bytes that are hashed into the tree.
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[0] = ENTRY_VERSION;
        bytes[1] = self.kind.byte();
        bytes[2..10].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.time_ns.to_be_bytes());
        bytes[18..50].copy_from_slice(self.prev.as_bytes());
        bytes[50..82].copy_from_slice(self.commit.as_bytes());
        bytes
    }

    /// The entry that these bytes encode; `None` for another length, version or kind.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, kind], rest) = bytes.split_first_chunk::<2>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (time_ns, rest) = rest.split_first_chunk::<8>()?;
        let (prev, rest) = rest.split_first_chunk::<32>()?;
        let commit = <[u8; 32]>::try_from(rest).ok()?;
        if version != ENTRY_VERSION {
            return None;
        }
        Some(Self {
            kind: EntryKind::from_byte(kind)?,
            sequence: u64::from_be_bytes(*sequence),
            time_ns: u64::from_be_bytes(*time_ns),
            prev: Hash::from_bytes(*prev),
            commit: Hash::from_bytes(commit),
        })
    }

    /// Its RFC 6962 leaf hash.
    pub fn leaf_hash(&self) -> Hash {
        merkle::leaf_hash(&self.encode())
    }
}

/// Commits to the content of an entry:
/// `SHA-256(domain ‖ salt ‖ SHA-256(state), or 32 zero bytes without state ‖ payload)`.
///
/// The sealed state change is part of it, so that files and public key alone show a swapped one;
/// by its hash, so that it can be erased while the payload still proves. All parts before the
/// payload have a fixed length, hence no two contents share an encoding.
pub fn commitment(salt: &[u8; SALT_LEN], state: &[u8], payload: &[u8]) -> Hash {
    let state_hash =
        if state.is_empty() { Hash::from_bytes([0; Hash::LEN]) } else { Hash::of(state) };
    Hash::of_parts(&[COMMIT_DOMAIN, salt, state_hash.as_bytes(), payload])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::{COMMIT_DOMAIN, ENTRY_LEN, Entry, EntryKind, commitment};
    use crate::hash::Hash;

    fn example() -> Entry {
        Entry {
            kind: EntryKind::Record,
            sequence: 7,
            time_ns: 1_747_806_465_000_000_001,
            prev: Hash::of(b"prev"),
            commit: Hash::of(b"commit"),
        }
    }

    #[test]
    fn an_entry_round_trips_and_every_other_length_is_refused() {
        let bytes = example().encode();
        assert_eq!(Entry::decode(&bytes), Some(example()));
        for cut in 0..ENTRY_LEN {
            assert_eq!(Entry::decode(&bytes[..cut]), None, "{cut} bytes");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(Entry::decode(&longer), None);
    }

    #[test]
    fn every_bit_of_an_entry_counts() {
        let bytes = example().encode();
        let leaf = example().leaf_hash();
        for bit in 0..8 * ENTRY_LEN {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Some(entry) = Entry::decode(&flipped) {
                assert_eq!(entry.encode(), flipped, "decoding loses bit {bit}");
                assert_ne!(entry.leaf_hash(), leaf, "bit {bit} is not in the leaf hash");
            }
        }
    }

    #[test]
    fn a_commitment_is_the_documented_hash_and_binds_each_part() {
        let salt = [9; 16];
        let plain = commitment(&salt, b"", b"payload");
        assert_eq!(plain, Hash::of_parts(&[COMMIT_DOMAIN, &salt, &[0; 32], b"payload"]));
        let state_hash = Hash::of(b"s");
        assert_eq!(
            commitment(&salt, b"s", b"payload"),
            Hash::of_parts(&[COMMIT_DOMAIN, &salt, state_hash.as_bytes(), b"payload"]),
        );
        for other in [
            commitment(&[8; 16], b"", b"payload"),
            commitment(&salt, b"s", b"payload"),
            commitment(&salt, b"", b"payloae"),
            commitment(&salt, b"", b"payload\0"),
            commitment(&salt, b"payload", b""),
        ] {
            assert_ne!(other, plain);
        }
    }

    #[test]
    fn kinds_keep_their_bytes() {
        for byte in 0..=u8::MAX {
            assert!(EntryKind::from_byte(byte).is_none_or(|kind| kind.byte() == byte));
        }
        assert_eq!(EntryKind::from_byte(5).unwrap(), EntryKind::Segment);
    }
}
