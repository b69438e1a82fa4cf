//! The lake against the ledger that its rows came from.
//!
//! One pass over the ledger, verified on the way: each receipt's range must have the number of records, the Merkle root
//! and the last leaf that the receipt says. A row was compared with the receipt before; so rows, receipt and ledger say
//! the same, and no memory is needed beyond the edge of one tree. Only rows whose root did not fit are held against
//! their record one by one, to name the column that was edited and what it held.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    path::Path,
};

use keytrail_event::split;
use keytrail_lake::{LakePaths, ReceiptSource, SourceReceipt};
use keytrail_ledger::{
    EntryKind, FindingKind, Frame, Hash, Report, merkle, merkle::Frontier, verify_frames,
};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::{
    LedgerCheck,
    catalog::Commits,
    data_files::{FILE_FINDINGS_MAX, guarded},
    rows::{self, CheckedRow, Columns, differences},
    sources::{Dispute, row_place},
};

/// Verifies `ledger` and compares the lake's receipts and disputed rows with it.
pub(super) fn compare(
    paths: &LakePaths,
    commits: &Commits,
    disputes: &[Dispute],
    ledger: Option<LedgerCheck<'_>>,
    report: &mut Report,
) {
    let origin = ledger.map(|ledger| ledger.key.name().as_str());
    note_unchecked_origins(commits, origin, report);
    let Some(ledger) = ledger else { return };
    let mut walk = Walk::new(commits, ledger.key.name().as_str(), disputes);
    let verified = verify_frames(ledger.dir, ledger.key, &mut |frame| walk.frame(frame));
    report.merge("ledger", verified);
    let edits = walk.finish(report);
    explain(paths, commits, edits, report);
}

fn note_unchecked_origins(commits: &Commits, checked: Option<&str>, report: &mut Report) {
    let mut receipts: BTreeMap<&str, u64> = BTreeMap::new();
    for receipt in &commits.receipts {
        if let ReceiptSource::Ledger { origin, .. } = &receipt.source
            && Some(origin.as_str()) != checked
        {
            *receipts.entry(origin).or_default() += receipt.rows;
        }
    }
    for (origin, rows) in receipts {
        let detail = format!(
            "{rows} rows against the ledger {origin} itself, which was not given; against its receipts they were"
        );
        report.not_checked.push(detail);
    }
}

/// A disputed row that differs from the ledger.
struct Edit<'a> {
    /// The dispute it belongs to.
    dispute: &'a Dispute,
    row: CheckedRow,
    /// The record as it was signed; none if the ledger has no such record.
    record: Option<Vec<u8>>,
}

/// The edits of one data file.
#[derive(Default)]
struct Edits<'a> {
    listed: Vec<Edit<'a>>,
    more: u64,
}

/// The ranges of one ledger, compared as its frames come by.
struct Walk<'a> {
    ranges: Vec<Range<'a>>,
    /// The first range that does not end before the next frame.
    current: usize,
    /// Disputed rows that the ledger has not been asked about yet, by sequence.
    open: HashMap<u64, Vec<(&'a Dispute, CheckedRow)>>,
    /// By data file.
    edits: BTreeMap<usize, Edits<'a>>,
    size: u64,
    compared: u64,
    newer: u64,
}

struct Range<'a> {
    first: u64,
    end: u64,
    last_leaf: Hash,
    receipt: &'a SourceReceipt,
    quarantined: HashSet<u64>,
    tree: Frontier,
    last_leaf_found: Option<Hash>,
}

impl<'a> Walk<'a> {
    fn new(commits: &'a Commits, origin: &str, disputes: &'a [Dispute]) -> Walk<'a> {
        let mut ranges: Vec<Range<'_>> =
            commits.receipts.iter().filter_map(|receipt| Range::new(receipt, origin)).collect();
        ranges.sort_by_key(|range| range.first);
        let mut open: HashMap<u64, Vec<(&Dispute, CheckedRow)>> = HashMap::new();
        for dispute in disputes {
            for row in &dispute.rows {
                open.entry(row.index).or_default().push((dispute, *row));
            }
        }
        Walk { ranges, current: 0, open, edits: BTreeMap::new(), size: 0, compared: 0, newer: 0 }
    }

    fn frame(&mut self, frame: &Frame) {
        let sequence = frame.entry.sequence;
        self.size = sequence + 1;
        while self.ranges.get(self.current).is_some_and(|range| range.end <= sequence) {
            self.current += 1;
        }
        let range = self.ranges.get_mut(self.current).filter(|range| range.first <= sequence);
        let is_record = frame.entry.kind == EntryKind::Record;
        let Some(range) = range else {
            self.newer += u64::from(is_record);
            return;
        };
        if sequence + 1 == range.end {
            range.last_leaf_found = Some(frame.entry.leaf_hash());
        }
        if is_record && !range.quarantined.contains(&sequence) {
            let leaf = merkle::leaf_hash(&frame.payload);
            range.tree.push(leaf);
            self.compared += 1;
            for (dispute, row) in self.open.remove(&sequence).unwrap_or_default() {
                if row.leaf != Some(leaf) || !row.fits {
                    self.edited(dispute, row, Some(&frame.payload));
                }
            }
        }
    }

    /// Of a file that was rewritten as a whole, only so many rows are kept and the others counted.
    fn edited(&mut self, dispute: &'a Dispute, row: CheckedRow, record: Option<&[u8]>) {
        let edits = self.edits.entry(dispute.file).or_default();
        if edits.listed.len() < FILE_FINDINGS_MAX {
            edits.listed.push(Edit { dispute, row, record: record.map(<[u8]>::to_vec) });
        } else {
            edits.more += 1;
        }
    }

    /// Reports on the ranges, and gives out the edits.
    fn finish(mut self, report: &mut Report) -> BTreeMap<usize, Edits<'a>> {
        let mut end = 0;
        for range in &self.ranges {
            range.report(end, self.size, report);
            end = end.max(range.end);
        }
        if self.newer > 0 {
            let detail =
                format!("{} records of the ledger that are not in the lake yet", self.newer);
            report.not_checked.push(detail);
        }
        report.check("ledger records compared", self.compared);
        for (dispute, row) in std::mem::take(&mut self.open).into_values().flatten() {
            self.edited(dispute, row, None);
        }
        self.edits
    }
}

impl<'a> Range<'a> {
    fn new(receipt: &'a SourceReceipt, of: &str) -> Option<Range<'a>> {
        match &receipt.source {
            ReceiptSource::Ledger { origin, first, end, last_leaf } if origin == of => {
                Some(Range {
                    first: *first,
                    end: *end,
                    last_leaf: *last_leaf,
                    receipt,
                    quarantined: receipt.quarantined.iter().map(|record| record.index).collect(),
                    tree: Frontier::new(),
                    last_leaf_found: None,
                })
            }
            _ => None,
        }
    }

    /// `covered` is where the ranges before this one end, `size` what the ledger has.
    fn report(&self, covered: u64, size: u64, report: &mut Report) {
        let place = super::source_name(self.receipt);
        if self.first > covered {
            let detail = format!("no receipt covers the entries from {covered} to {}", self.first);
            report.find(FindingKind::Missing, &place, detail);
        }
        if self.first < covered {
            let detail = format!("an earlier receipt covers the entries up to {covered} too");
            report.find(FindingKind::Inserted, &place, detail);
        }
        if self.end > size {
            let detail = format!(
                "the ledger given ends after {size} entries: it was cut, or is an older copy"
            );
            report.find(FindingKind::Truncated, &place, detail);
        } else if self.last_leaf_found != Some(self.last_leaf) {
            let detail = "the last entry of the range is not the one in the ledger: another ledger of the same name";
            report.find(FindingKind::Modified, &place, detail);
        } else if self.tree.size() != self.receipt.rows || self.tree.root() != self.receipt.root {
            let detail = format!(
                "the receipt says {} rows of root {}, the ledger has {} records of root {}",
                self.receipt.rows,
                self.receipt.root,
                self.tree.size(),
                self.tree.root()
            );
            report.find(FindingKind::Modified, &place, detail);
        }
    }
}

/// Reads the edited rows once more and names their columns.
fn explain(
    paths: &LakePaths,
    commits: &Commits,
    edits: BTreeMap<usize, Edits<'_>>,
    report: &mut Report,
) {
    for (number, edits) in edits {
        let file = &commits.files[number];
        let path = paths.events().join(&file.file.path);
        let file_place = format!("events/{}", file.file.path);
        let rows: BTreeMap<u64, &Edit<'_>> =
            edits.listed.iter().map(|edit| (edit.row.row, edit)).collect();
        let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        if let Err(reason) = guarded(|| compare_rows(&path, &rows, &mut found)) {
            let detail = format!("edited rows cannot be shown: {reason}");
            report.find(FindingKind::Unreadable, &file_place, detail);
        }
        if edits.more > 0 {
            let detail = format!("{} further rows are not their records", edits.more);
            report.find(FindingKind::Modified, &file_place, detail);
        }
        for (row, edit) in rows {
            let receipt = &commits.receipts[edit.dispute.receipt];
            let place = row_place(file, row, Some((receipt, edit.row.index)));
            report_edit(&place, edit.record.is_some(), found.remove(&row), report);
        }
    }
}

/// `columns`: what differs from the record, if both could be read.
fn report_edit(place: &str, known: bool, columns: Option<Vec<String>>, report: &mut Report) {
    match columns {
        _ if !known => {
            let detail = "the ledger has no record of this sequence";
            report.find(FindingKind::Inserted, place, detail);
        }
        None => report.find(FindingKind::Modified, place, "the row is not the ledger's record"),
        Some(columns) if columns.is_empty() => {
            let detail = "column record_check does not fit the record, which is intact";
            report.find(FindingKind::ColumnMismatch, place, detail);
        }
        Some(columns) => {
            for column in columns {
                report.find(FindingKind::Modified, place, column);
            }
        }
    }
}

/// Compares the rows of one file with their records.
fn compare_rows(
    path: &Path,
    edits: &BTreeMap<u64, &Edit<'_>>,
    found: &mut BTreeMap<u64, Vec<String>>,
) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let options = ArrowReaderOptions::new().with_schema(rows::schema());
    let batches = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| error.to_string())?;
    let mut first = 0;
    for batch in batches {
        let batch = batch.map_err(|error| error.to_string())?;
        let columns = Columns::new(&batch)?;
        let end = first + batch.num_rows() as u64;
        for (number, edit) in edits.range(first..end) {
            let Some(expected) = edit.record.as_deref().and_then(|record| split(record).ok())
            else {
                continue;
            };
            let at = usize::try_from(number - first).map_err(|error| error.to_string())?;
            found.insert(*number, differences(&expected, &columns.row(at)));
        }
        first = end;
    }
    Ok(())
}
