//! One round of an ingest: what its workers share, and what they hand over.
//!
//! A round is a stretch of the sources that is committed as a whole. It ends when enough rows were read, at the border
//! of an item.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keytrail_ledger::{Hash, Reader};

use crate::data_file::DataFileWritten;
use crate::dedup::EventIds;
use crate::faults::Faults;
use crate::gate::{Closed, Gate};
use crate::lake::Known;
use crate::quarantine::Quarantine;
use crate::source::{Item, Unreadable};
use crate::worker::Worker;
use crate::{IngestOptions, LakeError, LakePaths, Progress, SourceReceipt};

/// A round ends when its receipts weigh this much in the catalog, well below the ledger's limit of 64 MiB a payload.
const ROUND_RECEIPT_BYTES: u64 = 16 << 20;
/// What a byte of a name may become in JSON: `\u0001`.
pub(crate) const JSON_BYTES_MAX: u64 = 6;
/// What a receipt weighs without its name, and each of its broken records: an upper estimate, in bytes.
pub(crate) const RECEIPT_BYTES: u64 = 512;

/// What the workers of one round share.
pub(crate) struct Shared<'a> {
    pub(crate) paths: &'a LakePaths,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) faults: &'a Faults,
    pub(crate) options: &'a IngestOptions,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) known: &'a Known,
    pub(crate) ids: &'a EventIds,
    /// Reads the ids of the events that the lake has, the first time that somebody needs them.
    pub(crate) complete_ids: &'a (dyn Fn() -> Result<(), LakeError> + Sync),
    pub(crate) items: &'a [Item],
    pub(crate) ledgers: &'a [LedgerSource],
    /// Number of the first item.
    pub(crate) first: u32,
    /// How many items were handed out.
    pub(crate) taken: AtomicUsize,
    pub(crate) hashed: Gate,
    pub(crate) claimed: Gate,
    /// Contents of this round, with the earliest item that has each.
    pub(crate) contents: Mutex<HashMap<Hash, u32>>,
    pub(crate) rows: AtomicU64,
    pub(crate) receipt_bytes: AtomicU64,
    pub(crate) files_written: AtomicU64,
    pub(crate) outcome: Mutex<Outcome>,
}

/// A ledger that is being taken in.
pub(crate) struct LedgerSource {
    pub(crate) dir: PathBuf,
    pub(crate) reader: Reader,
}

impl LedgerSource {
    /// The entry before `end` must be the one that was taken in.
    pub(crate) fn refuse_other(&self, end: u64, last_leaf: Hash) -> Result<(), LakeError> {
        let fail = |source| LakeError::SourceLedger { path: self.dir.clone(), source };
        let Some(last) = end.checked_sub(1) else { return Ok(()) };
        let found = self.reader.frames(last).next().transpose().map_err(fail)?;
        let detail = match found {
            None => "is missing",
            Some(frame) if frame.entry.leaf_hash() != last_leaf => "is another one",
            Some(_) => return Ok(()),
        };
        Err(LakeError::SourceForked { path: self.dir.clone(), sequence: last, detail })
    }
}

/// What a round has produced so far.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) files: Vec<(u32, DataFileWritten)>,
    pub(crate) taken: Vec<Taken>,
    pub(crate) known: u64,
    pub(crate) skipped: u64,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// An item, or a part of a ledger's range, that became rows.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) item: u32,
    pub(crate) receipt: SourceReceipt,
    pub(crate) bytes: u64,
    /// Of a ledger: the leaf hash that its first entry names as the one before.
    pub(crate) prev: Option<Hash>,
}

/// Why a worker stops early.
pub(crate) enum Stop {
    /// It failed.
    Failed(LakeError),
    /// Another one did.
    Closed,
}

impl From<LakeError> for Stop {
    fn from(error: LakeError) -> Self {
        Self::Failed(error)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl Shared<'_> {
    /// Works until the items are used up or the round is full.
    pub(crate) fn work(&self) -> Result<(), Stop> {
        // Also when this thread panics, nobody must wait for it.
        let guard = CloseOnDrop(self);
        let mut worker = Worker::new(self);
        while let Some((number, item)) = self.next() {
            match item {
                Item::File(file) => worker.take_file(number, file)?,
                Item::Range { ledger, first, end } => {
                    worker.take_range(number, *ledger, *first, *end)?;
                }
            }
            if worker.is_full() {
                worker.close_data_file()?;
            }
        }
        worker.close_data_file()?;
        std::mem::forget(guard);
        Ok(())
    }

    fn next(&self) -> Option<(u32, &Item)> {
        let full = self.rows.load(Ordering::Relaxed) >= self.options.rows_per_commit.max(1) as u64
            || self.receipt_bytes.load(Ordering::Relaxed) >= ROUND_RECEIPT_BYTES;
        if full {
            return None;
        }
        // Counted past the end by each worker once; `taken` is capped by whoever reads it.
        let at = self.taken.fetch_add(1, Ordering::Relaxed);
        let item = self.items.get(at)?;
        Some((self.first + u32::try_from(at).unwrap_or(u32::MAX), item))
    }

    /// What was produced so far.
    pub(crate) fn outcome(&self) -> MutexGuard<'_, Outcome> {
        // Each push is complete or did not happen.
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct CloseOnDrop<'a, 'b>(&'a Shared<'b>);

impl Drop for CloseOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.hashed.close();
        self.0.claimed.close();
    }
}
