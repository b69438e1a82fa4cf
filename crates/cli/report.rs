//! Small results that no query made: named facts, and rows of text.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use keytrail_query::{Printer, Style};
use serde_json::{Map, Value};

use crate::{Context, Format};

/// Prints rows of text in the formats of a query's answer.
pub(crate) fn print_rows<const N: usize>(
    context: &Context,
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> anyhow::Result<()> {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let arrays = columns.iter().enumerate().map(|(index, name)| {
        let cells = StringArray::from_iter_values(rows.iter().map(|row| row[index].as_str()));
        (*name, Arc::new(cells) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(arrays)?;
    let style = Style::plain(context.format.into());
    let mut printer = Printer::new(std::io::stdout().lock(), &batch.schema(), style);
    printer.write(&batch)?;
    printer.finish()?;
    Ok(())
}

/// Prints named facts: aligned for people, one JSON object otherwise. CSV and Markdown have a line for each fact.
pub(crate) fn print_facts(format: Format, facts: &[(&str, Value)]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match format {
        Format::Json | Format::Ndjson => {
            let object: Map<String, Value> =
                facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            writeln!(stdout, "{}", Value::Object(object))?;
        }
        Format::Table => {
            let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, value) in facts {
                writeln!(stdout, "{name:width$}  {}", plain(value))?;
            }
        }
        Format::Csv => {
            writeln!(stdout, "name,value")?;
            for (name, value) in facts {
                writeln!(stdout, "{name},\"{}\"", plain(value).replace('"', "\"\""))?;
            }
        }
        Format::Markdown => {
            writeln!(stdout, "| name | value |\n|---|---|")?;
            for (name, value) in facts {
                writeln!(stdout, "| {name} | {} |", plain(value).replace('|', "\\|"))?;
            }
        }
    }
    Ok(())
}
