//! How an answer is written: the five output formats, specified.
//!
//! A [`Printer`] takes Arrow batches as they arrive and writes them to any `io::Write`. It only writes; nothing here
//! reads an answer back. Every format but the table holds one batch at a time, and the table holds at most
//! [`WIDTH_SAMPLE`] rows: an answer of any length needs little memory.
//!
//! Rules of all formats:
//!
//! - Text is UTF-8, lines end with `\n`, and no escape sequence for terminals is written unless
//!   [`Emphasis::Ansi`] is asked for.
//! - Timestamps are RFC 3339 in UTC with `Z`, and with as many fraction digits as they need (none, 3, 6 or 9):
//!   `2023-07-10T12:40:00Z`. A timestamp of another zone is shown as the same instant in UTC.
//! - Columns keep the order of the query.
//!
//! | format | specified at | absent value | lists | JSON columns |
//! |---|---|---|---|---|
//! | `table` | [`aligned`] | empty | joined with `, ` | text |
//! | `markdown` | [`lines`] | empty | joined with `, ` | text |
//! | `csv` | [`lines`] | empty, where the empty text is `""` | joined with `, ` | text |
//! | `json`, `ndjson` | [`json`] | `null` | array | the JSON itself, not a string holding it |

mod aligned;
mod cells;
mod json;
mod lines;

use std::{io::Write, str::FromStr};

use arrow::{array::RecordBatch, datatypes::SchemaRef};

pub use self::aligned::WIDTH_SAMPLE;
use crate::QueryError;

/// An output format. [`FromStr`] and [`Format::name`] speak the names of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// One JSON array with an object for each row.
    Json,
    /// One JSON object for each line.
    Ndjson,
    /// RFC 4180 with a heading line, but `\n` between lines.
    Csv,
    /// A GitHub-flavoured Markdown table.
    Markdown,
}

impl Format {
    /// Every format, in the order in which the help lists them.
    pub const ALL: [Format; 5] =
        [Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Markdown];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Markdown => "markdown",
        }
    }
}

impl FromStr for Format {
    type Err = QueryError;

    fn from_str(name: &str) -> Result<Format, QueryError> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| QueryError::UnknownFormat { name: name.to_owned() })
    }
}

/// Whether a table's heading may carry terminal escape sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// No escape sequence at all: what a pipe, a file and a test want.
    #[default]
    Plain,
    /// The heading in bold. Only for a terminal that the caller has recognised.
    Ansi,
}

/// What a [`Printer`] needs to know besides the columns.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// Longest line of a table in characters; longer cells lose their middle. `None`: never cut.
    pub width_max: Option<usize>,
    /// Emphasis of a table's heading.
    pub emphasis: Emphasis,
}

impl Style {
    /// `format` without limits on width and without emphasis.
    pub fn plain(format: Format) -> Style {
        Style { format, width_max: None, emphasis: Emphasis::Plain }
    }
}

/// Writes one answer. [`Printer::finish`] consumes it; without that call the last lines and the closing bracket of a
/// JSON array are missing.
pub struct Printer<W: Write> {
    out: W,
    rows: u64,
    body: Body,
}

enum Body {
    Aligned(aligned::Aligned),
    Json(json::Objects),
    Lines(lines::Lines),
}

impl<W: Write> Printer<W> {
    /// A printer for an answer with the columns of `schema`.
    pub fn new(out: W, schema: &SchemaRef, style: Style) -> Printer<W> {
        let body = match style.format {
            Format::Table => Body::Aligned(aligned::Aligned::new(schema, style)),
            Format::Json => Body::Json(json::Objects::array()),
            Format::Ndjson => Body::Json(json::Objects::lines()),
            Format::Csv => Body::Lines(lines::Lines::csv(schema)),
            Format::Markdown => Body::Lines(lines::Lines::markdown(schema)),
        };
        Printer { out, rows: 0, body }
    }

    /// Writes the rows of one batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.rows += batch.num_rows() as u64;
        match &mut self.body {
            Body::Aligned(table) => table.write(&mut self.out, batch),
            Body::Json(objects) => objects.write(&mut self.out, batch),
            Body::Lines(lines) => lines.write(&mut self.out, batch),
        }
    }

    /// Ends the answer, flushes, and tells how many rows it had.
    pub fn finish(mut self) -> Result<u64, QueryError> {
        match self.body {
            Body::Aligned(table) => table.finish(&mut self.out)?,
            Body::Json(objects) => objects.finish(&mut self.out)?,
            Body::Lines(lines) => lines.finish(&mut self.out)?,
        }
        self.out.flush().map_err(QueryError::Output)?;
        Ok(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use std::{slice::from_ref, sync::Arc};

    use arrow::{
        array::{
            ArrayRef, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray,
            StringViewArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Int32Type, Schema},
    };
    use datafusion_functions_json::json_field_metadata;
    use insta::assert_snapshot;

    use super::{Emphasis, Format, Printer, Style};

    fn printed(batches: &[RecordBatch], style: Style) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, &batches[0].schema(), style);
        for batch in batches {
            printer.write(batch).expect("writes");
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(printer.finish().expect("ends"), rows as u64);
        String::from_utf8(out).expect("UTF-8")
    }

    /// Every kind of value, absent values, and text that tries to break out of each format.
    fn hostile() -> RecordBatch {
        let times =
            TimestampMicrosecondArray::from(vec![Some(1_688_992_800_000_000), Some(1_500), None]);
        let names = StringArray::from(vec![Some("a|b,\"c\"\n<i>\\"), Some(""), None]);
        let numbers = Int64Array::from(vec![Some(i64::MAX), Some(-1), None]);
        let flags = BooleanArray::from(vec![Some(true), Some(false), None]);
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            Some(vec![]),
            None,
        ]);
        let json = StringViewArray::from(vec![
            Some("{\"n\": 1.50,\n \"a\": [null]}"),
            Some("not json"),
            None,
        ]);
        let columns: [(Field, ArrayRef); 6] = [
            (Field::new("at", times_type(), true), Arc::new(times.with_timezone("+02:00"))),
            (Field::new("name", DataType::Utf8, true), Arc::new(names)),
            (Field::new("n", DataType::Int64, true), Arc::new(numbers)),
            (Field::new("ok", DataType::Boolean, true), Arc::new(flags)),
            (
                Field::new("list", arrow::array::Array::data_type(&lists).clone(), true),
                Arc::new(lists),
            ),
            (
                Field::new("json", DataType::Utf8View, true).with_metadata(json_field_metadata()),
                Arc::new(json),
            ),
        ];
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
    }

    fn times_type() -> DataType {
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("+02:00".into()))
    }

    fn texts(column: &str, values: &[&str]) -> RecordBatch {
        let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        RecordBatch::try_from_iter([(column, values)]).expect("a batch")
    }

    #[test]
    fn a_table_aligns_and_shows_what_would_move_the_cursor() {
        assert_snapshot!(printed(&[hostile()], Style::plain(Format::Table)), @r##"
        at                           name                             n  ok     list  json
        ---------------------------  -------------  -------------------  -----  ----  --------------------------
        2023-07-10T12:40:00Z         a|b,"c"\n<i>\  9223372036854775807  true   1, 2  {"n": 1.50,\n "a": [null]}
        1970-01-01T00:00:00.001500Z                                  -1  false        not json
        "##);
    }

    #[test]
    fn csv_quotes_and_tells_empty_from_absent() {
        assert_snapshot!(printed(&[hostile()], Style::plain(Format::Csv)), @r##"
        at,name,n,ok,list,json
        2023-07-10T12:40:00Z,"a|b,""c""
        <i>\",9223372036854775807,true,"1, 2","{""n"": 1.50,
         ""a"": [null]}"
        1970-01-01T00:00:00.001500Z,"",-1,false,"",not json
        ,,,,,
        "##);
    }

    #[test]
    fn markdown_lets_no_cell_become_markup() {
        assert_snapshot!(printed(&[hostile()], Style::plain(Format::Markdown)), @r##"
        | at | name | n | ok | list | json |
        |---|---|---:|---|---|---|
        | 2023-07-10T12:40:00Z | a\|b,"c" &lt;i>\\ | 9223372036854775807 | true | 1, 2 | {"n": 1.50,  "a": [null]} |
        | 1970-01-01T00:00:00.001500Z |  | -1 | false |  | not json |
        |  |  |  |  |  |  |
        "##);
    }

    #[test]
    fn ndjson_keeps_types_and_nests_json_verbatim() {
        assert_snapshot!(printed(&[hostile()], Style::plain(Format::Ndjson)), @r##"
        {"at":"2023-07-10T12:40:00Z","name":"a|b,\"c\"\n<i>\\","n":9223372036854775807,"ok":true,"list":[1,2],"json":{"n": 1.50, "a": [null]}}
        {"at":"1970-01-01T00:00:00.001500Z","name":"","n":-1,"ok":false,"list":[],"json":"not json"}
        {"at":null,"name":null,"n":null,"ok":null,"list":null,"json":null}
        "##);
    }

    #[test]
    fn json_is_one_array_whatever_the_number_of_rows_and_batches() {
        let batch = texts("a", &["x", "y"]);
        let none = batch.slice(0, 0);
        let style = Style::plain(Format::Json);
        assert_eq!(printed(from_ref(&none), style), "[\n]\n");
        let rows = printed(&[batch.slice(0, 1), none, batch.slice(1, 1)], style);
        assert_eq!(rows, "[\n{\"a\":\"x\"},\n{\"a\":\"y\"}\n]\n");
    }

    #[test]
    fn an_answer_without_rows_still_names_its_columns_where_the_format_can() {
        let none = texts("name", &[]);
        let shown = |format| printed(from_ref(&none), Style::plain(format));
        assert_eq!(shown(Format::Table), "name\n----\n");
        assert_eq!(shown(Format::Csv), "name\n");
        assert_eq!(shown(Format::Markdown), "| name |\n|---|\n");
        assert_eq!(shown(Format::Ndjson), "");
    }

    #[test]
    fn a_narrow_table_cuts_the_middle_of_the_widest_cells_only() {
        let arn: ArrayRef = Arc::new(StringArray::from(vec![
            "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ]));
        let name: ArrayRef = Arc::new(StringArray::from(vec!["Decrypt"]));
        let batch =
            RecordBatch::try_from_iter([("key", arn), ("operation", name)]).expect("a batch");
        let style = Style { width_max: Some(40), ..Style::plain(Format::Table) };
        assert_eq!(
            printed(from_ref(&batch), style),
            "key                            operation\n\
             -----------------------------  ---------\n\
             arn:aws:kms:us…f-1234567890ab  Decrypt\n"
        );
        let style = Style { width_max: Some(1), ..style };
        assert!(printed(&[batch], style).contains("arn:a…7890ab"), "never below the least width");
    }

    #[test]
    fn escape_sequences_come_only_when_asked_for() {
        let batch = texts("name", &["\u{1b}[31mred\u{202e}"]);
        let plain = printed(from_ref(&batch), Style::plain(Format::Table));
        assert_eq!(plain, "name\n---------------------\n\\u{1b}[31mred\\u{202e}\n");
        let style = Style { emphasis: Emphasis::Ansi, ..Style::plain(Format::Table) };
        assert!(printed(&[batch], style).starts_with("\u{1b}[1mname\u{1b}[0m\n---"));
    }

    #[test]
    fn rows_beyond_the_width_sample_are_written_all_the_same() {
        let many = vec!["x"; super::WIDTH_SAMPLE];
        let text = printed(
            &[texts("a", &many), texts("a", &["a wider one"])],
            Style::plain(Format::Table),
        );
        assert_eq!(text.lines().count(), 2 + super::WIDTH_SAMPLE + 1);
        assert_eq!(text.lines().last(), Some("a wider one"));
    }

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.name().parse::<Format>().ok(), Some(format));
        }
        assert!("Table".parse::<Format>().is_err(), "names are lower case");
    }
}
