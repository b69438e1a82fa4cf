//! Rows of the lake: their Arrow schema, and the way back from a batch to a record.
//!
//! The columns are those of `keytrail_event::COLUMNS` in their order, then what makes the split lossless (`layout`,
//! `extra`, `raw`), then where the row came from. All are nullable, because a CloudTrail record may lack any member.
//! `schemas/lake-row.md` draws the table, a test compares it with this module.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, BooleanArray, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use keytrail_event::{COLUMN_COUNT, COLUMNS, Cell, Kind, Row};

use crate::LakeError;
pub use crate::builder::RowsBuilder;

/// Index of `layout`: order, absence and form of the record's members.
pub const LAYOUT: usize = COLUMN_COUNT;
/// Index of `extra`: members that no column can give back.
pub const EXTRA: usize = COLUMN_COUNT + 1;
/// Index of `raw`: the record's exact text, where the other columns cannot give it back.
pub const RAW: usize = COLUMN_COUNT + 2;
/// Index of `origin`: the ledger that the record came from; null for files.
pub const ORIGIN: usize = COLUMN_COUNT + 3;
/// Index of `sequence`: the record's place in that ledger; null for files.
pub const SEQUENCE: usize = COLUMN_COUNT + 4;
/// Index of `source_file`: the file that the record came from; null for ledgers.
pub const SOURCE_FILE: usize = COLUMN_COUNT + 5;
/// Index of `source_index`: the record's place in that file, from 0; null for ledgers.
pub const SOURCE_INDEX: usize = COLUMN_COUNT + 6;
/// Index of `duplicate`: whether a row before this one has the same `event_id`.
pub const DUPLICATE: usize = COLUMN_COUNT + 7;
/// Index of `record_check`: first four bytes of the record's RFC 6962 leaf hash, big-endian. They say *which* row was
/// edited; that none was is proven by the Merkle root in the source's receipt.
pub const RECORD_CHECK: usize = COLUMN_COUNT + 8;
/// Number of columns of the lake.
pub const ROW_COLUMN_COUNT: usize = COLUMN_COUNT + 9;

/// The columns after those of the record, with their meaning.
pub(crate) const OWN_COLUMNS: [(&str, DataType, &str); 9] = [
    (
        "layout",
        DataType::Utf8,
        "Order, absence and form of the record's members (`record-columns.md`).",
    ),
    ("extra", DataType::Utf8, "JSON object of the members that no column can give back."),
    (
        "raw",
        DataType::Utf8,
        "The record's exact text, where the other columns cannot give it back.",
    ),
    ("origin", DataType::Utf8, "Ledger that the record came from; null for files."),
    ("sequence", DataType::Int64, "Its place in that ledger."),
    (
        "source_file",
        DataType::Utf8,
        "File that the record came from, relative to the source; null for ledgers.",
    ),
    ("source_index", DataType::Int64, "Its place in that file, from 0."),
    ("duplicate", DataType::Boolean, "Whether a row before this one has the same `event_id`."),
    (
        "record_check",
        DataType::Int32,
        "First four bytes of the record's RFC 6962 leaf hash, big-endian.",
    ),
];

/// The Arrow schema of the lake's rows.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let record = COLUMNS.iter().map(|column| (column.name, column_type(column.kind)));
        let own = OWN_COLUMNS.iter().map(|(name, kind, _)| (*name, kind.clone()));
        let fields: Vec<Field> =
            record.chain(own).map(|(name, kind)| Field::new(name, kind, true)).collect();
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// Where a row came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance<'a> {
    /// Ledger or file, and the place in it.
    pub place: Place<'a>,
    /// Whether a row before this one has the same `event_id`.
    pub duplicate: bool,
    /// First four bytes of the record's leaf hash.
    pub record_check: i32,
}

/// The place of a record in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place<'a> {
    /// An entry of a ledger.
    Ledger {
        /// The ledger's origin line.
        origin: Cow<'a, str>,
        /// The entry.
        sequence: u64,
    },
    /// An element of a file.
    File {
        /// Path relative to the source.
        file: Cow<'a, str>,
        /// The element, from 0.
        index: u64,
    },
}

/// The rows of one batch, its columns found and checked once.
pub struct Rows<'a> {
    cells: Vec<CellColumn<'a>>,
    layout: TextColumn<'a>,
    extra: TextColumn<'a>,
    raw: TextColumn<'a>,
    len: usize,
}

impl<'a> Rows<'a> {
    /// The rows of a batch that has the columns of the record and `layout`, `extra`, `raw`, by name and in any order.
    /// Text may be `Utf8`, `LargeUtf8` or `Utf8View`. A missing column, or one of another type, is an error.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, LakeError> {
        let cells = COLUMNS.iter().map(|column| CellColumn::new(batch, column.name, column.kind));
        Ok(Self {
            cells: cells.collect::<Result<_, _>>()?,
            layout: TextColumn::new(batch, "layout")?,
            extra: TextColumn::new(batch, "extra")?,
            raw: TextColumn::new(batch, "raw")?,
            len: batch.num_rows(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The record in row `at`: `keytrail_event::join` gives its bytes. A row that does not exist is empty.
    pub fn row(&self, at: usize) -> Row<'a> {
        let mut row = Row::empty();
        for (cell, column) in row.cells.iter_mut().zip(&self.cells) {
            *cell = column.cell(at);
        }
        row.layout = self.layout.text(at).unwrap_or_default().into();
        row.extra = self.extra.text(at).map(Cow::Borrowed);
        row.raw = self.raw.text(at).map(Cow::Borrowed);
        row
    }
}

/// The record in row `at` of a batch. For more than a few rows use [`Rows`], which looks up the columns once.
pub fn row_at(batch: &RecordBatch, at: usize) -> Result<Row<'_>, LakeError> {
    Rows::new(batch).map(|rows| rows.row(at))
}

/// Where the rows of one batch came from, its columns found and checked once.
pub struct Provenances<'a> {
    origin: TextColumn<'a>,
    sequence: &'a Int64Array,
    source_file: TextColumn<'a>,
    source_index: &'a Int64Array,
    duplicate: &'a BooleanArray,
    record_check: &'a Int32Array,
}

impl<'a> Provenances<'a> {
    /// The provenance of a batch that has these columns, by name and in any order.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, LakeError> {
        Ok(Self {
            origin: TextColumn::new(batch, "origin")?,
            sequence: typed(batch, "sequence", "64-bit integer")?,
            source_file: TextColumn::new(batch, "source_file")?,
            source_index: typed(batch, "source_index", "64-bit integer")?,
            duplicate: typed(batch, "duplicate", "boolean")?,
            record_check: typed(batch, "record_check", "32-bit integer")?,
        })
    }

    /// Where row `at` came from; `None` if that is incomplete or contradictory, which it is in no row of ours.
    pub fn provenance(&self, at: usize) -> Option<Provenance<'a>> {
        let integer = |array: &Int64Array| {
            valid(array, at).and_then(|at| u64::try_from(array.value(at)).ok())
        };
        let origin = self.origin.text(at).zip(integer(self.sequence));
        let file = self.source_file.text(at).zip(integer(self.source_index));
        let place = match (origin, file) {
            (Some((origin, sequence)), None) => Place::Ledger { origin: origin.into(), sequence },
            (None, Some((file, index))) => Place::File { file: file.into(), index },
            _ => return None,
        };
        Some(Provenance {
            place,
            duplicate: self.duplicate.value(valid(self.duplicate, at)?),
            record_check: self.record_check.value(valid(self.record_check, at)?),
        })
    }
}

/// The first four bytes of a leaf hash, as the column holds them.
pub fn record_check(leaf: &keytrail_ledger::Hash) -> i32 {
    let bytes = leaf.as_bytes();
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

pub(crate) fn column_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text | Kind::Json => DataType::Utf8,
        Kind::Bool => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

enum CellColumn<'a> {
    Text(TextColumn<'a>),
    Bool(&'a BooleanArray),
    Time(&'a TimestampMicrosecondArray),
}

impl<'a> CellColumn<'a> {
    fn new(batch: &'a RecordBatch, name: &str, kind: Kind) -> Result<Self, LakeError> {
        Ok(match kind {
            Kind::Text | Kind::Json => Self::Text(TextColumn::new(batch, name)?),
            Kind::Bool => Self::Bool(typed(batch, name, "boolean")?),
            Kind::Time => Self::Time(typed(batch, name, "timestamp in microseconds")?),
        })
    }

    fn cell(&self, at: usize) -> Cell<'a> {
        match self {
            Self::Text(column) => column.text(at).map(|text| Cell::Text(text.into())),
            Self::Bool(array) => valid(*array, at).map(|at| Cell::Bool(array.value(at))),
            Self::Time(array) => valid(*array, at).map(|at| Cell::Time(array.value(at))),
        }
        .unwrap_or_default()
    }
}

/// A text column in whichever of Arrow's forms the reader produced.
enum TextColumn<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> TextColumn<'a> {
    fn new(batch: &'a RecordBatch, name: &str) -> Result<Self, LakeError> {
        let array = batch.column_by_name(name).ok_or_else(|| missing(name, "text"))?;
        match array.data_type() {
            DataType::Utf8 => typed(batch, name, "text").map(Self::Utf8),
            DataType::LargeUtf8 => typed(batch, name, "text").map(Self::Large),
            DataType::Utf8View => typed(batch, name, "text").map(Self::View),
            _ => Err(missing(name, "text")),
        }
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        match self {
            Self::Utf8(array) => valid(*array, at).map(|at| array.value(at)),
            Self::Large(array) => valid(*array, at).map(|at| array.value(at)),
            Self::View(array) => valid(*array, at).map(|at| array.value(at)),
        }
    }
}

/// The row if it exists and is not null.
fn valid(array: &dyn Array, at: usize) -> Option<usize> {
    (at < array.len() && array.is_valid(at)).then_some(at)
}

fn typed<'a, T: 'static>(
    batch: &'a RecordBatch,
    name: &str,
    expected: &'static str,
) -> Result<&'a T, LakeError> {
    batch
        .column_by_name(name)
        .and_then(|array| array.as_any().downcast_ref())
        .ok_or_else(|| missing(name, expected))
}

fn missing(name: &str, expected: &'static str) -> LakeError {
    LakeError::Column { column: name.to_owned(), expected }
}
