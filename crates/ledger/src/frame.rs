//! Frames: how entries with their content, and the ends of batches, lie in a segment.
//!
//! ```text
//! frame    len u32 · crc32c u32 · entry[82] · salt[16] · payload_len u32 · payload · state
//! trailer  len u32 · crc32c u32 · "KTBATCH1" · first u64 · size u64 · root[32] · mac[32]
//! ```
//!
//! `len` counts the bytes after `crc32c`; the checksum covers `len` and those bytes, so that no bit
//! is outside it. It finds accidents; attacks are found by the commitment, chain and tree. A frame
//! and a trailer differ in the byte after the checksum: the version of an entry, or `K`.
//!
//! Parsing here is about one frame. That frames continue each other is for [`crate::batch`].

use crate::entry::{ENTRY_LEN, Entry, SALT_LEN, commitment};
use crate::hash::Hash;
use crate::seal::MAC_LEN;

/// Bytes that a payload may have. A record has 256 KiB at most, a catalog commit some MiB.
pub const PAYLOAD_LEN_MAX: usize = 64 << 20;
/// Bytes that a sealed state change may have.
pub const STATE_LEN_MAX: usize = 1 << 20;

/// Bytes of `len` and `crc32c`.
pub(crate) const PREFIX_LEN: usize = 8;
/// Bytes of a frame besides payload and state.
pub(crate) const FRAME_OVERHEAD: usize = PREFIX_LEN + ENTRY_LEN + SALT_LEN + 4;
/// Bytes of a trailer.
pub(crate) const TRAILER_LEN: usize = PREFIX_LEN + TRAILER_MARK.len() + 8 + 8 + Hash::LEN + MAC_LEN;
/// Bytes of the largest frame.
pub(crate) const FRAME_LEN_MAX: usize = FRAME_OVERHEAD + PAYLOAD_LEN_MAX + STATE_LEN_MAX;
/// What a trailer has where a frame has its entry.
pub(crate) const TRAILER_MARK: [u8; 8] = *b"KTBATCH1";

/// One frame of a segment, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameRef<'a> {
    pub(crate) entry: Entry,
    pub(crate) salt: &'a [u8; SALT_LEN],
    pub(crate) payload: &'a [u8],
    pub(crate) state: &'a [u8],
}

impl FrameRef<'_> {
    /// Whether the content is the one that the entry commits to.
    pub(crate) fn is_committed(&self) -> bool {
        commitment(self.salt, self.state, self.payload) == self.entry.commit
    }
}

/// The end of a batch: everything before it was written together and belongs to this tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Sequence of the first entry of the batch: a trailer that survives damage before it tells
    /// whether it ends the damaged batch or a later one.
    pub(crate) first: u64,
    /// Entries in the log behind the batch.
    pub(crate) size: u64,
    /// Root of the tree over them.
    pub(crate) root: Hash,
    /// [`crate::seal::Seal::batch`] over all of that.
    pub(crate) mac: [u8; MAC_LEN],
}

/// A frame or a trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Frame(FrameRef<'a>),
    Trailer(Trailer),
}

/// Why bytes are neither frame nor trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the frame is cut short")]
    Cut,
    #[error("the frame has an impossible length")]
    Length,
    #[error("the frame's checksum does not match")]
    Checksum,
    /// The checksum holds, hence it was written so.
    #[error("the frame holds no entry of a known version and kind")]
    Content,
}

/// Reads the item at the beginning of `bytes`, and says how many bytes it has.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Item<'_>, usize), FrameError> {
    let (len, rest) = bytes.split_first_chunk::<4>().ok_or(FrameError::Cut)?;
    let body_len = u32::from_be_bytes(*len) as usize;
    if !(TRAILER_LEN - PREFIX_LEN..=FRAME_LEN_MAX - PREFIX_LEN).contains(&body_len) {
        return Err(FrameError::Length);
    }
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Cut)?;
    let (body, _) = rest.split_at_checked(body_len).ok_or(FrameError::Cut)?;
    if checksum(*len, body) != u32::from_be_bytes(*crc) {
        return Err(FrameError::Checksum);
    }
    let item = if body.starts_with(&TRAILER_MARK) {
        parse_trailer(body).map(Item::Trailer)
    } else {
        parse_frame(body).map(Item::Frame)
    };
    item.map(|item| (item, PREFIX_LEN + body_len)).ok_or(FrameError::Content)
}

fn parse_frame(body: &[u8]) -> Option<FrameRef<'_>> {
    let (entry, rest) = body.split_at_checked(ENTRY_LEN)?;
    let (salt, rest) = rest.split_first_chunk::<SALT_LEN>()?;
    let (payload_len, rest) = rest.split_first_chunk::<4>()?;
    let payload_len = u32::from_be_bytes(*payload_len) as usize;
    let (payload, state) = rest.split_at_checked(payload_len)?;
    let within_limits = payload.len() <= PAYLOAD_LEN_MAX && state.len() <= STATE_LEN_MAX;
    let entry = Entry::decode(entry).filter(|_| within_limits)?;
    Some(FrameRef { entry, salt, payload, state })
}

fn parse_trailer(body: &[u8]) -> Option<Trailer> {
    let rest = body.strip_prefix(&TRAILER_MARK)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (root, mac) = rest.split_first_chunk::<{ Hash::LEN }>()?;
    Some(Trailer {
        first: u64::from_be_bytes(*first),
        size: u64::from_be_bytes(*size),
        root: Hash::from_bytes(*root),
        mac: mac.try_into().ok()?,
    })
}

/// Appends a frame to `buffer`. Payload and state are within their limits, which
/// [`crate::Ledger::enqueue`] sees to.
pub(crate) fn write_frame(
    buffer: &mut Vec<u8>,
    entry: &Entry,
    salt: &[u8; SALT_LEN],
    payload: &[u8],
    state: &[u8],
) {
    let start = begin(buffer);
    buffer.extend_from_slice(&entry.encode());
    buffer.extend_from_slice(salt);
    buffer.extend_from_slice(&length(payload.len()));
    buffer.extend_from_slice(payload);
    buffer.extend_from_slice(state);
    finish(buffer, start);
}

/// Appends a trailer to `buffer`.
pub(crate) fn write_trailer(buffer: &mut Vec<u8>, trailer: &Trailer) {
    let start = begin(buffer);
    buffer.extend_from_slice(&TRAILER_MARK);
    buffer.extend_from_slice(&trailer.first.to_be_bytes());
    buffer.extend_from_slice(&trailer.size.to_be_bytes());
    buffer.extend_from_slice(trailer.root.as_bytes());
    buffer.extend_from_slice(&trailer.mac);
    finish(buffer, start);
}

/// Leaves room for length and checksum, which [`finish`] fills in.
fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; PREFIX_LEN]);
    start
}

fn finish(buffer: &mut [u8], start: usize) {
    let (prefix, body) = buffer[start..].split_at_mut(PREFIX_LEN);
    let len = length(body.len());
    prefix[..4].copy_from_slice(&len);
    prefix[4..].copy_from_slice(&checksum(len, body).to_be_bytes());
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("a frame is at most FRAME_LEN_MAX bytes").to_be_bytes()
}

fn checksum(len: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len), body)
}

/// The first trailer in `bytes` for which `wanted` holds, with its offset: where to go on behind
/// damage. A payload may contain the bytes of a trailer; `wanted` has to see to that.
pub(crate) fn find_trailer(
    bytes: &[u8],
    wanted: impl Fn(&Trailer) -> bool,
) -> Option<(usize, Trailer)> {
    let candidates = bytes.windows(TRAILER_MARK.len()).enumerate();
    candidates.filter(|(_, window)| *window == TRAILER_MARK).find_map(|(mark, _)| {
        let offset = mark.checked_sub(PREFIX_LEN)?;
        // The length comes first: hostile bytes may hold a mark everywhere, and a checksum over
        // megabytes for each of them would never end.
        let trailer = bytes.get(offset..offset + TRAILER_LEN)?;
        match parse(trailer) {
            Ok((Item::Trailer(trailer), _)) if wanted(&trailer) => Some((offset, trailer)),
            _ => None,
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::{
        FRAME_OVERHEAD, FrameError, Item, TRAILER_LEN, TRAILER_MARK, Trailer, find_trailer, parse,
        write_frame, write_trailer,
    };
    use crate::entry::{Entry, EntryKind, commitment};
    use crate::hash::Hash;

    fn frame(payload: &[u8], state: &[u8]) -> Vec<u8> {
        let commit = commitment(&[3; 16], state, payload);
        let prev = Hash::of(b"prev");
        let entry = Entry { kind: EntryKind::Record, sequence: 9, time_ns: 5, prev, commit };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &entry, &[3; 16], payload, state);
        bytes
    }

    fn trailer() -> Trailer {
        Trailer { first: 8, size: 10, root: Hash::of(b"root"), mac: [7; 32] }
    }

    fn trailer_bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_trailer(&mut bytes, &trailer());
        bytes
    }

    #[test]
    fn frames_and_trailers_round_trip() {
        for (payload, state) in [(&b""[..], &b""[..]), (b"p", b""), (b"", b"s"), (b"pay", b"state")]
        {
            let bytes = frame(payload, state);
            assert_eq!(bytes.len(), FRAME_OVERHEAD + payload.len() + state.len());
            let Ok((Item::Frame(read), len)) = parse(&bytes) else { panic!("{payload:?}") };
            assert_eq!((read.payload, read.state, len), (payload, state, bytes.len()));
            assert!(read.is_committed());
        }
        assert_eq!(parse(&trailer_bytes()), Ok((Item::Trailer(trailer()), TRAILER_LEN)));
    }

    #[test]
    fn a_cut_at_every_byte_is_seen() {
        for whole in [frame(b"payload", b"state"), trailer_bytes()] {
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), Err(FrameError::Cut), "{cut} bytes");
            }
        }
    }

    #[test]
    fn a_flip_of_every_bit_is_seen() {
        for whole in [frame(b"payload", b"state"), trailer_bytes()] {
            for bit in 0..8 * whole.len() {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(parse(&flipped).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn content_that_moves_between_payload_and_state_loses_its_commitment() {
        let entry = match parse(&frame(b"payload", b"state")).unwrap().0 {
            Item::Frame(frame) => frame.entry,
            Item::Trailer(_) => unreachable!(),
        };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &entry, &[3; 16], b"payloads", b"tate");
        let Ok((Item::Frame(read), _)) = parse(&bytes) else { panic!("checksum is right") };
        assert!(!read.is_committed());
    }

    #[test]
    fn impossible_lengths_are_refused_before_anything_is_read() {
        let mut bytes = frame(b"payload", b"");
        for len in [0_u32, 87, u32::MAX, 0x7fff_ffff] {
            bytes[..4].copy_from_slice(&len.to_be_bytes());
            assert_eq!(parse(&bytes), Err(FrameError::Length), "{len}");
        }
    }

    #[test]
    fn a_trailer_is_found_behind_damage() {
        let mut bytes = frame(&TRAILER_MARK, b"");
        bytes[20] ^= 1;
        let offset = bytes.len();
        bytes.extend(trailer_bytes());
        assert_eq!(find_trailer(&bytes, |_| true), Some((offset, trailer())));
        assert_eq!(find_trailer(&bytes, |found| found.size > 10), None);
        assert_eq!(find_trailer(&TRAILER_MARK, |_| true), None);
    }
}
