//! Finding the end of a ledger that may not have been closed.
//!
//! Opening reads from the segment in which the signed size lies, which nearly always is the last,
//! and ends in one of three ways. Everything signed is there, and what follows is whole batches by
//! the holder of the key: the log stands behind them. Or bytes follow that a crash can have left:
//! they are put aside, never thrown away. Or anything else: refused. Damage to entries that may
//! have been acknowledged is for a person to look at; cutting it away would destroy the evidence.
//!
//! ```text
//!   header │ batch │ batch │ batch │ torn      behind the signed size: put aside
//!                          ▲
//!                     signed size              before it: damaged, rolled back, forked: refused
//! ```

use std::io;

use crate::batch::{BadBatch, Batch, Fault, read_batch};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::error::LedgerError;
use crate::frame::{self, FrameError};
use crate::hash::Hash;
use crate::note::{NOTE_LEN_MAX, SignedNote, VerifyingKey};
use crate::notice::{Torn, Wreck, parse_torn_name, torn_name};
use crate::seal::Seal;
use crate::segment::{Header, SEGMENT_LEN_MAX, parse_segment_name, segment_name};
use crate::storage::{CHECKPOINT_FILE, PUBLIC_KEY_FILE, Storage, TEMPORARY};
use crate::tip::Tip;
use crate::writer::failed;

/// Times that a refused checkpoint is read again while it changes. One read in a million meets the
/// moment of writing.
const READS_MAX: usize = 100;

/// Where a ledger ends.
pub(crate) struct End {
    /// Where the log stands.
    pub(crate) tip: Tip,
    /// The last segment.
    pub(crate) segment: String,
    /// Its header and its whole batches.
    pub(crate) whole: Vec<u8>,
    /// The bytes behind them: what a crash left of a batch.
    torn: Vec<u8>,
}

/// Reads the public key in the directory.
pub(crate) fn read_public_key(storage: &dyn Storage) -> Result<VerifyingKey, LedgerError> {
    let bytes = storage.read(PUBLIC_KEY_FILE, NOTE_LEN_MAX as u64);
    let bytes = bytes.map_err(failed("read", PUBLIC_KEY_FILE))?;
    parse_public_key(&bytes)
        .map_err(|source| LedgerError::Refused { file: PUBLIC_KEY_FILE, source })
}

/// The key in the bytes of the file `public-key`: its text and a newline.
pub(crate) fn parse_public_key(bytes: &[u8]) -> Result<VerifyingKey, CheckpointError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CheckpointError::Text)?;
    let text = text.strip_suffix('\n').ok_or(CheckpointError::Text)?;
    Ok(VerifyingKey::parse(text)?)
}

/// Reads the checkpoint.
pub(crate) fn read_checkpoint(
    storage: &dyn Storage,
    key: &VerifyingKey,
) -> Result<(SignedNote, Checkpoint), LedgerError> {
    match read_signed(storage, key) {
        Ok(signed) => {
            signed.map_err(|source| LedgerError::Refused { file: CHECKPOINT_FILE, source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LedgerError::NoCheckpoint),
        Err(error) => Err(failed("read", CHECKPOINT_FILE)(error)),
    }
}

/// Reads the checkpoint beside a writer who may be writing over it: what is refused is read again,
/// as long as that gives something else.
pub(crate) fn read_signed(
    storage: &dyn Storage,
    key: &VerifyingKey,
) -> io::Result<Result<(SignedNote, Checkpoint), CheckpointError>> {
    let read = || storage.read(CHECKPOINT_FILE, NOTE_LEN_MAX as u64);
    let mut bytes = read()?;
    for _ in 0..READS_MAX {
        let signed = parse_signed(&bytes, key);
        let again = if signed.is_err() { read()? } else { Vec::new() };
        if signed.is_ok() || again == bytes {
            return Ok(signed);
        }
        bytes = again;
    }
    Ok(parse_signed(&bytes, key))
}

fn parse_signed(
    bytes: &[u8],
    key: &VerifyingKey,
) -> Result<(SignedNote, Checkpoint), CheckpointError> {
    let note = SignedNote::parse(bytes)?;
    let checkpoint = Checkpoint::verify(&note, key)?;
    Ok((note, checkpoint))
}

/// Finds the end of the ledger with these files.
pub(crate) fn find_end(
    storage: &dyn Storage,
    names: &[String],
    key: &VerifyingKey,
    seal: &Seal,
    signed: &Checkpoint,
) -> Result<End, LedgerError> {
    let mut segments: Vec<u64> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    segments.sort_unstable();
    let start = segments.partition_point(|&first| first <= signed.size);
    let Some(segments) = start.checked_sub(1).and_then(|start| segments.get(start..)) else {
        let file = segment_name(0);
        return Err(LedgerError::Rollback { signed: signed.size, found: 0, file });
    };
    let mut end: Option<End> = None;
    for &first in segments {
        let name = segment_name(first);
        if let Some(before) = end.take_if(|end| !end.torn.is_empty()) {
            let detail = "the segment ends within a batch, and is not the last one";
            return Err(damaged(
                &before.segment,
                before.whole.len() as u64,
                before.tip.size(),
                detail,
            ));
        }
        let bytes = storage.read(&name, SEGMENT_LEN_MAX).map_err(failed("read", &name))?;
        let scan = Scan { name, bytes, key, seal, signed };
        end = Some(scan.run(end.map(|end| end.tip))?);
    }
    match end {
        Some(end) if end.tip.size() >= signed.size => Ok(end),
        Some(End { tip, segment: file, .. }) => {
            Err(LedgerError::Rollback { signed: signed.size, found: tip.size(), file })
        }
        None => Err(LedgerError::Rollback { signed: signed.size, found: 0, file: segment_name(0) }),
    }
}

/// One segment being read.
struct Scan<'a> {
    name: String,
    bytes: Vec<u8>,
    key: &'a VerifyingKey,
    seal: &'a Seal,
    signed: &'a Checkpoint,
}

impl Scan<'_> {
    /// Reads the segment to its end. `before` is where the segment before it ended.
    fn run(mut self, before: Option<Tip>) -> Result<End, LedgerError> {
        let (mut tip, header_len) = self.header(before)?;
        self.compare_signed(&tip)?;
        let mut offset = header_len;
        while offset < self.bytes.len() {
            match read_batch(&self.bytes[offset..], &tip) {
                Ok(batch) => {
                    self.accept(&batch, &tip, offset)?;
                    offset += batch.len;
                    tip = batch.tip;
                }
                Err(bad) => {
                    self.only_torn(&bad, &tip, offset)?;
                    break;
                }
            }
        }
        let torn = self.bytes.split_off(offset);
        Ok(End { tip, segment: self.name, whole: self.bytes, torn })
    }

    fn header(&self, before: Option<Tip>) -> Result<(Tip, usize), LedgerError> {
        let bad = |detail: &str| damaged(&self.name, 0, 0, detail);
        let (header, len) = Header::parse(&self.bytes).map_err(|error| bad(&error.to_string()))?;
        if header.origin != self.key.name().hash() {
            return Err(bad("the segment belongs to another log"));
        }
        if !header.is_ours(self.seal) {
            return Err(bad("the header was not written by the holder of the key"));
        }
        if segment_name(header.tip.size()) != self.name {
            return Err(bad("the header belongs to another segment"));
        }
        if before.is_some_and(|before| before != header.tip) {
            return Err(bad("the segment does not continue the one before it"));
        }
        Ok((header.tip, len))
    }

    /// Refuses a whole batch that was not signed and that the holder of the key did not write, and
    /// one that is not what was signed.
    fn accept(&self, batch: &Batch, before: &Tip, offset: usize) -> Result<(), LedgerError> {
        let signed_size = self.signed.size;
        let Batch { tip, trailer, .. } = batch;
        if before.size() < signed_size && signed_size < tip.size() {
            return Err(self.forked(signed_size));
        }
        if tip.size() > signed_size && !self.seal.holds_for_batch(trailer) {
            let detail = "the batch is unsigned and not by the holder of the key";
            return Err(damaged(&self.name, offset as u64, before.size(), detail));
        }
        self.compare_signed(tip)
    }

    fn compare_signed(&self, tip: &Tip) -> Result<(), LedgerError> {
        let Checkpoint { size, root, .. } = *self.signed;
        if size == tip.size() && root != tip.frontier.root() {
            return Err(self.forked(size));
        }
        Ok(())
    }

    fn forked(&self, size: u64) -> LedgerError {
        LedgerError::Forked { file: self.name.clone(), size }
    }

    /// Whether a crash can have left what stands at `offset`, behind `tip`.
    fn only_torn(&self, bad: &BadBatch, tip: &Tip, offset: usize) -> Result<(), LedgerError> {
        let signed = self.signed.size;
        let damage = |detail: &str| {
            Err(damaged(&self.name, (offset + bad.offset) as u64, bad.sequence, detail))
        };
        if tip.size() < signed {
            if bad.fault == Fault::Frame(FrameError::Cut) {
                let (found, file) = (tip.size(), self.name.clone());
                return Err(LedgerError::Rollback { signed, found, file });
            }
            return damage(&bad.fault.to_string());
        }
        if !bad.fault.may_be_torn() {
            return damage(&bad.fault.to_string());
        }
        // A batch is begun only when the one before is durable, so a crash tears the last one
        // only, and its trailer, if it reached the disk, ends the file. A trailer of a later batch,
        // or one with more behind it, shows that the batch was once whole: the damage is not from
        // a crash. Sizes and codes keep out trailers that a payload repeats.
        let rest = &self.bytes[offset..];
        let found = frame::find_trailer(rest, |trailer| {
            trailer.size > tip.size() && self.seal.holds_for_batch(trailer)
        });
        match found {
            Some((at, trailer))
                if trailer.first > tip.size() || at + frame::TRAILER_LEN < rest.len() =>
            {
                damage("damaged, and later batches follow")
            }
            _ => Ok(()),
        }
    }
}

/// Puts a torn tail into quarantine. Returns what the next entry has to tell, including tails that
/// an interrupted recovery left without an entry.
///
/// The copy is durable before the tail is cut away ([`rewrite`]): a crash in between finds the tail
/// in both places and takes the copy for what it is. The copy is named after the sequence of the
/// entry that will tell of it; while the log is not longer than that, the entry is to be written.
pub(crate) fn put_aside(
    storage: &dyn Storage,
    names: &[String],
    end: &End,
) -> Result<Wreck, LedgerError> {
    let sequence = end.tip.size();
    let mut numbers: Vec<usize> = names
        .iter()
        .filter_map(|name| parse_torn_name(name))
        .filter_map(|(at, number)| (at == sequence).then_some(number))
        .collect();
    numbers.sort_unstable();
    let mut wreck = Wreck::default();
    for &number in &numbers {
        let file = torn_name(sequence, number);
        let bytes = storage.read(&file, SEGMENT_LEN_MAX).map_err(failed("read", &file))?;
        wreck.torn.push(Torn { file, len: bytes.len() as u64, sha256: Hash::of(&bytes) });
    }
    let sha256 = Hash::of(&end.torn);
    if !end.torn.is_empty() && wreck.torn.last().is_none_or(|last| last.sha256 != sha256) {
        let file = torn_name(sequence, numbers.last().map_or(0, |last| last + 1));
        let kept = storage.replace_durably(&file, &end.torn);
        kept.map_err(failed("write", &file))?;
        wreck.torn.push(Torn { file, len: end.torn.len() as u64, sha256 });
    }
    Ok(wreck)
}

/// Writes the last segment again, without a torn tail, if it has a tail of either sort. What was
/// signed was synced. What was not may only be in the system's memory: after a failed sync Linux
/// calls pages clean that never reached the disk, and a later sync of them does nothing.
pub(crate) fn rewrite(
    storage: &dyn Storage,
    end: &End,
    signed: &Checkpoint,
) -> Result<(), LedgerError> {
    if end.torn.is_empty() && signed.size == end.tip.size() {
        return Ok(());
    }
    let rewritten = storage.replace_durably(&end.segment, &end.whole);
    rewritten.map_err(failed("rewrite", &end.segment))
}

/// Removes what interrupted replacements left. Nothing in such a file was ever in force.
pub(crate) fn remove_temporaries(
    storage: &dyn Storage,
    names: &[String],
) -> Result<(), LedgerError> {
    let ours = |name: &&String| {
        name.strip_suffix(TEMPORARY).is_some_and(|name| {
            name == CHECKPOINT_FILE
                || name == PUBLIC_KEY_FILE
                || parse_segment_name(name).is_some()
                || parse_torn_name(name).is_some()
        })
    };
    names
        .iter()
        .filter(ours)
        .try_for_each(|name| storage.remove(name).map_err(failed("remove", name)))
}

fn damaged(file: &str, offset: u64, sequence: u64, detail: &str) -> LedgerError {
    LedgerError::Damaged { file: file.to_owned(), offset, sequence, detail: detail.to_owned() }
}
