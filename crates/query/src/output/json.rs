//! `json` and `ndjson`: one object for each row, members in the order of the columns.
//!
//! ```text
//! ndjson   {"event_name":"Decrypt","uses":98}\n            for each row
//! json     [\n{"event_name":"Decrypt","uses":98},\n…\n]\n    the same objects as one array; no row: [\n]\n
//! ```
//!
//! Values keep their type: numbers, booleans, `null` for an absent value (the member is always there), arrays for
//! lists, strings for text and timestamps. A column that holds JSON text (`request_parameters`, `resources`, …, or what
//! `->` took out of one) becomes that JSON itself, with its numbers and member order untouched and line breaks between
//! its tokens removed; if the text is not JSON after all, it is written as a string.

use std::{io::Write, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    datatypes::{DataType, FieldRef, Schema},
    error::ArrowError,
    json::{
        LineDelimitedWriter, WriterBuilder,
        writer::{Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder},
    },
};
use datafusion_functions_json::{
    JSON_UNION_DATA_TYPE, JsonUnionEncoder, JsonUnionValue, json_field_metadata,
};
use serde::de::IgnoredAny;

use super::cells;
use crate::QueryError;

pub(super) struct Objects {
    framing: Framing,
    rows: u64,
}

#[derive(Clone, Copy)]
enum Framing {
    Array,
    Lines,
}

impl Objects {
    pub(super) fn array() -> Objects {
        Objects { framing: Framing::Array, rows: 0 }
    }

    pub(super) fn lines() -> Objects {
        Objects { framing: Framing::Lines, rows: 0 }
    }

    pub(super) fn write(
        &mut self,
        out: &mut dyn Write,
        batch: &RecordBatch,
    ) -> Result<(), QueryError> {
        let lines = encode(batch)?;
        match self.framing {
            Framing::Lines => out.write_all(&lines).map_err(QueryError::Output)?,
            // No object holds a line break, so each line is one object.
            Framing::Array => {
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let separator: &[u8] = if self.rows == 0 { b"[\n" } else { b",\n" };
                    self.rows += 1;
                    out.write_all(separator).map_err(QueryError::Output)?;
                    out.write_all(line).map_err(QueryError::Output)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, out: &mut dyn Write) -> Result<(), QueryError> {
        let end: &[u8] = match (self.framing, self.rows) {
            (Framing::Lines, _) => b"",
            (Framing::Array, 0) => b"[\n]\n",
            (Framing::Array, _) => b"\n]\n",
        };
        out.write_all(end).map_err(QueryError::Output)
    }
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let batch = json_values_as_text(&cells::in_utc(batch)?)?;
    let mut writer: LineDelimitedWriter<Vec<u8>> = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format(cells::TIMESTAMP_PATTERN.to_owned())
        .with_timestamp_format(cells::TIMESTAMP_PATTERN.to_owned())
        .with_encoder_factory(Arc::new(Verbatim))
        .build::<_, LineDelimited>(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// `->` yields a union of JSON's types, which Arrow's writer refuses: turned into JSON text, marked as such.
fn json_values_as_text(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if batch.columns().iter().all(|column| *column.data_type() != *JSON_UNION_DATA_TYPE) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let union = column.as_union_opt().cloned().and_then(JsonUnionEncoder::from_union);
        let Some(values) = union else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        };
        let text: StringArray =
            (0..values.len()).map(|row| json_text(&values.get_value(row))).collect();
        let json = field.as_ref().clone().with_data_type(DataType::Utf8).with_nullable(true);
        fields.push(Arc::new(json.with_metadata(json_field_metadata())));
        columns.push(Arc::new(text));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn json_text(value: &JsonUnionValue<'_>) -> Option<String> {
    match value {
        JsonUnionValue::JsonNull => None,
        JsonUnionValue::Bool(value) => Some(value.to_string()),
        JsonUnionValue::Int(value) => Some(value.to_string()),
        JsonUnionValue::Float(value) => serde_json::to_string(value).ok(),
        JsonUnionValue::Str(value) => serde_json::to_string(value).ok(),
        JsonUnionValue::Array(value) | JsonUnionValue::Object(value) => Some((*value).to_owned()),
    }
}

/// Writes columns marked as JSON text without quoting them.
#[derive(Debug)]
struct Verbatim;

impl EncoderFactory for Verbatim {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        if !is_json(field) {
            return Ok(None);
        }
        let text: Text<'a> = match array.data_type() {
            DataType::Utf8 => Box::new(|row| array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => Box::new(|row| array.as_string::<i64>().value(row)),
            DataType::Utf8View => Box::new(|row| array.as_string_view().value(row)),
            // A dictionary comes here once more with its values.
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(Box::new(VerbatimText(text)), array.nulls().cloned())))
    }
}

/// Whether a column is declared to hold JSON text (Arrow's canonical extension type `arrow.json`).
pub(super) fn is_json(field: &FieldRef) -> bool {
    field.metadata().get("ARROW:extension:name").is_some_and(|name| name == "arrow.json")
}

type Text<'a> = Box<dyn Fn(usize) -> &'a str + 'a>;

struct VerbatimText<'a>(Text<'a>);

impl Encoder for VerbatimText<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let text = (self.0)(row);
        if serde_json::from_str::<IgnoredAny>(text).is_err() {
            // Serialising a str into memory cannot fail.
            let _ = serde_json::to_writer(out, text);
        } else if text.contains(['\n', '\r']) {
            append_without_breaks(text, out);
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Line breaks in valid JSON stand only between tokens: inside strings they are escaped.
fn append_without_breaks(json: &str, out: &mut Vec<u8>) {
    out.extend(json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
}
