//! Reading a ledger's content in order, without a secret, beside a running writer.
//!
//! A reader stops at the checkpoint that stood when it was opened, so it never sees what is not
//! signed. It checks batch by batch (checksums, commitments, chain, tree), and at the end that
//! these are the entries that were signed. What it takes on trust until then is the header of the
//! segment it begins with; and the public key is the one beside the data. Who must not trust the
//! directory compares [`Reader::verifying_key`] with a key of their own, or runs
//! [`crate::verify_frames`].

use std::collections::VecDeque;
use std::path::Path;

use crate::batch::read_batch;
use crate::checkpoint::Checkpoint;
use crate::entry::{Entry, SALT_LEN};
use crate::error::LedgerError;
use crate::frame::{self, FrameRef, Item};
use crate::note::{SignedNote, VerifyingKey};
use crate::recover::{read_checkpoint, read_public_key};
use crate::segment::{Header, SEGMENT_LEN_MAX, parse_segment_name, segment_name};
use crate::storage::{DirStorage, Storage};
use crate::tip::Tip;
use crate::writer::failed;

/// One entry with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The leaf.
    pub entry: Entry,
    /// Hides the content from whoever has the entry only.
    pub salt: [u8; SALT_LEN],
    /// The content.
    pub payload: Vec<u8>,
    /// The sealed state change that belongs to it, or nothing.
    pub state: Vec<u8>,
}

impl From<&FrameRef<'_>> for Frame {
    fn from(frame: &FrameRef<'_>) -> Self {
        let FrameRef { entry, salt, payload, state } = *frame;
        Self { entry, salt: *salt, payload: payload.to_vec(), state: state.to_vec() }
    }
}

/// A ledger open for reading, up to the checkpoint that stood when it was opened.
#[derive(Clone, Debug)]
pub struct Reader {
    storage: DirStorage,
    key: VerifyingKey,
    checkpoint: Checkpoint,
    note: SignedNote,
    segments: Vec<u64>,
}

impl Reader {
    /// Opens the ledger in `dir` for reading. Open it again to see what was appended since.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let storage = DirStorage::new(dir);
        let key = read_public_key(&storage)?;
        // The checkpoint first: what it signs is in the segments by then.
        let (note, checkpoint) = read_checkpoint(&storage, &key)?;
        let names = storage.list().map_err(failed("list", "the ledger's directory"))?;
        let mut segments: Vec<u64> =
            names.iter().filter_map(|name| parse_segment_name(name)).collect();
        segments.sort_unstable();
        Ok(Self { storage, key, checkpoint, note, segments })
    }

    /// The checkpoint up to which it reads.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The same with its signature, as in the file `checkpoint`.
    pub fn signed_checkpoint(&self) -> &SignedNote {
        &self.note
    }

    /// The public key in the directory, under the log's name.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The frames with this sequence and later ones, in order, all kinds. After an error the
    /// iterator ends.
    pub fn frames(&self, from_sequence: u64) -> Frames {
        let start = self.segments.partition_point(|&first| first <= from_sequence);
        let segments = self.segments.get(start.saturating_sub(1)..).unwrap_or_default();
        Frames {
            storage: self.storage.clone(),
            origin: self.key.name().hash(),
            checkpoint: self.checkpoint.clone(),
            segments: segments.iter().copied().collect(),
            from: from_sequence,
            tip: None,
            segment: Segment::default(),
            done: from_sequence >= self.checkpoint.size,
        }
    }
}

/// The frames of a ledger, in order; made by [`Reader::frames`].
#[derive(Debug)]
pub struct Frames {
    storage: DirStorage,
    origin: crate::Hash,
    checkpoint: Checkpoint,
    /// Segments not yet read.
    segments: VecDeque<u64>,
    from: u64,
    /// Where the last batch that was read ended.
    tip: Option<Tip>,
    segment: Segment,
    done: bool,
}

/// The segment being read: `offset..batch_end` are frames of a batch that is known to be good.
#[derive(Debug, Default)]
struct Segment {
    name: String,
    bytes: Vec<u8>,
    offset: usize,
    batch_end: usize,
}

impl Iterator for Frames {
    type Item = Result<Frame, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.segment.next_frame() {
                Some(frame) if frame.entry.sequence >= self.from => return Some(Ok(frame)),
                Some(_) => {}
                None if self.done => return None,
                None => {
                    if let Err(error) = self.next_batch() {
                        self.done = true;
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

impl Frames {
    /// Reads and checks the next batch. Sets `done` behind the one that ends at the checkpoint.
    fn next_batch(&mut self) -> Result<(), LedgerError> {
        let tip = match self.tip.take() {
            Some(tip) if self.segment.batch_end < self.segment.bytes.len() => tip,
            before => self.next_segment(before)?,
        };
        let Segment { name, bytes, offset, batch_end } = &mut self.segment;
        if *batch_end == bytes.len() {
            self.tip = Some(tip); // a segment without entries yet
            return Ok(());
        }
        let batch = read_batch(bytes.get(*batch_end..).unwrap_or_default(), &tip);
        let batch = batch.map_err(|bad| LedgerError::Damaged {
            file: name.clone(),
            offset: (*batch_end + bad.offset) as u64,
            sequence: bad.sequence,
            detail: bad.fault.to_string(),
        })?;
        *offset = *batch_end;
        *batch_end += batch.len;
        let Checkpoint { size, root, .. } = self.checkpoint;
        if batch.tip.size() >= size {
            if (batch.tip.size(), batch.tip.frontier.root()) != (size, root) {
                *batch_end = *offset;
                return Err(LedgerError::Forked { file: name.clone(), size });
            }
            self.done = true;
        }
        self.tip = Some(batch.tip);
        Ok(())
    }

    /// Reads the next segment, which has to continue `before`.
    fn next_segment(&mut self, before: Option<Tip>) -> Result<Tip, LedgerError> {
        let found = before.as_ref().map_or(0, Tip::size);
        let Some(first) = self.segments.pop_front() else {
            let (signed, file) = (self.checkpoint.size, self.segment.name.clone());
            return Err(LedgerError::Rollback { signed, found, file });
        };
        let name = segment_name(first);
        let bytes = self.storage.read(&name, SEGMENT_LEN_MAX).map_err(failed("read", &name))?;
        let bad = |detail: &str| LedgerError::Damaged {
            file: name.clone(),
            offset: 0,
            sequence: found,
            detail: detail.to_owned(),
        };
        let (header, len) = Header::parse(&bytes).map_err(|error| bad(&error.to_string()))?;
        if header.origin != self.origin || header.tip.size() != first {
            return Err(bad("the segment belongs to another log or another place"));
        }
        if before.is_some_and(|before| before != header.tip) {
            return Err(bad("the segment does not continue the one before it"));
        }
        self.segment = Segment { name, bytes, offset: len, batch_end: len };
        Ok(header.tip)
    }
}

impl Segment {
    /// The next frame of the current batch.
    fn next_frame(&mut self) -> Option<Frame> {
        while self.offset < self.batch_end {
            let (item, len) = frame::parse(self.bytes.get(self.offset..)?).ok()?;
            self.offset += len;
            if let Item::Frame(frame) = item {
                return Some(Frame::from(&frame));
            }
        }
        None
    }
}
