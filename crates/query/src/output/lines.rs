//! The two formats with one line of text for each row: CSV and Markdown. Both stream.
//!
//! **CSV**: RFC 4180 with the column names as first line, `,` between fields, `\n` between lines. A field is quoted
//! when it holds `,`, `"`, a line break, or is the empty text; quotes are doubled. An absent value is an empty field
//! without quotes, so that it differs from the empty text. Values are verbatim: a spreadsheet that runs cells
//! beginning with `=` needs its own care.
//!
//! **Markdown**: a GitHub-flavoured table; columns of numbers are aligned on the right. Within cells `\`, `|` are
//! escaped with a backslash, `<` and `&` become entities (a log holds text that strangers chose, and a rendered page
//! must not run it), and line breaks become spaces.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::cells::{self, Cells};
use crate::QueryError;

pub(super) struct Lines {
    dialect: Dialect,
    heading: Option<String>,
}

#[derive(Clone, Copy)]
enum Dialect {
    Csv,
    Markdown,
}

impl Lines {
    pub(super) fn csv(schema: &SchemaRef) -> Lines {
        let names: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        Lines { dialect: Dialect::Csv, heading: Some(names.join(",") + "\n") }
    }

    pub(super) fn markdown(schema: &SchemaRef) -> Lines {
        let mut heading = String::from("|");
        for field in schema.fields() {
            heading.push(' ');
            escape(field.name(), &mut heading);
            heading.push_str(" |");
        }
        heading.push_str("\n|");
        for field in schema.fields() {
            heading.push_str(if cells::is_number(field) { "---:|" } else { "---|" });
        }
        heading.push('\n');
        Lines { dialect: Dialect::Markdown, heading: Some(heading) }
    }

    pub(super) fn write(
        &mut self,
        out: &mut dyn Write,
        batch: &RecordBatch,
    ) -> Result<(), QueryError> {
        let mut text = self.heading.take().unwrap_or_default();
        let batch = cells::in_utc(batch)?;
        let columns: Vec<Cells<'_>> =
            batch.columns().iter().map(Cells::new).collect::<Result<_, _>>()?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (position, column) in columns.iter().enumerate() {
                cell.clear();
                let present = column.append(row, &mut cell)?;
                self.dialect.append(position, present.then_some(&cell), &mut text);
            }
            text.push_str(self.dialect.line_end());
        }
        out.write_all(text.as_bytes()).map_err(QueryError::Output)
    }

    pub(super) fn finish(self, out: &mut dyn Write) -> Result<(), QueryError> {
        out.write_all(self.heading.unwrap_or_default().as_bytes()).map_err(QueryError::Output)
    }
}

impl Dialect {
    fn append(self, position: usize, cell: Option<&String>, text: &mut String) {
        match self {
            Dialect::Csv => {
                if position > 0 {
                    text.push(',');
                }
                if let Some(cell) = cell {
                    text.push_str(&quoted(cell));
                }
            }
            Dialect::Markdown => {
                text.push_str(if position == 0 { "| " } else { " | " });
                escape(cell.map_or("", String::as_str), text);
            }
        }
    }

    fn line_end(self) -> &'static str {
        match self {
            Dialect::Csv => "\n",
            Dialect::Markdown => " |\n",
        }
    }
}

fn quoted(field: &str) -> String {
    if field.is_empty() || field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn escape(cell: &str, text: &mut String) {
    for character in cell.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '|' => text.push_str("\\|"),
            '<' => text.push_str("&lt;"),
            '&' => text.push_str("&amp;"),
            control if control.is_control() => text.push(' '),
            other => text.push(other),
        }
    }
}
