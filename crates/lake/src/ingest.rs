//! An ingest, as one linear story: list, plan, then round after round: read, write data files, commit.
//!
//! A round is a stretch of the sources in their order, about a million rows long, and is committed as a whole. After a
//! crash the lake therefore holds the sources up to some point and nothing behind it; in particular no duplicate whose
//! first occurrence is missing. The next ingest reads everything again and takes in what has no receipt.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use arrow::array::{Array, AsArray, BooleanArray};
use keytrail_event::{COLUMNS, col};
use keytrail_ledger::Reader;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::catalog::{ReceiptSource, SourceReceipt};
use crate::dedup::{EventId, EventIds, Position};
use crate::gate::Gate;
use crate::lake::{Known, Lake};
use crate::round::{LedgerSource, Outcome, Shared, Stop, Taken};
use crate::rows::DUPLICATE;
use crate::snapshot::{DataFile, Snapshot};
use crate::source::{self, Item, Listing, Source, Unreadable};

use crate::{LakeError, Progress, Quarantined};

/// Rows of a data file's ids that are read at a time.
const ID_BATCH_ROWS: usize = 65_536;

/// How to ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestOptions {
    /// Threads that read, split and write. Here and below, 0 counts as 1.
    pub threads: usize,
    /// Rows after which a data file is closed; a source file is never divided, so it may have more.
    pub rows_per_file: usize,
    /// Rows after which a commit is made.
    pub rows_per_commit: usize,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self { threads: 2, rows_per_file: 262_144, rows_per_commit: 1_048_576 }
    }
}

/// What an ingest did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Files and ledger ranges found.
    pub files_seen: u64,
    /// Of these, taken in now.
    pub files_new: u64,
    /// Of these, taken in before, under this name or another.
    pub files_known: u64,
    /// Of these, no logs: digests, Insights, other formats.
    pub files_skipped: u64,
    /// Records found in the new ones: rows, and what is in quarantine.
    pub records: u64,
    /// Of these, rows now.
    pub rows: u64,
    /// Rows whose event had come before.
    pub duplicates: u64,
    /// What could not become a row, with the name of its source.
    pub quarantined: Vec<(String, Quarantined)>,
    /// What the system would not list or read; the next ingest tries again.
    pub unreadable: Vec<Unreadable>,
    /// Bytes of the new files as stored, and of the ledger records.
    pub bytes_in: u64,
    /// Bytes of the data files written.
    pub bytes_out: u64,
    /// Commits made.
    pub commits: u64,
}

/// What is to be read.
#[derive(Default)]
pub(crate) struct Plan {
    items: Vec<Item>,
    ledgers: Vec<LedgerSource>,
    skipped: u64,
    unreadable: Vec<Unreadable>,
}

impl Plan {
    /// Whether there is nothing to be read, and nothing to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.unreadable.is_empty()
    }
}

impl Lake {
    /// Takes in what is new in the sources.
    pub fn ingest(
        &mut self,
        sources: &[Source],
        options: &IngestOptions,
        progress: &dyn Progress,
    ) -> Result<IngestReport, LakeError> {
        let plan = self.plan(source::list(sources)?)?;
        self.take_in(plan, options, progress)
    }

    /// What of a listing may be new: all files, because only their content can tell, and the ledgers' newer entries.
    pub(crate) fn plan(&self, listing: Listing) -> Result<Plan, LakeError> {
        let mut plan = Plan {
            items: listing.files.into_iter().map(Item::File).collect(),
            skipped: listing.skipped,
            unreadable: listing.unreadable,
            ledgers: Vec::new(),
        };
        for dir in listing.ledgers {
            let fail = |source| LakeError::SourceLedger { path: dir.clone(), source };
            let reader = Reader::open(&dir).map_err(fail)?;
            let checkpoint = reader.checkpoint().clone();
            if plan.ledgers.iter().any(|it| it.reader.checkpoint().origin == checkpoint.origin) {
                continue;
            }
            let source = LedgerSource { dir, reader };
            let known = self.known.ledgers.get(checkpoint.origin.as_str());
            if let Some((end, last_leaf)) = known {
                source.refuse_other(*end, *last_leaf)?;
            }
            let first = known.map_or(0, |(end, _)| *end);
            plan.items.extend(source::ranges(plan.ledgers.len(), first, checkpoint.size));
            plan.ledgers.push(source);
        }
        Ok(plan)
    }

    pub(crate) fn take_in(
        &mut self,
        plan: Plan,
        options: &IngestOptions,
        progress: &dyn Progress,
    ) -> Result<IngestReport, LakeError> {
        let Plan { items, ledgers, skipped, unreadable } = plan;
        let mut report = IngestReport {
            files_seen: items.len() as u64 + skipped,
            files_skipped: skipped,
            unreadable,
            ..IngestReport::default()
        };
        progress.planned(items.len() as u64, items.iter().map(stored_bytes).sum());
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let round = self.round(rest, &ledgers, options, progress);
            let ended = round.and_then(|(taken, outcome)| {
                rest = &rest[taken..];
                self.end_round(outcome, &ledgers, progress, &mut report)
            });
            if let Err(error) = ended {
                // What the failed round claimed would make its events duplicates of themselves at the next try.
                self.forget_ids();
                return Err(error);
            }
        }
        Ok(report)
    }

    /// Reads items until the round is full. How many, and what became of them.
    fn round(
        &mut self,
        items: &[Item],
        ledgers: &[LedgerSource],
        options: &IngestOptions,
        progress: &dyn Progress,
    ) -> Result<(usize, Outcome), LakeError> {
        self.make_room_for_numbers(items.len());
        let complete = Mutex::new(self.ids_are_complete);
        let complete_ids = || {
            let mut complete = complete.lock().unwrap_or_else(PoisonError::into_inner);
            if !*complete {
                read_ids(&Snapshot::read(self.paths.root())?, &self.ids)?;
                *complete = true;
            }
            Ok(())
        };
        let shared = Shared {
            paths: &self.paths,
            quarantine: &self.quarantine,
            faults: &self.faults,
            known: &self.known,
            ids: &self.ids,
            complete_ids: &complete_ids,
            options,
            progress,
            items,
            ledgers,
            first: self.next_item,
            taken: AtomicUsize::new(0),
            hashed: Gate::new(self.next_item),
            claimed: Gate::new(self.next_item),
            contents: Mutex::default(),
            rows: AtomicU64::new(0),
            receipt_bytes: AtomicU64::new(0),
            files_written: AtomicU64::new(0),
            outcome: Mutex::default(),
        };
        run(&shared, options.threads.max(1).min(items.len()))?;
        let taken = shared.taken.into_inner().min(items.len());
        let outcome = shared.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.ids_are_complete = complete.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.next_item = self.next_item.saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
        Ok((taken, outcome))
    }

    /// Items are numbered in 32 bits. After four billion of them the count begins anew, with nothing claimed.
    fn make_room_for_numbers(&mut self, items: usize) {
        let fits =
            u32::try_from(items).is_ok_and(|items| self.next_item.checked_add(items).is_some());
        if !fits {
            self.forget_ids();
            self.next_item = 1;
        }
    }

    /// Commits a round and counts it.
    fn end_round(
        &mut self,
        outcome: Outcome,
        ledgers: &[LedgerSource],
        progress: &dyn Progress,
        report: &mut IngestReport,
    ) -> Result<(), LakeError> {
        let Outcome { mut files, mut taken, known, skipped, mut unreadable } = outcome;
        files.sort_by_key(|(item, _)| *item);
        // Stable: the parts of one range stay in their order.
        taken.sort_by_key(|taken| taken.item);
        unreadable.sort_by(|one, other| one.path.cmp(&other.path));
        refuse_forks(&taken, ledgers, &self.known)?;
        report.files_known += known;
        report.files_skipped += skipped;
        report.unreadable.append(&mut unreadable);
        if taken.is_empty() {
            return Ok(());
        }
        let bytes_in: u64 = taken.iter().map(|taken| taken.bytes).sum();
        let receipts: Vec<_> = taken.into_iter().map(|taken| taken.receipt).collect();
        let files: Vec<_> = files.into_iter().map(|(_, written)| written).collect();
        let rows = files.iter().map(|written| written.file.rows).sum();
        let bytes_out: u64 = files.iter().map(|written| written.file.size).sum();
        let counted = receipts.clone();
        self.commit(files, receipts)?;
        progress.committed(rows);
        report.commits += 1;
        report.bytes_in += bytes_in;
        report.bytes_out += bytes_out;
        for receipt in counted {
            report.count(receipt);
        }
        Ok(())
    }
}

impl IngestReport {
    fn count(&mut self, receipt: SourceReceipt) {
        self.files_new += 1;
        self.records += receipt.records;
        self.rows += receipt.rows;
        self.duplicates += receipt.duplicates;
        let name = match receipt.source {
            ReceiptSource::File { name, .. } => name,
            ReceiptSource::Ledger { origin, .. } => origin,
        };
        let named = receipt.quarantined.into_iter().map(|item| (name.clone(), item));
        self.quarantined.extend(named);
    }
}

/// Runs the workers. The error is that of the worker that failed first, by its place; the others only stop.
fn run(shared: &Shared<'_>, threads: usize) -> Result<(), LakeError> {
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| shared.work())).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| match worker.join() {
            Ok(result) => result,
            // A bug: let it be seen where it happened.
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().map(join).collect()
    });
    for result in results {
        match result {
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) | Err(Stop::Closed) => {}
        }
    }
    Ok(())
}

/// The parts of each ledger must continue one another, and what was taken in before.
fn refuse_forks(taken: &[Taken], ledgers: &[LedgerSource], known: &Known) -> Result<(), LakeError> {
    let mut ends = HashMap::new();
    for part in taken {
        let ReceiptSource::Ledger { origin, first, end, last_leaf } = &part.receipt.source else {
            continue;
        };
        let before = ends.get(origin).or_else(|| known.ledgers.get(origin));
        let continues = match before {
            Some((sequence, leaf)) => sequence == first && part.prev == Some(*leaf),
            None => *first == 0,
        };
        if !continues {
            let source = ledgers.iter().find(|it| it.reader.checkpoint().origin.as_str() == origin);
            let path = source.map(|source| source.dir.clone()).unwrap_or_default();
            let detail = "does not continue the entry before it";
            return Err(LakeError::SourceForked { path, sequence: *first, detail });
        }
        ends.insert(origin.clone(), (*end, *last_leaf));
    }
    Ok(())
}

/// Claims the ids of all events in the lake. Duplicates claim nothing: after a crash their first occurrence may be
/// still to come.
fn read_ids(snapshot: &Snapshot, ids: &EventIds) -> Result<(), LakeError> {
    for file in &snapshot.files {
        read_ids_of(snapshot, file, ids)?;
    }
    Ok(())
}

fn read_ids_of(snapshot: &Snapshot, file: &DataFile, ids: &EventIds) -> Result<(), LakeError> {
    let path = snapshot.events.join(&file.path);
    let fail = || LakeError::parquet("read the ids of", &path);
    let open = File::open(&path).map_err(LakeError::io("open", &path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(open).map_err(fail())?;
    let mask = ProjectionMask::leaves(builder.parquet_schema(), [col::EVENT_ID, DUPLICATE]);
    let builder = builder.with_projection(mask).with_batch_size(ID_BATCH_ROWS);
    for batch in builder.build().map_err(fail())? {
        let batch = batch.map_err(|error| fail()(error.into()))?;
        let column = |name: &str, expected| {
            let missing = || LakeError::Column { column: name.to_owned(), expected };
            batch.column_by_name(name).ok_or_else(missing)
        };
        let name = COLUMNS[col::EVENT_ID].name;
        let texts = column(name, "text")?.as_string_opt::<i32>();
        let duplicates: Option<&BooleanArray> = column("duplicate", "boolean")?.as_boolean_opt();
        let (Some(texts), Some(duplicates)) = (texts, duplicates) else {
            return Err(LakeError::Column { column: name.to_owned(), expected: "text" });
        };
        for row in 0..batch.num_rows() {
            let is_duplicate = duplicates.is_valid(row) && duplicates.value(row);
            if texts.is_valid(row) && !is_duplicate {
                ids.claim(EventId::new(texts.value(row)), Position::IN_LAKE);
            }
        }
    }
    Ok(())
}

fn stored_bytes(item: &Item) -> u64 {
    match item {
        Item::File(file) => file.size,
        Item::Range { .. } => 0,
    }
}
