//! What somebody with the format's description, write access and no key can make.
//!
//! Written from `schemas/ledger.md`, without the crate's codec: if the two disagree, the forgeries
//! are refused for the wrong reason and the tests that name the reason fail.

use std::ops::Range;

use keytrail_ledger::merkle::Frontier;
use keytrail_ledger::{Entry, EntryKind, Hash, commitment};

/// Bytes of the header at the beginning of a segment.
pub(crate) fn header_len(segment: &[u8]) -> usize {
    let count = u16::from_be_bytes([segment[10], segment[11]]);
    8 + 2 + 2 + 8 + 8 + 32 + 32 + 32 * usize::from(count) + 32 + 4
}

/// Where the frames and trailers of a segment lie.
pub(crate) fn items(segment: &[u8]) -> Vec<Range<usize>> {
    let mut at = header_len(segment);
    let mut items = Vec::new();
    while at < segment.len() {
        let len = u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
        let end = at + 8 + usize::try_from(len).unwrap();
        items.push(at..end);
        at = end;
    }
    items
}

pub(crate) fn is_trailer(item: &[u8]) -> bool {
    item[8..].starts_with(b"KTBATCH1")
}

/// Where the batches of a segment lie, trailers included.
pub(crate) fn batches(segment: &[u8]) -> Vec<Range<usize>> {
    let mut start = header_len(segment);
    let mut batches = Vec::new();
    for item in items(segment) {
        if is_trailer(&segment[item.clone()]) {
            batches.push(start..item.end);
            start = item.end;
        }
    }
    batches
}

/// Makes the checksum of a frame or trailer right again.
pub(crate) fn fix_item(item: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&item[..4]), &item[8..]);
    item[4..8].copy_from_slice(&crc.to_be_bytes());
}

/// Makes the checksum of a header right again.
pub(crate) fn fix_header(segment: &mut [u8]) {
    let end = header_len(segment);
    let crc = crc32c::crc32c(&segment[..end - 4]);
    segment[end - 4..end].copy_from_slice(&crc.to_be_bytes());
}

/// A frame or trailer with this body.
pub(crate) fn item(body: &[u8]) -> Vec<u8> {
    let mut item = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    item.extend_from_slice(&[0; 4]);
    item.extend_from_slice(body);
    fix_item(&mut item);
    item
}

/// The entry of a frame.
pub(crate) fn entry(frame: &[u8]) -> Entry {
    Entry::decode(&frame[8..90]).unwrap()
}

/// A frame whose entry commits to this content.
pub(crate) fn frame(entry: &Entry, payload: &[u8]) -> Vec<u8> {
    let salt = [5; 16];
    let entry = Entry { commit: commitment(&salt, b"", payload), ..*entry };
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    item(&[&entry.encode()[..], &salt, &len, payload].concat())
}

/// A trailer for a batch that begins with entry `first` and ends with this tree, with a code that
/// only guesses.
pub(crate) fn trailer(first: u64, tree: &Frontier) -> Vec<u8> {
    let (first, size) = (first.to_be_bytes(), tree.size().to_be_bytes());
    item(&[b"KTBATCH1", &first[..], &size, tree.root().as_bytes(), &[0x55; 32]].concat())
}

/// The tree over the entries of these segments, and the last entry.
pub(crate) fn tree_of(segments: &[&[u8]]) -> (Frontier, Entry) {
    let mut tree = Frontier::new();
    let mut last = None;
    for segment in segments {
        for at in items(segment).into_iter().filter(|at| !is_trailer(&segment[at.clone()])) {
            let entry = entry(&segment[at]);
            tree.push(entry.leaf_hash());
            last = Some(entry);
        }
    }
    (tree, last.unwrap())
}

/// A batch with one record that continues the entries of these segments in every way that can be
/// computed without a key.
pub(crate) fn batch_after(segments: &[&[u8]], payload: &[u8]) -> Vec<u8> {
    let (mut tree, last) = tree_of(segments);
    let next = Entry {
        kind: EntryKind::Record,
        sequence: last.sequence + 1,
        time_ns: last.time_ns,
        prev: last.leaf_hash(),
        commit: Hash::of(b""),
    };
    let mut batch = frame(&next, payload);
    tree.push(entry(&batch).leaf_hash());
    batch.extend(trailer(next.sequence, &tree));
    batch
}
