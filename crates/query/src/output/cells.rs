//! The text of one cell, for the formats that show text (table, Markdown, CSV), and the shared treatment of
//! timestamps for all of them.
//!
//! Guarantees: timestamps in UTC with `Z`, lists joined with `, `, values that SQL took out of JSON bare (a JSON
//! string loses its quotes). Quoting, escaping and cutting are left to the formats.

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, JsonUnionEncoder, JsonUnionValue};

/// chrono's pattern for RFC 3339 in UTC; `%.f` writes 0, 3, 6 or 9 fraction digits. Only right after [`in_utc`].
pub(super) const TIMESTAMP_PATTERN: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// `batch` with every timestamp column marked as UTC. An instant does not depend on its zone, so the values stay as
/// they are; timestamps without a zone are UTC in Keytrail.
pub(super) fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if let DataType::Timestamp(unit, _) = field.data_type() {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            columns.push(cast(column, &utc)?);
            fields.push(Arc::new(field.as_ref().clone().with_data_type(utc)));
        } else {
            columns.push(Arc::clone(column));
            fields.push(Arc::clone(field));
        }
    }
    // `try_new` would lose the row count of an answer without columns.
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
}

/// Whether people expect the column to be aligned on the right.
pub(super) fn is_number(field: &Field) -> bool {
    field.data_type().is_numeric()
}

/// The cells of one column of a batch as text.
pub(super) struct Cells<'a> {
    array: &'a ArrayRef,
    form: Form<'a>,
}

enum Form<'a> {
    Plain(ArrayFormatter<'a>),
    Json(Box<JsonUnionEncoder>),
    List(Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// Prepares a column, which must come from a batch that went through [`in_utc`].
    pub(super) fn new(array: &'a ArrayRef) -> Result<Cells<'a>, ArrowError> {
        let form = match array.data_type() {
            DataType::List(_) => Form::List(Box::new(Cells::new(array.as_list::<i32>().values())?)),
            kind if *kind == *JSON_UNION_DATA_TYPE => {
                match JsonUnionEncoder::from_union(array.as_union().clone()) {
                    Some(values) => Form::Json(Box::new(values)),
                    None => Form::Plain(plain(array)?),
                }
            }
            _ => Form::Plain(plain(array)?),
        };
        Ok(Cells { array, form })
    }

    /// Appends the text of `row` to `text`; `false` when the value is absent.
    pub(super) fn append(&self, row: usize, text: &mut String) -> Result<bool, ArrowError> {
        if self.array.is_null(row) {
            return Ok(false);
        }
        match &self.form {
            Form::Plain(formatter) => {
                write!(text, "{}", formatter.value(row)).map_err(|_| unprintable(row))?;
            }
            Form::Json(values) => return Ok(append_json(&values.get_value(row), text)),
            Form::List(elements) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                let (start, end) = (offsets[row], offsets[row + 1]);
                for (position, element) in (start..end).enumerate() {
                    if position > 0 {
                        text.push_str(", ");
                    }
                    let element = usize::try_from(element).map_err(|_| unprintable(row))?;
                    elements.append(element, text)?;
                }
            }
        }
        Ok(true)
    }
}

fn plain(array: &ArrayRef) -> Result<ArrayFormatter<'_>, ArrowError> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new()
        .with_display_error(false)
        .with_timestamp_format(Some(TIMESTAMP_PATTERN))
        .with_timestamp_tz_format(Some(TIMESTAMP_PATTERN));
    ArrayFormatter::try_new(array.as_ref(), &OPTIONS)
}

fn append_json(value: &JsonUnionValue<'_>, text: &mut String) -> bool {
    // Writing to a String cannot fail.
    let _ = match value {
        JsonUnionValue::JsonNull => return false,
        JsonUnionValue::Bool(value) => write!(text, "{value}"),
        JsonUnionValue::Int(value) => write!(text, "{value}"),
        JsonUnionValue::Float(value) => write!(text, "{value}"),
        JsonUnionValue::Str(value)
        | JsonUnionValue::Array(value)
        | JsonUnionValue::Object(value) => {
            text.push_str(value);
            Ok(())
        }
    };
    true
}

fn unprintable(row: usize) -> ArrowError {
    ArrowError::ComputeError(format!("row {row} of the answer holds a value that cannot be shown"))
}
