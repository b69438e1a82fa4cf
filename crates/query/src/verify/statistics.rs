//! The bounds in the Delta log, computed again from the rows.
//!
//! Queries skip files by these bounds, and so does every other engine; a bound that is too narrow hides rows. The
//! catalog's signature says that they are the ingester's, this module that they are right.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::{max, max_string_view, min, min_string_view},
    datatypes::{DataType, Int64Type, TimestampMicrosecondType},
};
use keytrail_lake::{ColumnStats, FileStats, STATS_COLUMNS, StatValue};
use keytrail_ledger::{FindingKind, Report};

/// Bounds of the rows seen so far.
#[derive(Default)]
pub(super) struct Bounds(BTreeMap<&'static str, ColumnStats>);

impl Bounds {
    /// Widens the bounds to the rows of `batch`.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for name in STATS_COLUMNS {
            let Some(column) = batch.column_by_name(name) else { continue };
            let (min, max) = extremes(column);
            self.widen(name, ColumnStats { min, max, nulls: column.null_count() as u64 });
        }
    }

    /// Widens the bounds to those of other rows.
    pub(super) fn merge(&mut self, other: Bounds) {
        for (name, stats) in other.0 {
            self.widen(name, stats);
        }
    }

    fn widen(&mut self, name: &'static str, stats: ColumnStats) {
        let bounds = self.0.entry(name).or_default();
        bounds.nulls += stats.nulls;
        bounds.min = match (bounds.min.take(), stats.min) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (one, other) => one.or(other),
        };
        bounds.max = bounds.max.take().max(stats.max);
    }

    /// Compares with what the Delta log says about the file at `place`. A bound that is not there hides nothing.
    pub(super) fn compare(&self, logged: &FileStats, place: &str, report: &mut Report) {
        for (name, found) in &self.0 {
            let Some(logged) = logged.columns.get(*name) else { continue };
            let mut differs = |what: &str, logged: String, found: String| {
                let detail =
                    format!("{what} of {name} in the Delta log is {logged}, in the rows {found}");
                report.find(FindingKind::Metadata, place, detail);
            };
            if logged.nulls != found.nulls {
                differs("number of nulls", logged.nulls.to_string(), found.nulls.to_string());
            }
            for (what, logged, found) in
                [("minimum", &logged.min, &found.min), ("maximum", &logged.max, &found.max)]
            {
                if logged.is_some() && logged != found {
                    differs(what, format!("{logged:?}"), format!("{found:?}"));
                }
            }
        }
    }
}

fn extremes(column: &dyn Array) -> (Option<StatValue>, Option<StatValue>) {
    let text = |text: &str| StatValue::Text(text.to_owned());
    match column.data_type() {
        DataType::Utf8View => {
            let column = column.as_string_view();
            (min_string_view(column).map(text), max_string_view(column).map(text))
        }
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            (min(column).map(StatValue::Integer), max(column).map(StatValue::Integer))
        }
        DataType::Timestamp(..) => match column.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(column) => (min(column).map(StatValue::Time), max(column).map(StatValue::Time)),
            None => (None, None),
        },
        _ => (None, None),
    }
}
