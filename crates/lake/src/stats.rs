//! What is known of a data file's columns without opening it: smallest and largest value, number of nulls.
//!
//! The same numbers stand in the Delta log, where every engine prunes files by them, and in the catalog, because the
//! catalog holds the Delta commit's bytes. This module reads them back from there and leaves their use to the reader.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// The columns with statistics: those that a question names and that vary between files. Ids are random, so each file
/// spans them all; long texts would only make the log heavy.
pub const STATS_COLUMNS: &[&str] = &[
    "event_time",
    "event_source",
    "event_name",
    "aws_region",
    "error_code",
    "recipient_account_id",
    "identity_type",
    "principal_arn",
    "account_id",
    "key_arn",
    "key_arn2",
    "sequence",
];

/// A smallest or largest value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StatValue {
    /// Of a text column; compared by its bytes.
    Text(String),
    /// Of a time column, in microseconds since 1970, UTC; whole milliseconds, which is what Delta keeps. A smallest
    /// value is rounded down, a largest up.
    Time(i64),
    /// Of an integer column.
    Integer(i64),
}

/// What is known of one column of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnStats {
    /// Smallest value; none if all are null or it was too long to keep.
    pub min: Option<StatValue>,
    /// Largest value; none if all are null or it was too long to keep.
    pub max: Option<StatValue>,
    /// Rows without a value.
    pub nulls: u64,
}

/// What is known of the columns of one file: the columns in [`STATS_COLUMNS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    /// By column name.
    pub columns: BTreeMap<String, ColumnStats>,
}

impl FileStats {
    /// Reads the `stats` text of an `add` action. Whatever is missing or malformed there is unknown here: statistics
    /// only save work, they never decide.
    pub(crate) fn from_delta(text: &str) -> Self {
        let Ok(stats) = serde_json::from_str::<Value>(text) else { return Self::default() };
        let column = |name: &&str| {
            let nulls = stats["nullCount"][name].as_u64()?;
            let min = value(name, &stats["minValues"][name]);
            let max = value(name, &stats["maxValues"][name]);
            Some(((*name).to_owned(), ColumnStats { min, max, nulls }))
        };
        Self { columns: STATS_COLUMNS.iter().filter_map(column).collect() }
    }
}

fn value(column: &str, value: &Value) -> Option<StatValue> {
    match value {
        Value::Number(number) => number.as_i64().map(StatValue::Integer),
        Value::String(text) if column == "event_time" => {
            let time: Timestamp = text.parse().ok()?;
            Some(StatValue::Time(time.as_microsecond()))
        }
        Value::String(text) => Some(StatValue::Text(text.clone())),
        _ => None,
    }
}
