//! The verifier's way through the segments.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Live, unread};
use crate::checkpoint::Checkpoint;
use crate::entry::EntryKind;
use crate::frame::{self, FrameRef, Item, Trailer};
use crate::hash::Hash;
use crate::merkle::Frontier;
use crate::note::VerifyingKey;
use crate::notice::{self, Wreck};
use crate::reader::Frame;
use crate::report::{FindingKind, Report};
use crate::segment::{Header, SEGMENT_LEN_MAX, segment_name};
use crate::storage::{DirStorage, Storage};

/// What is known at one place of the log. Behind damage, `prev` and `tree` are not, until the next
/// segment's header says what they ought to be; the signed root shows whether that was true.
pub(super) struct Walk<'a> {
    key: &'a VerifyingKey,
    key_text: String,
    pub(super) signed: Option<Checkpoint>,
    pub(super) live: &'a Live<'a>,
    pub(super) report: &'a mut Report,
    each: &'a mut dyn FnMut(&Frame),
    /// The sequence of the next entry; unknown behind damage to the end of a segment.
    pub(super) expected: Option<u64>,
    pub(super) prev: Option<Hash>,
    time_ns: u64,
    pub(super) tree: Option<Frontier>,
    /// The sequence with which the batch began; unknown behind damage.
    pub(super) batch_first: Option<u64>,
    /// Whether the tree was compared with the signed root.
    compared: bool,
    /// The first entry that no signature covers.
    unsigned: Option<String>,
    entries: u64,
    batches: u64,
    segments: u64,
    bytes: u64,
    /// Torn tails that `recovery` entries tell of: length and SHA-256 by file.
    torn: BTreeMap<String, (u64, Hash)>,
}

/// A segment being walked through.
pub(super) struct Segment<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) last: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        key: &'a VerifyingKey,
        signed: Option<Checkpoint>,
        live: &'a Live<'a>,
        report: &'a mut Report,
        each: &'a mut dyn FnMut(&Frame),
    ) -> Self {
        Self {
            prev: Some(key.name().hash()),
            key_text: key.to_string(),
            key,
            signed,
            live,
            report,
            each,
            expected: Some(0),
            time_ns: 0,
            tree: Some(Frontier::new()),
            batch_first: Some(0),
            compared: false,
            unsigned: None,
            entries: 0,
            batches: 0,
            segments: 0,
            bytes: 0,
            torn: BTreeMap::new(),
        }
    }

    /// Walks through the segment that is named after the sequence `first`.
    pub(super) fn segment(&mut self, storage: &DirStorage, first: u64, last: bool) {
        let name = segment_name(first);
        let bytes = match storage.read(&name, SEGMENT_LEN_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report.find(unread(&error), &name, error.to_string());
                self.lose(None);
                return;
            }
        };
        self.segments += 1;
        self.bytes += bytes.len() as u64;
        self.compare_name(&name, first);
        let segment = Segment { name: &name, bytes: &bytes, last };
        match Header::parse(&bytes) {
            Ok((header, len)) => {
                self.header(&segment, &header, first, 0..len);
                self.items(&segment, len);
            }
            Err(error) => {
                let place = place(&name, 0..bytes.len().min(crate::segment::HEADER_OVERHEAD));
                self.report.find(FindingKind::Modified, place, error.to_string());
                self.lose(Some(first));
                if let Some(offset) = self.resume(&segment, 0) {
                    self.items(&segment, offset);
                }
            }
        }
    }

    /// Says how it ends, and which torn tails have to be in quarantine.
    pub(super) fn finish(self) -> BTreeMap<String, (u64, Hash)> {
        let report = self.report;
        report.check("entries", self.entries);
        report.check("batches", self.batches);
        report.check("segments", self.segments);
        report.check("bytes", self.bytes);
        let Some(signed) = self.signed else {
            report.not_checked.push("the tree: there is no signed root to compare".to_owned());
            return self.torn;
        };
        let found = self.expected.unwrap_or(0);
        if found < signed.size {
            let missing = format!("sequences {found}..{}", signed.size);
            let detail = match self.expected {
                Some(_) => "signed, and not there: the log was truncated or rolled back",
                None => "signed, and not readable behind the damage above",
            };
            report.find(FindingKind::Truncated, missing, detail);
        } else if !self.compared {
            report.not_checked.push("the signed root, because of the findings".to_owned());
            if report.is_ok() {
                report.find(FindingKind::Signature, "checkpoint", "its root was never reached");
            }
        }
        if let Some(place) = self.unsigned {
            let detail =
                format!("sequences {}..{found} are not signed by the checkpoint", signed.size);
            if self.live.is_so() {
                report.not_checked.push(format!("{place}: {detail}, a writer is at work"));
            } else {
                report.find(FindingKind::Unsigned, place, detail);
            }
        }
        self.torn
    }

    /// Whether the segment begins where the one before ended.
    fn compare_name(&mut self, name: &str, first: u64) {
        match self.expected {
            Some(expected) if first > expected => {
                let place = format!("sequences {expected}..{first}");
                self.report.find(FindingKind::Missing, place, format!("not there before {name}"));
                self.lose(Some(first));
            }
            Some(expected) if first < expected => {
                let detail = format!("begins at sequence {first}, expected {expected}");
                self.report.find(FindingKind::Inserted, name, detail);
            }
            _ => {}
        }
    }

    /// Compares a header with what the entries before it make, then goes on from what it says:
    /// if it lies, the signed root will not come out, and if not, the rest is shown to be sound.
    fn header(&mut self, segment: &Segment<'_>, header: &Header, first: u64, at: Range<usize>) {
        let tip = &header.tip;
        let wrong = if header.origin != self.key.name().hash() {
            Some((FindingKind::Inserted, "the segment belongs to another log"))
        } else if tip.size() != first {
            Some((FindingKind::Reordered, "the header belongs to another place in the log"))
        } else if self.prev.is_some_and(|prev| prev != tip.prev) {
            Some((FindingKind::Metadata, "the header names another last entry than there is"))
        } else if self.tree.as_ref().is_some_and(|tree| *tree != tip.frontier) {
            Some((FindingKind::Metadata, "the header names another tree than the entries make"))
        } else if self.prev.is_some() && self.time_ns != tip.time_ns {
            Some((FindingKind::Metadata, "the header names another time than the last entry"))
        } else {
            None
        };
        if let Some((kind, detail)) = wrong {
            let size = tip.size();
            let place = place(segment.name, at);
            self.report.find(kind, place, format!("{detail} (its sequence: {size})"));
        }
        (self.expected, self.batch_first) = (Some(tip.size()), Some(tip.size()));
        self.prev = Some(tip.prev);
        self.time_ns = tip.time_ns;
        self.tree = Some(tip.frontier.clone());
        self.compare_signed(segment.name);
    }

    /// Walks through frames and trailers from `offset` on.
    fn items(&mut self, segment: &Segment<'_>, mut offset: usize) {
        let mut batch = offset;
        while let Some(rest) = segment.bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match frame::parse(rest) {
                Ok((Item::Frame(frame), len)) => {
                    self.frame(segment, &frame, offset..offset + len);
                    offset += len;
                }
                Ok((Item::Trailer(trailer), len)) => {
                    self.trailer(segment, &trailer, batch..offset, len);
                    offset += len;
                    batch = offset;
                }
                Err(error) => match self.damage(segment, error, offset) {
                    Some(next) if next.ends_batch => {
                        (offset, batch) = (next.offset, next.offset);
                        self.batch_first = self.expected;
                    }
                    Some(next) => offset = next.offset,
                    None => return,
                },
            }
        }
        if batch < offset {
            let place = place(segment.name, batch..offset);
            self.tail(segment, place, FindingKind::Truncated, "a batch without its end");
        }
    }

    fn frame(&mut self, segment: &Segment<'_>, frame: &FrameRef<'_>, at: Range<usize>) {
        let entry = &frame.entry;
        let place = || format!("{}, sequence {}", place(segment.name, at.clone()), entry.sequence);
        let mut sound = true;
        let mut find = |kind, detail: &str| {
            sound = false;
            self.report.find(kind, place(), detail);
        };
        match self.expected {
            Some(expected) if entry.sequence > expected => {
                find(FindingKind::Missing, &format!("sequence {expected} was expected here"));
                (self.prev, self.tree, self.batch_first) = (None, None, None);
            }
            Some(expected) if entry.sequence < expected => {
                find(FindingKind::Inserted, &format!("sequence {expected} was expected here"));
                (self.prev, self.tree, self.batch_first) = (None, None, None);
            }
            _ => {}
        }
        if self.prev.is_some_and(|prev| prev != entry.prev) {
            let detail = "does not chain to the entry before: one of the two is not the original";
            find(FindingKind::Modified, detail);
        }
        if entry.time_ns < self.time_ns {
            find(FindingKind::Time, "older than the entry before");
        }
        if !frame.is_committed() {
            find(FindingKind::Modified, "the content is not the one that the entry commits to");
        }
        if self.signed.as_ref().is_some_and(|signed| entry.sequence >= signed.size) {
            self.unsigned.get_or_insert_with(place);
        }
        self.own_entry(frame, &place);
        if sound {
            (self.each)(&Frame::from(frame));
        }
        self.entries += 1;
        self.advance(frame, segment.name);
    }

    /// Goes behind a frame.
    fn advance(&mut self, frame: &FrameRef<'_>, name: &str) {
        let leaf = frame.entry.leaf_hash();
        self.expected = Some(frame.entry.sequence.saturating_add(1));
        self.prev = Some(leaf);
        self.time_ns = frame.entry.time_ns;
        if let Some(tree) = &mut self.tree {
            tree.push(leaf);
        }
        self.compare_signed(name);
    }

    /// Checks what the ledger says about itself, and remembers which files that makes due.
    fn own_entry(&mut self, frame: &FrameRef<'_>, place: &dyn Fn() -> String) {
        match frame.entry.kind {
            EntryKind::Start if notice::started_key(frame.payload) != Some(&self.key_text) => {
                let detail = "the ledger was started with another key than the one given";
                self.report.find(FindingKind::Metadata, place(), detail);
            }
            EntryKind::Recovery => self.recovery(frame.payload, place()),
            kind if frame.entry.sequence == 0 && kind != EntryKind::Start => {
                let detail = "the first entry of a ledger is its start";
                self.report.find(FindingKind::Metadata, place(), detail);
            }
            _ => {}
        }
    }

    fn recovery(&mut self, payload: &[u8], place: String) {
        let Some(wreck) = Wreck::parse(payload) else {
            let detail = "a recovery entry that does not say what was recovered";
            self.report.find(FindingKind::Metadata, place, detail);
            return;
        };
        self.torn.extend(wreck.torn.into_iter().map(|torn| (torn.file, (torn.len, torn.sha256))));
    }

    fn trailer(
        &mut self,
        segment: &Segment<'_>,
        trailer: &Trailer,
        batch: Range<usize>,
        len: usize,
    ) {
        self.batches += 1;
        let at = batch.end..batch.end + len;
        if batch.is_empty() {
            let place = place(segment.name, at);
            self.report.find(FindingKind::Inserted, place, "the end of a batch without entries");
        } else if self.expected.is_some_and(|expected| expected != trailer.size)
            || self.batch_first.is_some_and(|first| first != trailer.first)
        {
            let Trailer { first, size, .. } = trailer;
            let detail = format!("says that it ends a batch with the sequences {first}..{size}");
            self.report.find(FindingKind::Metadata, place(segment.name, at), detail);
        } else if self.tree.as_ref().is_some_and(|tree| tree.root() != trailer.root) {
            let place = place(segment.name, batch.start..at.end);
            let place = format!("{place}, up to sequence {}", trailer.size.saturating_sub(1));
            let detail = "the entries of the batch make another tree than its end names";
            self.report.find(FindingKind::Modified, place, detail);
        }
        self.batch_first = self.expected;
    }

    fn compare_signed(&mut self, name: &str) {
        let (Some(signed), Some(tree)) = (&self.signed, &self.tree) else { return };
        if tree.size() != signed.size || self.expected != Some(signed.size) {
            return;
        }
        self.compared = true;
        if tree.root() != signed.root {
            let place = format!("sequences 0..{}, ending in {name}", signed.size);
            let detail = "these are not the entries that were signed: their tree has another root";
            self.report.find(FindingKind::Modified, place, detail);
        }
    }
}

/// A byte range of a file, as findings name it.
pub(super) fn place(name: &str, at: Range<usize>) -> String {
    format!("{name} bytes {}..{}", at.start, at.end)
}
