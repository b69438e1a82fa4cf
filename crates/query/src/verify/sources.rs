//! The rows of a data file against the receipts of their sources: number, order, gaps, Merkle root.

use std::collections::{BTreeMap, HashMap, HashSet};

use keytrail_lake::{ReceiptSource, SourceReceipt};
use keytrail_ledger::{FindingKind, Report, merkle};

use super::{
    catalog::{Commits, ExpectedFile},
    rows::{CheckedRow, CheckedRows, Problem},
};

/// Finds the receipt of a row, among those of its data file.
pub(super) struct Sources {
    files: HashMap<String, usize>,
    /// Origin, first sequence, sequence after the last, receipt.
    ledgers: Vec<(String, u64, u64, usize)>,
}

/// Rows of a ledger range whose root is not the receipt's: the ledger itself can tell which one was edited.
pub(super) struct Dispute {
    /// Index of the data file.
    pub(super) file: usize,
    /// Index of the receipt.
    pub(super) receipt: usize,
    /// The rows, ordered by sequence.
    pub(super) rows: Vec<CheckedRow>,
}

impl Sources {
    pub(super) fn new(file: &ExpectedFile, commits: &Commits) -> Sources {
        let mut sources = Sources { files: HashMap::new(), ledgers: Vec::new() };
        for index in &file.receipts {
            match &commits.receipts[*index].source {
                ReceiptSource::File { name, .. } => {
                    sources.files.insert(name.clone(), *index);
                }
                ReceiptSource::Ledger { origin, first, end, .. } => {
                    sources.ledgers.push((origin.clone(), *first, *end, *index));
                }
                _ => {}
            }
        }
        sources
    }

    pub(super) fn file(&self, name: &str) -> Option<usize> {
        self.files.get(name).copied()
    }

    pub(super) fn ledger(&self, origin: &str, sequence: u64) -> Option<usize> {
        let covers = |(name, first, end, _): &&(String, u64, u64, usize)| {
            name == origin && (*first..*end).contains(&sequence)
        };
        self.ledgers.iter().find(covers).map(|(_, _, _, receipt)| *receipt)
    }
}

/// Whether a ledger is at hand that can tell which of its rows were edited.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a>(pub(super) Option<&'a str>);

/// Compares all rows of data file `number` with its receipts, and turns the rows' problems into findings. Returns what
/// only the ledger of `origin` can explain.
pub(super) fn settle(
    number: usize,
    commits: &Commits,
    mut checked: CheckedRows,
    origin: Origin<'_>,
    report: &mut Report,
) -> Vec<Dispute> {
    let file = &commits.files[number];
    let mut by_receipt: BTreeMap<usize, Vec<CheckedRow>> =
        file.receipts.iter().map(|receipt| (*receipt, Vec::new())).collect();
    for row in checked.rows.drain(..) {
        by_receipt.entry(row.receipt).or_default().push(row);
    }
    let mut disputes = Vec::new();
    let mut disputed = HashSet::new();
    for (index, mut rows) in by_receipt {
        rows.sort_unstable_by_key(|row| (row.index, row.row));
        let receipt = &commits.receipts[index];
        let complete = check_places(file, receipt, &rows, report);
        let leaves: Option<Vec<_>> = rows.iter().map(|row| row.leaf).collect();
        let intact = leaves.is_some_and(|leaves| merkle::root_of(&leaves) == receipt.root);
        if !intact && origin.covers(receipt) {
            disputed.insert(index);
            disputes.push(Dispute { file: number, receipt: index, rows });
        } else if intact {
            report_checks(file, receipt, &rows, report);
        } else {
            report_edits(file, receipt, &rows, complete, report);
        }
    }
    for problem in checked.problems {
        let Problem { kind, row, source, detail } = problem;
        // The ledger explains better why a row is not its record.
        let explained = kind == FindingKind::Modified
            && source.is_some_and(|(receipt, _)| disputed.contains(&receipt));
        if !explained {
            let source = source.map(|(receipt, index)| (&commits.receipts[receipt], index));
            report.find(kind, row_place(file, row, source), detail);
        }
    }
    disputes
}

impl Origin<'_> {
    fn covers(self, receipt: &SourceReceipt) -> bool {
        match &receipt.source {
            ReceiptSource::Ledger { origin, .. } => self.0 == Some(origin.as_str()),
            _ => false,
        }
    }
}

/// Whether every place of the source is a row once, or in quarantine.
fn check_places(
    file: &ExpectedFile,
    receipt: &SourceReceipt,
    rows: &[CheckedRow],
    report: &mut Report,
) -> bool {
    let quarantined: HashSet<u64> = receipt.quarantined.iter().map(|record| record.index).collect();
    let mut sound = true;
    let mut find = |kind, row: &CheckedRow, detail: &str| {
        sound = false;
        report.find(kind, row_place(file, row.row, Some((receipt, row.index))), detail);
    };
    for pair in rows.windows(2) {
        if pair[0].index == pair[1].index {
            let detail = format!(
                "row {} has the same place in the source (columns sequence, source_index)",
                pair[1].row
            );
            find(FindingKind::Inserted, &pair[0], &detail);
        }
    }
    for row in rows {
        if quarantined.contains(&row.index) {
            find(FindingKind::Inserted, row, "the receipt says that this record is in quarantine");
        }
    }
    // The places of a file are 0, 1, 2, …; those of a ledger have gaps where entries are no records.
    if matches!(receipt.source, ReceiptSource::File { .. }) {
        let present: HashSet<u64> = rows.iter().map(|row| row.index).chain(quarantined).collect();
        let missing: Vec<String> = (0..receipt.records)
            .filter(|place| !present.contains(place))
            .take(10)
            .map(|place| place.to_string())
            .collect();
        if !missing.is_empty() {
            sound = false;
            let detail =
                format!("no row for record {} (the first ten at most)", missing.join(", "));
            report.find(FindingKind::Missing, source_place(file, receipt), detail);
        }
    }
    let found = rows.len() as u64;
    if found != receipt.rows {
        sound = false;
        let kind = if found < receipt.rows { FindingKind::Missing } else { FindingKind::Inserted };
        report.find(
            kind,
            source_place(file, receipt),
            format!("{} rows expected, {found} found", receipt.rows),
        );
    }
    sound
}

/// The records are those that were taken in, so a check value that does not fit is itself what was edited.
fn report_checks(
    file: &ExpectedFile,
    receipt: &SourceReceipt,
    rows: &[CheckedRow],
    report: &mut Report,
) {
    for row in rows.iter().filter(|row| !row.fits) {
        let place = row_place(file, row.row, Some((receipt, row.index)));
        report.find(
            FindingKind::ColumnMismatch,
            place,
            "column record_check does not fit the record, which is intact",
        );
    }
}

/// The records are not those that were taken in: `record_check` tells which.
fn report_edits(
    file: &ExpectedFile,
    receipt: &SourceReceipt,
    rows: &[CheckedRow],
    complete: bool,
    report: &mut Report,
) {
    let mut localised = false;
    for row in rows.iter().filter(|row| row.leaf.is_some() && !row.fits) {
        localised = true;
        let place = row_place(file, row.row, Some((receipt, row.index)));
        let detail =
            "the record is not the one that was taken in: column record_check does not fit it";
        report.find(FindingKind::Modified, place, detail);
    }
    // A missing row changes the root too, and has been named already.
    if complete && !localised {
        let detail =
            format!("the rows do not have the Merkle root {} of the receipt", receipt.root);
        report.find(FindingKind::Modified, source_place(file, receipt), detail);
    }
}

/// `events/x.parquet row 7 (y.json.gz record 3)`.
pub(super) fn row_place(
    file: &ExpectedFile,
    row: u64,
    source: Option<(&SourceReceipt, u64)>,
) -> String {
    let place = format!("events/{} row {row}", file.file.path);
    match source {
        None => place,
        Some((receipt, index)) => match &receipt.source {
            ReceiptSource::File { name, .. } => format!("{place} ({name} record {index})"),
            ReceiptSource::Ledger { origin, .. } => format!("{place} ({origin} sequence {index})"),
            _ => place,
        },
    }
}

fn source_place(file: &ExpectedFile, receipt: &SourceReceipt) -> String {
    format!("events/{} ({})", file.file.path, super::source_name(receipt))
}
