//! The rows of one row group: each one rebuilt into the record it claims to be, and taken apart again.
//!
//! ```text
//! columns ──join──► bytes ──split──► columns      must be equal, column by column, derived ones included
//!                     └──leaf hash──► record_check must fit; kept for the Merkle root of the source
//! ```
//!
//! A column that takes part in the record changes its bytes and with them the leaf; one that does not (a derived key
//! ARN, a value beside a `raw` record, a value that the layout does not mention) differs from the second split. So
//! there is no column left to edit. What belongs together across row groups (roots, gaps) is decided in
//! [`super::sources`].

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{
        Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringViewArray,
        TimestampMicrosecondArray,
    },
    datatypes::{
        DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
    },
};
use keytrail_event::{COLUMN_COUNT, COLUMNS, Cell, Kind, Row, col, join, split};
use keytrail_lake::rows;
use keytrail_ledger::{FindingKind, Hash, merkle};

use super::{duplicates::Event, sources::Sources};

/// Characters of a value that a finding shows.
const SHOWN_MAX: usize = 120;

/// A row whose place in its source is known.
#[derive(Clone, Copy)]
pub(super) struct CheckedRow {
    /// Index of its receipt.
    pub(super) receipt: usize,
    /// Place in the source.
    pub(super) index: u64,
    /// Place in the data file.
    pub(super) row: u64,
    /// Leaf hash of the record; none if the columns give no record.
    pub(super) leaf: Option<Hash>,
    /// Whether `record_check` fits the leaf.
    pub(super) fits: bool,
}

/// Something wrong with one row.
pub(super) struct Problem {
    /// What.
    pub(super) kind: FindingKind,
    /// Place in the data file.
    pub(super) row: u64,
    /// Its receipt and place in the source, if known.
    pub(super) source: Option<(usize, u64)>,
    /// Expected and found.
    pub(super) detail: String,
}

/// What the check of some rows gave.
#[derive(Default)]
pub(super) struct CheckedRows {
    /// The rows whose source is known.
    pub(super) rows: Vec<CheckedRow>,
    /// Their events, as far as they have an id.
    pub(super) events: Vec<Event>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Rows looked at.
    pub(super) seen: u64,
    /// Rows that keep the record's text beside the columns.
    pub(super) raw: u64,
}

/// The schema that data files are read with: a lake's, text as views so that decoding does not copy it.
pub(super) fn schema() -> SchemaRef {
    let fields = rows::schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
            _ => field.as_ref().clone(),
        })
        .collect::<Vec<Field>>();
    Arc::new(Schema::new(fields))
}

/// Checks the rows of `batch`, the first of which is row `first` of its file.
pub(super) fn check(
    batch: &RecordBatch,
    first: u64,
    sources: &Sources,
    into: &mut CheckedRows,
) -> Result<(), String> {
    let columns = Columns::new(batch)?;
    for at in 0..batch.num_rows() {
        check_row(&columns, at, first + at as u64, sources, into);
    }
    Ok(())
}

fn check_row(
    columns: &Columns<'_>,
    at: usize,
    row_number: u64,
    sources: &Sources,
    into: &mut CheckedRows,
) {
    let row = columns.row(at);
    let source = columns.source(at, sources);
    let (leaf, mut problems) = rebuild(&row);
    if let Err(reason) = source {
        problems.push((FindingKind::Inserted, reason.to_owned()));
    }
    let duplicate = columns.duplicate(at);
    if duplicate.is_none() {
        let detail = "column duplicate: expected true or false, found null";
        problems.push((FindingKind::ColumnMismatch, detail.to_owned()));
    }
    into.seen += 1;
    into.raw += u64::from(row.raw.is_some());
    let source = source.ok();
    into.problems.extend(problems.into_iter().map(|(kind, detail)| Problem {
        kind,
        row: row_number,
        source,
        detail,
    }));
    let Some((receipt, index)) = source else { return };
    let fits = leaf.is_some_and(|leaf| columns.record_check(at) == Some(rows::record_check(&leaf)));
    into.rows.push(CheckedRow { receipt, index, row: row_number, leaf, fits });
    if let (Some(id), Some(duplicate)) = (row.cells[col::EVENT_ID].text(), duplicate) {
        into.events.push(Event::new(id, receipt, index, duplicate));
    }
}

/// The leaf of the row's record, if its columns give one, and what is wrong with the columns.
fn rebuild(row: &Row<'_>) -> (Option<Hash>, Vec<(FindingKind, String)>) {
    let no_record = |error: &dyn std::error::Error| {
        vec![(FindingKind::Modified, format!("the columns give no record: {error}"))]
    };
    let record = match join(row) {
        Ok(record) => record,
        Err(error) => return (None, no_record(&error)),
    };
    let problems = match split(&record) {
        Ok(again) if again == *row => Vec::new(),
        Ok(again) => {
            let differences = differences(&again, row).into_iter();
            differences.map(|difference| (FindingKind::ColumnMismatch, difference)).collect()
        }
        Err(error) => no_record(&error),
    };
    (Some(merkle::leaf_hash(&record)), problems)
}

/// One line for each column in which `found` is not as `expected`.
pub(super) fn differences(expected: &Row<'_>, found: &Row<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compare = |name: &str, expected: &Cell<'_>, found: &Cell<'_>| {
        if expected != found {
            lines.push(format!(
                "column {name}: expected {}, found {}",
                shown(expected),
                shown(found)
            ));
        }
    };
    for (column, (expected, found)) in COLUMNS.iter().zip(expected.cells.iter().zip(&found.cells)) {
        compare(column.name, expected, found);
    }
    let optional = |text: &Option<Cow<'_, str>>| {
        text.as_deref().map_or(Cell::Null, |text| Cell::Text(text.to_owned().into()))
    };
    compare(
        "layout",
        &Cell::Text(expected.layout.as_ref().into()),
        &Cell::Text(found.layout.as_ref().into()),
    );
    compare("extra", &optional(&expected.extra), &optional(&found.extra));
    compare("raw", &optional(&expected.raw), &optional(&found.raw));
    lines
}

fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Bool(value) => value.to_string(),
        Cell::Time(micros) => jiff::Timestamp::from_microsecond(*micros)
            .map_or_else(|_| micros.to_string(), |time| time.to_string()),
        Cell::Text(text) if text.chars().count() <= SHOWN_MAX => format!("{text:?}"),
        Cell::Text(text) => {
            let start: String = text.chars().take(SHOWN_MAX).collect();
            format!("{start:?}… ({} bytes)", text.len())
        }
    }
}

/// A batch's columns by their role, looked up once instead of for each cell.
pub(super) struct Columns<'a> {
    cells: Vec<CellColumn<'a>>,
    layout: &'a StringViewArray,
    extra: &'a StringViewArray,
    raw: &'a StringViewArray,
    origin: &'a StringViewArray,
    sequence: &'a Int64Array,
    source_file: &'a StringViewArray,
    source_index: &'a Int64Array,
    duplicate: &'a BooleanArray,
    record_check: &'a Int32Array,
}

enum CellColumn<'a> {
    Text(&'a StringViewArray),
    Bool(&'a BooleanArray),
    Time(&'a TimestampMicrosecondArray),
}

impl<'a> Columns<'a> {
    /// The columns of a batch that was read with [`schema`].
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Columns<'a>, String> {
        let wrong = |index: usize| format!("column {index} is not the lake's column of that place");
        let column = |index: usize| batch.columns().get(index).ok_or_else(|| wrong(index));
        let text = |index: usize| column(index)?.as_string_view_opt().ok_or_else(|| wrong(index));
        let bool = |index: usize| column(index)?.as_boolean_opt().ok_or_else(|| wrong(index));
        let integer = |index: usize| {
            column(index)?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(index))
        };
        let mut cells = Vec::with_capacity(COLUMN_COUNT);
        for (index, described) in COLUMNS.iter().enumerate() {
            cells.push(match described.kind {
                Kind::Text | Kind::Json => CellColumn::Text(text(index)?),
                Kind::Bool => CellColumn::Bool(bool(index)?),
                Kind::Time => CellColumn::Time(
                    column(index)?
                        .as_primitive_opt::<TimestampMicrosecondType>()
                        .ok_or_else(|| wrong(index))?,
                ),
            });
        }
        Ok(Columns {
            cells,
            layout: text(rows::LAYOUT)?,
            extra: text(rows::EXTRA)?,
            raw: text(rows::RAW)?,
            origin: text(rows::ORIGIN)?,
            sequence: integer(rows::SEQUENCE)?,
            source_file: text(rows::SOURCE_FILE)?,
            source_index: integer(rows::SOURCE_INDEX)?,
            duplicate: bool(rows::DUPLICATE)?,
            record_check: column(rows::RECORD_CHECK)?
                .as_primitive_opt::<Int32Type>()
                .ok_or_else(|| wrong(rows::RECORD_CHECK))?,
        })
    }

    /// The record part of a row.
    pub(super) fn row(&self, at: usize) -> Row<'a> {
        let mut row = Row::empty();
        for (cell, column) in row.cells.iter_mut().zip(&self.cells) {
            *cell = match column {
                CellColumn::Text(array) => {
                    text(array, at).map_or(Cell::Null, |text| Cell::Text(text.into()))
                }
                CellColumn::Bool(array) if array.is_valid(at) => Cell::Bool(array.value(at)),
                CellColumn::Time(array) if array.is_valid(at) => Cell::Time(array.value(at)),
                CellColumn::Bool(_) | CellColumn::Time(_) => Cell::Null,
            };
        }
        row.layout = text(self.layout, at).unwrap_or_default().into();
        row.extra = text(self.extra, at).map(Cow::Borrowed);
        row.raw = text(self.raw, at).map(Cow::Borrowed);
        row
    }

    /// The receipt a row belongs to, and its place in that source.
    fn source(&self, at: usize, sources: &Sources) -> Result<(usize, u64), &'static str> {
        let place = |array: &Int64Array| {
            let place = array.is_valid(at).then(|| u64::try_from(array.value(at)).ok());
            place.flatten()
        };
        let ledger = (text(self.origin, at), place(self.sequence));
        let file = (text(self.source_file, at), place(self.source_index));
        let found = match (ledger, file) {
            ((Some(origin), Some(sequence)), (None, None)) if self.source_index.is_null(at) => {
                sources.ledger(origin, sequence).map(|receipt| (receipt, sequence))
            }
            ((None, None), (Some(name), Some(index))) if self.sequence.is_null(at) => {
                sources.file(name).map(|receipt| (receipt, index))
            }
            _ => {
                return Err(
                    "columns origin, sequence, source_file, source_index: neither a place in a ledger nor one in a file",
                );
            }
        };
        found.ok_or("columns origin, sequence, source_file, source_index: no receipt of this data file covers this place")
    }

    fn duplicate(&self, at: usize) -> Option<bool> {
        self.duplicate.is_valid(at).then(|| self.duplicate.value(at))
    }

    fn record_check(&self, at: usize) -> Option<i32> {
        self.record_check.is_valid(at).then(|| self.record_check.value(at))
    }
}

fn text(array: &StringViewArray, at: usize) -> Option<&str> {
    array.is_valid(at).then(|| array.value(at))
}

impl CheckedRows {
    /// Takes over the rows of another part of the file.
    pub(super) fn append(&mut self, mut other: CheckedRows) {
        self.rows.append(&mut other.rows);
        self.events.append(&mut other.events);
        self.problems.append(&mut other.problems);
        self.seen += other.seen;
        self.raw += other.raw;
    }
}
