//! The text of a stored log file: gzip members inflated one after the other, anything else as it is.
//!
//! Nothing in the file is believed before it is checked. The size that a gzip file states about itself is a hint that
//! is capped; checksum and length are checked by libdeflate; a file ends where its last member ends, and whatever lies
//! behind is handed back as damage, like everything from the first member that cannot be inflated. So every stored
//! byte is either part of the text or part of the damage.
//!
//! libdeflate inflates at twice the speed of its rivals, but does not tell where a member ended. `member_end` finds
//! out: the member ends with its length, and with few exceptions those four bytes occur nowhere before.

use libdeflater::{DecompressionError, Decompressor, crc32};

/// Largest text of one file. CloudTrail closes its files far below 100 MB; a file that claims more is a mistake or an
/// attack on the memory of this machine.
pub(crate) const TEXT_BYTES_MAX: usize = 512 << 20;

/// A buffer up to this size is kept for the next file.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// DEFLATE makes at most 1032 bytes out of one (a 258-byte match in two bits).
const RATIO_MAX: usize = 1032;

/// Smallest gzip member: header of 10 bytes, empty block of 2, checksum and length of 4 each.
const MEMBER_BYTES_MIN: usize = 20;

/// Places that look like a member's end although the member goes on. One is bad luck; this many are made on purpose,
/// and each costs a whole inflation.
const FALSE_ENDS_MAX: usize = 16;

/// The second try, where the stated length was nothing: one page-sized try after the other would take long.
const ROOM_MIN: usize = 64 << 10;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Inflates files, one at a time, into a buffer that is used again.
pub(crate) struct Inflater {
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

/// A file's text, as far as it could be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// The text.
    pub(crate) text: &'a [u8],
    /// What could not be read.
    pub(crate) damage: Option<Damage>,
}

/// A stored file that makes no sense from some byte on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// First stored byte that is not part of the text.
    pub(crate) from: usize,
    /// What is wrong there.
    pub(crate) reason: &'static str,
}

impl Inflater {
    /// An inflater without a buffer yet.
    pub(crate) fn new() -> Self {
        Self { decompressor: Decompressor::new(), buffer: Vec::new() }
    }

    /// The text of a stored file.
    pub(crate) fn text<'a>(&'a mut self, stored: &'a [u8]) -> Text<'a> {
        if self.buffer.len() > KEPT_BYTES_MAX {
            self.buffer = Vec::new();
        }
        if !stored.starts_with(&MAGIC) {
            if stored.len() > TEXT_BYTES_MAX {
                return Text { text: &[], damage: Some(Damage { from: 0, reason: TOO_LARGE }) };
            }
            return Text { text: stored, damage: None };
        }
        let (mut read, mut written) = (0, 0);
        let mut damage = None;
        while read < stored.len() {
            match self.member(&stored[read..], written) {
                Ok((stored, text)) => (read, written) = (read + stored, written + text),
                Err(reason) => {
                    damage = Some(Damage { from: read, reason });
                    break;
                }
            }
        }
        Text { text: &self.buffer[..written], damage }
    }

    /// Inflates the member at the beginning of `stored` to `at` in the buffer. Its stored length and its text's.
    fn member(&mut self, stored: &[u8], at: usize) -> Result<(usize, usize), &'static str> {
        if !stored.starts_with(&MAGIC) {
            return Err("bytes after the last gzip member");
        }
        let [.., a, b, c, d] = *stored else { return Err(DAMAGED) };
        let limit = TEXT_BYTES_MAX.saturating_sub(at).min(stored.len().saturating_mul(RATIO_MAX));
        let stated = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(limit);
        let mut room = stated.min(limit);
        let text = loop {
            if self.buffer.len() < at + room {
                self.buffer.resize(at + room, 0);
            }
            match self.decompressor.gzip_decompress(stored, &mut self.buffer[at..at + room]) {
                Ok(text) => break text,
                Err(DecompressionError::InsufficientSpace) if room < limit => {
                    room = room.saturating_mul(2).max(ROOM_MIN).min(limit);
                }
                Err(DecompressionError::InsufficientSpace) if limit == TEXT_BYTES_MAX - at => {
                    return Err(TOO_LARGE);
                }
                Err(_) => return Err(DAMAGED),
            }
        };
        Ok((self.member_end(stored, at, text)?, text))
    }

    /// Where the member ends that was just inflated to `text` bytes at `at`.
    fn member_end(&mut self, stored: &[u8], at: usize, text: usize) -> Result<usize, &'static str> {
        // The length is stored modulo 2^32; the limit keeps it far below.
        let length = u32::try_from(text).unwrap_or(u32::MAX).to_le_bytes();
        let mut checksum = None;
        let mut from = MEMBER_BYTES_MIN - 4;
        for _ in 0..FALSE_ENDS_MAX {
            // The true end is among the places with these bytes. If the first one is the end of the file, that is it.
            let end = loop {
                let found = stored[from..].windows(4).position(|window| window == length);
                let end = from + found.ok_or(DAMAGED)? + 4;
                if end == stored.len() {
                    return Ok(end);
                }
                let written = &self.buffer[at..at + text];
                let checksum = *checksum.get_or_insert_with(|| crc32(written).to_le_bytes());
                from = end - 3;
                if stored[end - 8..end - 4] == checksum {
                    break end;
                }
            };
            // Inflating exactly this much succeeds only if the member ends within it.
            let room = &mut self.buffer[at..at + text];
            if self.decompressor.gzip_decompress(&stored[..end], room) == Ok(text) {
                return Ok(end);
            }
        }
        Err("a gzip member whose end is ambiguous")
    }
}

const DAMAGED: &str = "a damaged or truncated gzip member";
const TOO_LARGE: &str = "more than 512 MiB of text";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

    use libdeflater::{CompressionLvl, Compressor};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut out = vec![0; compressor.gzip_compress_bound(text.len())];
        let len = compressor.gzip_compress(text, &mut out).unwrap();
        out.truncate(len);
        out
    }

    fn check(stored: &[u8], text: &[u8], damage: Option<(usize, &'static str)>) {
        let damage = damage.map(|(from, reason)| Damage { from, reason });
        assert_eq!(Inflater::new().text(stored), Text { text, damage });
    }

    #[test]
    fn a_text_that_is_no_gzip_is_itself() {
        check(b"", b"", None);
        check(b"{}", b"{}", None);
        check(&[0x1f], &[0x1f], None);
    }

    #[test]
    fn members_are_read_one_after_the_other_even_equal_ones() {
        let one = gzip(b"{\"Records\":[]}");
        check(&one, b"{\"Records\":[]}", None);
        check(&[one.clone(), one.clone(), one].concat(), &b"{\"Records\":[]}".repeat(3), None);
        check(&[gzip(b""), gzip(b"a"), gzip(b"")].concat(), b"a", None);
    }

    #[test]
    fn what_follows_the_last_good_member_is_damage() {
        let one = gzip(b"one");
        let trailing = [one.as_slice(), b"junk"].concat();
        check(&trailing, b"one", Some((one.len(), "bytes after the last gzip member")));
        // Junk that ends like the member: the length alone proves nothing.
        let copied = [&one[..], b"junk", &one[one.len() - 8..]].concat();
        check(&copied, b"one", Some((one.len(), "bytes after the last gzip member")));
        let mut broken = [one.clone(), gzip(b"two")].concat();
        broken[one.len() + 12] ^= 1;
        check(&broken, b"one", Some((one.len(), DAMAGED)));
    }

    #[test]
    fn every_truncation_is_damage() {
        let stored = gzip(&b"some text that is long enough to be compressed. ".repeat(9));
        for len in 2..stored.len() {
            check(&stored[..len], b"", Some((0, DAMAGED)));
        }
    }

    #[test]
    fn a_stated_length_is_only_a_hint() {
        let text = vec![b'x'; 300_000];
        let mut stored = gzip(&text);
        check(&stored, &text, None);
        // A lie in the last member is a wrong checksum; a lie about the first one only costs a retry.
        let double = [stored.clone(), gzip(b"y")].concat();
        check(&double, &[text, b"y".to_vec()].concat(), None);
        let len = stored.len();
        stored[len - 4..].fill(0xff);
        check(&stored, b"", Some((0, DAMAGED)));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 200,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_flipped_bit_is_never_read_as_another_text(text in prop::collection::vec(0_u8..4, 0..200), bit in 16_usize..400) {
            let mut stored = gzip(&text);
            let bit = bit % (stored.len() * 8);
            stored[bit / 8] ^= 1 << (bit % 8);
            let mut inflater = Inflater::new();
            let read = inflater.text(&stored);
            // Header bits (time, system) carry nothing; a file without its magic is a plain text.
            prop_assert!(read.damage.is_some() || read.text == text || read.text == stored);
        }
    }
}
