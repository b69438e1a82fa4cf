//! Segments: the files that hold the frames, and the header that lets one begin at each of them.
//!
//! ```text
//! magic "KTLEDGER" · version u16 · count u16 · first u64 · time_ns u64
//! · origin[32] · prev[32] · frontier[32 × count] · mac[32] · crc32c u32         (big-endian)
//! ```
//!
//! A header repeats where the log stood when the segment was begun ([`Tip`]), so that opening a
//! ledger reads the last segment only. All of it follows from the segments before: a verifier
//! compares, and believes none of it. A segment is `segments/<sequence of its first entry>.seg`.

use crate::hash::Hash;
use crate::merkle::Frontier;
use crate::origin::Origin;
use crate::seal::{MAC_LEN, Seal};
use crate::tip::Tip;

/// The first bytes of a segment.
pub(crate) const MAGIC: [u8; 8] = *b"KTLEDGER";
/// The version of this layout.
pub(crate) const VERSION: u16 = 1;
/// Bytes of a header besides the frontier.
pub(crate) const HEADER_OVERHEAD: usize = MAGIC.len() + 2 + 2 + 8 + 8 + 2 * Hash::LEN + MAC_LEN + 4;
/// Bytes that a segment file may have: one is full at 128 MiB at most, and the last batch adds at
/// most 64 MiB of payload and its trimmings.
pub(crate) const SEGMENT_LEN_MAX: u64 = 256 << 20;

const DIRECTORY: &str = "segments/";
const ENDING: &str = ".seg";

/// The file name of the segment whose first entry has this sequence.
pub(crate) fn segment_name(first: u64) -> String {
    format!("{DIRECTORY}{first:020}{ENDING}")
}

/// The sequence in the file name of a segment; `None` for every other name.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(DIRECTORY)?.strip_suffix(ENDING)?;
    let first = digits.parse().ok()?;
    (segment_name(first) == name).then_some(first)
}

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// SHA-256 of the log's origin.
    pub(crate) origin: Hash,
    /// Where the log stood.
    pub(crate) tip: Tip,
    /// [`Seal::header`] over everything before it.
    pub(crate) mac: [u8; MAC_LEN],
}

/// The bytes are no header: too short, another magic or version, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the segment header is cut short, damaged, or of another version")]
pub(crate) struct HeaderError;

impl Header {
    /// Reads the header at the beginning of `bytes`, and says how many bytes it has.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        Self::parse_parts(bytes).ok_or(HeaderError)
    }

    fn parse_parts(bytes: &[u8]) -> Option<(Self, usize)> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let rest = rest.strip_prefix(&VERSION.to_be_bytes())?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_be_bytes(*count));
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (time_ns, rest) = rest.split_first_chunk::<8>()?;
        let (origin, rest) = rest.split_first_chunk::<{ Hash::LEN }>()?;
        let (prev, rest) = rest.split_first_chunk::<{ Hash::LEN }>()?;
        let (hashes, rest) = rest.split_at_checked(Hash::LEN * count)?;
        let (mac, rest) = rest.split_first_chunk::<MAC_LEN>()?;
        let (crc, _) = rest.split_first_chunk::<4>()?;
        let len = HEADER_OVERHEAD + hashes.len();
        if crc32c::crc32c(bytes.get(..len - 4)?) != u32::from_be_bytes(*crc) {
            return None;
        }
        let hashes = hashes.as_chunks::<{ Hash::LEN }>().0.iter().copied().map(Hash::from_bytes);
        let tip = Tip {
            frontier: Frontier::from_parts(u64::from_be_bytes(*first), hashes.collect())?,
            prev: Hash::from_bytes(*prev),
            time_ns: u64::from_be_bytes(*time_ns),
        };
        Some((Self { origin: Hash::from_bytes(*origin), tip, mac: *mac }, len))
    }

    /// The bytes of a header for a segment begun at `tip`.
    pub(crate) fn write(origin: &Origin, tip: &Tip, seal: &Seal) -> Vec<u8> {
        let mut bytes = sealed_part(&origin.hash(), tip);
        bytes.extend_from_slice(&seal.header(&bytes));
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        bytes
    }

    /// Whether the holder of the signing key wrote it.
    pub(crate) fn is_ours(&self, seal: &Seal) -> bool {
        seal.holds_for_header(&sealed_part(&self.origin, &self.tip), &self.mac)
    }
}

fn sealed_part(origin: &Hash, tip: &Tip) -> Vec<u8> {
    let hashes = tip.frontier.hashes();
    let count = u16::try_from(hashes.len()).expect("a frontier has at most 64 hashes");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&tip.size().to_be_bytes());
    bytes.extend_from_slice(&tip.time_ns.to_be_bytes());
    bytes.extend_from_slice(origin.as_bytes());
    bytes.extend_from_slice(tip.prev.as_bytes());
    for hash in hashes {
        bytes.extend_from_slice(hash.as_bytes());
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::{HEADER_OVERHEAD, Header, parse_segment_name, segment_name};
    use crate::hash::Hash;
    use crate::note::SigningKey;
    use crate::origin::Origin;
    use crate::seal::Seal;
    use crate::tip::Tip;

    fn example() -> (Vec<u8>, Tip, Seal) {
        let origin = Origin::new("example.org/log").unwrap();
        let seal = Seal::new(&SigningKey::from_seed(&[1; 32]), &origin);
        let mut tip = Tip::start(&origin);
        for leaf in 0..7_u8 {
            tip.frontier.push(Hash::of(&[leaf]));
        }
        tip.time_ns = 77;
        (Header::write(&origin, &tip, &seal), tip, seal)
    }

    #[test]
    fn a_header_round_trips_and_knows_its_writer() {
        let (bytes, tip, seal) = example();
        let (header, len) = Header::parse(&bytes).unwrap();
        assert_eq!((len, header.tip.clone()), (bytes.len(), tip));
        assert_eq!(len, HEADER_OVERHEAD + 3 * 32);
        assert!(header.is_ours(&seal));
        let mut forged = header;
        forged.tip.time_ns = 78;
        assert!(!forged.is_ours(&seal));
    }

    #[test]
    fn cuts_and_flips_are_refused() {
        let (bytes, ..) = example();
        for cut in 0..bytes.len() {
            assert!(Header::parse(&bytes[..cut]).is_err(), "{cut} bytes");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_segment_has_one_name() {
        assert_eq!(segment_name(12), "segments/00000000000000000012.seg");
        assert_eq!(parse_segment_name(&segment_name(u64::MAX)), Some(u64::MAX));
        for bad in [
            "segments/12.seg",
            "00000000000000000012.seg",
            "segments/00000000000000000012.seg.tmp",
            "segments/+0000000000000000012.seg",
            "segments/99999999999999999999.seg",
            "segments/x/00000000000000000012.seg",
        ] {
            assert_eq!(parse_segment_name(bad), None, "{bad}");
        }
    }
}
