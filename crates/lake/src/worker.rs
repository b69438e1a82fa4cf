//! A worker of an ingest: takes items in order, turns their records into rows, and closes data files.
//!
//! What makes the outcome independent of the number of workers are the two gates in [`Shared`]. Behind `hashed` an item
//! knows whether an earlier one has the same content; behind `claimed` a data file knows which of its events came
//! before. Which rows share a data file does depend on who was faster; which rows there are, and which of them are
//! duplicates, does not.
//!
//! An item that cannot be read is no failure of the worker: its bytes go to quarantine, or, if the system refuses to
//! give them, its name goes to the report.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use keytrail_event::{LogKind, LogRecord, col, read_log, split};
use keytrail_ledger::merkle::{self, Frontier};
use keytrail_ledger::{EntryKind, Frame, Hash, LedgerError};

use crate::builder::RowsBuilder;
use crate::data_file;
use crate::dedup::{EventId, Position};
use crate::inflate::{Damage, Inflater, Text};
use crate::round::{JSON_BYTES_MAX, LedgerSource, RECEIPT_BYTES, Shared, Stop, Taken};
use crate::rows::{Place, Provenance, record_check};
use crate::source::{LogFile, Unreadable};
use crate::{LakeError, Quarantined, ReceiptSource, SourceReceipt};

/// Largest stored file. Its whole content is hashed before anything is believed, so it has to fit into memory.
const STORED_BYTES_MAX: u64 = 512 << 20;

/// Broken records that a receipt lists one by one; from the next one on, the rest of the file is kept as a whole.
/// Each costs some 300 bytes in the catalog, for ever.
const BROKEN_RECORDS_MAX: usize = 1000;

/// Payload of a ledger after which a range looks whether its data file is full.
const LOOK_AFTER_BYTES: usize = 64 << 20;

/// A worker with the rows of the data file that it is filling.
pub(crate) struct Worker<'a> {
    shared: &'a Shared<'a>,
    rows: RowsBuilder,
    /// The rows with an event id.
    claims: Vec<Claim>,
    /// What lies in `rows`, in order.
    taken: Vec<Taken>,
    /// Names of the files among them. Within a data file a name must mean one source, or a receipt's rows could not be
    /// told apart.
    names: HashSet<String>,
    inflater: Inflater,
    stored: Vec<u8>,
}

struct Claim {
    row: usize,
    id: EventId,
    position: Position,
}

impl<'a> Worker<'a> {
    /// A worker without rows yet.
    pub(crate) fn new(shared: &'a Shared<'a>) -> Self {
        Self {
            shared,
            rows: RowsBuilder::new(),
            claims: Vec::new(),
            taken: Vec::new(),
            names: HashSet::new(),
            inflater: Inflater::new(),
            stored: Vec::new(),
        }
    }

    /// Takes in a log file, unless its content is known.
    pub(crate) fn take_file(&mut self, number: u32, file: &LogFile) -> Result<(), Stop> {
        let shared = self.shared;
        let stored = match self.read(file) {
            Ok(stored) => stored,
            Err(reason) => {
                shared.outcome().unreadable.push(Unreadable { path: file.path.clone(), reason });
                shared.progress.read(file.size, 0);
                shared.hashed.pass(number);
                shared.claimed.pass(number);
                return Ok(());
            }
        };
        let sha256 = Hash::of(&stored);
        if self.is_known(number, sha256)? {
            shared.outcome().known += 1;
            shared.progress.read(file.size, 0);
        } else {
            if self.names.contains(&file.name) {
                self.close_data_file()?;
            }
            self.take_content(number, file, sha256, &stored)?;
        }
        shared.claimed.pass(number);
        self.stored = stored;
        Ok(())
    }

    /// The stored bytes, in the buffer of the file before.
    fn read(&mut self, file: &LogFile) -> Result<Vec<u8>, String> {
        let mut stored = std::mem::take(&mut self.stored);
        stored.clear();
        let open = File::open(&file.path).map_err(|error| error.to_string())?;
        // One byte more than is allowed, so that what grows while it is read is noticed too.
        let read = open.take(STORED_BYTES_MAX + 1).read_to_end(&mut stored);
        let read = read.map_err(|error| error.to_string())?;
        if read as u64 > STORED_BYTES_MAX {
            return Err(format!("larger than {} MiB", STORED_BYTES_MAX >> 20));
        }
        Ok(stored)
    }

    /// Whether this content was taken in before, or belongs to an earlier item of this round.
    fn is_known(&self, number: u32, sha256: Hash) -> Result<bool, Stop> {
        let shared = self.shared;
        let contents = || shared.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents().entry(sha256).and_modify(|first| *first = number.min(*first)).or_insert(number);
        shared.hashed.pass(number);
        if shared.known.contents.contains(&sha256) {
            return Ok(true);
        }
        shared.hashed.wait_for_those_before(number)?;
        let first = contents().get(&sha256).copied();
        Ok(first != Some(number))
    }

    fn take_content(
        &mut self,
        number: u32,
        file: &LogFile,
        sha256: Hash,
        stored: &[u8],
    ) -> Result<(), Stop> {
        // The inflater's buffer is lent out while rows are pushed; it comes back at the end.
        let mut inflater = std::mem::replace(&mut self.inflater, Inflater::new());
        let Text { text, damage } = inflater.text(stored);
        let log = read_log(text);
        if matches!(log.kind, LogKind::Digest | LogKind::Insight)
            && damage.is_none()
            && log.broken.is_none()
        {
            self.shared.outcome().skipped += 1;
            self.shared.progress.read(file.size, 0);
            self.inflater = inflater;
            return Ok(());
        }
        let mut part = Part::new(number);
        self.take_records(&mut part, &file.name, text, &log.records)?;
        // Unless the rest of the file is kept already.
        let broken = log.broken.filter(|_| part.quarantined.len() <= BROKEN_RECORDS_MAX);
        if let Some(broken) = broken {
            let reason = format!("not JSON at byte {}: expected {}", broken.at, broken.reason);
            self.keep(
                &mut part,
                (broken.index, broken.offset),
                reason,
                &text[broken.offset..],
                ".json",
            )?;
        }
        if let Some(Damage { from, reason }) = damage {
            let index = log.records.len() + usize::from(log.broken.is_some());
            let ending =
                if stored[from..].starts_with(&[0x1f, 0x8b]) { ".json.gz" } else { ".bin" };
            self.keep(&mut part, (index, text.len()), reason.to_owned(), &stored[from..], ending)?;
        }
        let (name, size) = (file.name.clone(), stored.len() as u64);
        self.names.insert(name.clone());
        self.end_part(part, ReceiptSource::File { name, size, sha256 }, size, None);
        self.inflater = inflater;
        Ok(())
    }

    /// Makes rows of a file's records, and keeps those apart that are none.
    fn take_records(
        &mut self,
        part: &mut Part,
        file: &str,
        text: &[u8],
        records: &[LogRecord<'_>],
    ) -> Result<(), LakeError> {
        for LogRecord { index, offset, bytes } in records.iter().copied() {
            if part.quarantined.len() == BROKEN_RECORDS_MAX {
                let reason =
                    format!("more than {BROKEN_RECORDS_MAX} broken records; the rest of the file");
                return self.keep(part, (index, offset), reason, &text[offset..], ".json");
            }
            let place = Place::File { file: Cow::Borrowed(file), index: index as u64 };
            if let Err(reason) = self.push(part, bytes, place, index) {
                self.keep(part, (index, offset), reason, bytes, ".json")?;
            }
        }
        Ok(())
    }

    /// Takes in entries of a ledger.
    pub(crate) fn take_range(
        &mut self,
        number: u32,
        ledger: usize,
        first: u64,
        end: u64,
    ) -> Result<(), Stop> {
        let shared = self.shared;
        shared.hashed.pass(number);
        let LedgerSource { dir, reader } = &shared.ledgers[ledger];
        let fail = |source: LedgerError| LakeError::SourceLedger { path: dir.clone(), source };
        let origin = reader.checkpoint().origin.as_str();
        let mut range = Range::new(number, first);
        for frame in reader.frames(first) {
            let Frame { entry, payload, .. } = frame.map_err(fail)?;
            if entry.sequence >= end {
                break;
            }
            range.prev.get_or_insert(entry.prev);
            range.end = entry.sequence + 1;
            range.last_leaf = Some(entry.leaf_hash());
            range.bytes += payload.len();
            if entry.kind == EntryKind::Record {
                let place = Place::Ledger { origin: origin.into(), sequence: entry.sequence };
                let index = usize::try_from(entry.sequence - first).unwrap_or(usize::MAX);
                if let Err(reason) = self.push(&mut range.part, &payload, place, index) {
                    let at = usize::try_from(entry.sequence).unwrap_or(usize::MAX);
                    self.keep(&mut range.part, (at, 0), reason, &payload, ".json")?;
                }
            }
            if range.bytes >= LOOK_AFTER_BYTES {
                let next = Range::new(number, range.end);
                self.end_range(std::mem::replace(&mut range, next), origin);
                if self.rows.is_full(usize::MAX) {
                    self.close_data_file()?;
                }
            }
        }
        if range.end < end {
            let (path, sequence) = (dir.clone(), range.end);
            return Err(LakeError::SourceForked { path, sequence, detail: "is missing" }.into());
        }
        self.end_range(range, origin);
        shared.claimed.pass(number);
        Ok(())
    }

    /// Whether no further source should be added to the data file.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.is_full(self.shared.options.rows_per_file)
    }

    /// Makes a row of a record, or says why it is none. `index` orders the records of an item.
    fn push(
        &mut self,
        part: &mut Part,
        record: &[u8],
        place: Place<'_>,
        index: usize,
    ) -> Result<(), String> {
        let row = split(record).map_err(|error| error.to_string())?;
        let leaf = merkle::leaf_hash(record);
        if let Some(id) = row.cells[col::EVENT_ID].text() {
            let id = EventId::new(id);
            let record = u32::try_from(index).unwrap_or(u32::MAX);
            let position = Position { item: part.item, record };
            self.shared.ids.claim(id, position);
            self.claims.push(Claim { row: self.rows.len(), id, position });
        }
        let provenance = Provenance { place, duplicate: false, record_check: record_check(&leaf) };
        self.rows.push(&row, &provenance);
        part.tree.push(leaf);
        Ok(())
    }

    fn keep(
        &self,
        part: &mut Part,
        (index, offset): (usize, usize),
        reason: String,
        bytes: &[u8],
        ending: &str,
    ) -> Result<(), LakeError> {
        let kept = self.shared.quarantine.keep(bytes, ending)?;
        let (index, offset) = (index as u64, offset as u64);
        part.quarantined.push(Quarantined { index, offset, reason, kept });
        Ok(())
    }

    fn end_range(&mut self, range: Range, origin: &str) {
        // A range without an entry has nothing to say.
        let Some(last_leaf) = range.last_leaf else { return };
        let (first, end) = (range.first, range.end);
        let source = ReceiptSource::Ledger { origin: origin.to_owned(), first, end, last_leaf };
        self.end_part(range.part, source, range.bytes as u64, range.prev);
    }

    fn end_part(&mut self, part: Part, source: ReceiptSource, bytes: u64, prev: Option<Hash>) {
        let Part { item, tree, quarantined } = part;
        let rows = tree.size();
        let records = rows + quarantined.len() as u64;
        let name = match &source {
            ReceiptSource::File { name, .. } => name,
            ReceiptSource::Ledger { origin, .. } => origin,
        };
        let name_bytes = JSON_BYTES_MAX * name.len() as u64;
        let weight = name_bytes + RECEIPT_BYTES * (1 + quarantined.len() as u64);
        self.shared.rows.fetch_add(rows, Ordering::Relaxed);
        self.shared.receipt_bytes.fetch_add(weight, Ordering::Relaxed);
        self.shared.progress.read(bytes, records);
        let root = tree.root();
        let receipt = SourceReceipt {
            source,
            records,
            rows,
            duplicates: 0,
            root,
            data_file: None,
            quarantined,
        };
        self.taken.push(Taken { item, receipt, bytes, prev });
    }

    /// Writes the rows so far into a data file, and hands it over with its receipts.
    pub(crate) fn close_data_file(&mut self) -> Result<(), Stop> {
        let mut rows = std::mem::take(&mut self.rows);
        let claims = std::mem::take(&mut self.claims);
        let mut taken = std::mem::take(&mut self.taken);
        self.names.clear();
        let Some(last) = taken.last().map(|taken| taken.item) else { return Ok(()) };
        if rows.is_empty() {
            self.shared.outcome().taken.append(&mut taken);
            return Ok(());
        }
        (self.shared.complete_ids)()?;
        self.shared.claimed.wait_for_those_before(last)?;
        self.mark_duplicates(&mut rows, &claims, &mut taken);
        let number = self.shared.files_written.fetch_add(1, Ordering::Relaxed);
        let events = self.shared.paths.events();
        let rows = rows.fill().map_err(|error| LakeError::Parquet {
            action: "fill",
            path: events.clone(),
            source: error.into(),
        })?;
        let written = data_file::write(&rows, &events, number, self.shared.faults)?;
        for taken in taken.iter_mut().filter(|taken| taken.receipt.rows > 0) {
            taken.receipt.data_file = Some(written.file.path.clone());
        }
        let mut outcome = self.shared.outcome();
        outcome.files.push((taken.first().map_or(last, |taken| taken.item), written));
        outcome.taken.append(&mut taken);
        Ok(())
    }

    fn mark_duplicates(&self, rows: &mut RowsBuilder, claims: &[Claim], taken: &mut [Taken]) {
        // Rows lie in the order of what was taken, so one cursor finds each duplicate's receipt.
        let (mut at, mut end) = (0, taken.first().map_or(0, |taken| taken.receipt.rows));
        for claim in claims {
            if self.shared.ids.is_first(claim.id, claim.position) {
                continue;
            }
            while claim.row as u64 >= end && at + 1 < taken.len() {
                at += 1;
                end += taken[at].receipt.rows;
            }
            taken[at].receipt.duplicates += 1;
            rows.mark_duplicate(claim.row);
        }
    }
}

/// A source, or a part of one, that is being read.
struct Part {
    item: u32,
    tree: Frontier,
    quarantined: Vec<Quarantined>,
}

impl Part {
    fn new(item: u32) -> Self {
        Self { item, tree: Frontier::new(), quarantined: Vec::new() }
    }
}

/// A part of a ledger that is being read.
struct Range {
    part: Part,
    first: u64,
    end: u64,
    prev: Option<Hash>,
    last_leaf: Option<Hash>,
    bytes: usize,
}

impl Range {
    fn new(item: u32, first: u64) -> Self {
        Self { part: Part::new(item), first, end: first, prev: None, last_leaf: None, bytes: 0 }
    }
}
