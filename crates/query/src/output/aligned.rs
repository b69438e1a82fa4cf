//! `table`: aligned columns for people.
//!
//! ```text
//! event_time            operation  uses
//! --------------------  ---------  ----
//! 2023-07-10T12:40:00Z  Decrypt      98
//! ```
//!
//! A heading of the column names, a rule of `-`, then one line for each row; two spaces between columns; numbers on
//! the right, all else on the left; no spaces at the end of a line. An absent value is empty. Characters that would
//! move the cursor or start an escape sequence are shown as Rust escapes (`\n`, `\u{1b}`): whoever calls an API
//! chooses the text of `userAgent`, and it must not reach the auditor's terminal as a command.
//!
//! Widths come from the first [`WIDTH_SAMPLE`] rows; a wider cell further down pushes its line out rather than
//! holding back an unbounded answer. With a limit on the line the widest columns are narrowed first, and a cell that
//! does not fit loses its *middle* (`arn:aws:kms:us-ea…4567890ab`): the end of an ARN is what tells it apart. Widths
//! count characters, which is exact for the ASCII that records consist of.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{
    Emphasis, Style,
    cells::{self, Cells},
};
use crate::QueryError;

/// Rows that decide the widths of a table, and the most it holds back before it writes.
pub const WIDTH_SAMPLE: usize = 1_000;

/// No column is narrowed below this: fewer characters tell nothing.
const WIDTH_MIN: usize = 12;

const GAP: &str = "  ";

pub(super) struct Aligned {
    heading: Vec<String>,
    right: Vec<bool>,
    style: Style,
    state: State,
}

enum State {
    /// Rows held back until the widths are known.
    Sampling(Vec<Vec<String>>),
    /// The heading is out, and with it the widths are fixed.
    Streaming(Widths),
}

struct Widths {
    columns: Vec<usize>,
    /// Longer cells lose their middle.
    cell_max: usize,
}

impl Aligned {
    pub(super) fn new(schema: &SchemaRef, style: Style) -> Aligned {
        Aligned {
            heading: schema.fields().iter().map(|field| printable(field.name())).collect(),
            right: schema.fields().iter().map(|field| cells::is_number(field)).collect(),
            style,
            state: State::Sampling(Vec::new()),
        }
    }

    pub(super) fn write(
        &mut self,
        out: &mut dyn Write,
        batch: &RecordBatch,
    ) -> Result<(), QueryError> {
        let batch = cells::in_utc(batch)?;
        let columns: Vec<Cells<'_>> =
            batch.columns().iter().map(Cells::new).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let mut line = Vec::with_capacity(columns.len());
            for column in &columns {
                let mut cell = String::new();
                column.append(row, &mut cell)?;
                line.push(printable(&cell));
            }
            match &mut self.state {
                State::Streaming(widths) => write_line(out, &line, widths, &self.right)?,
                State::Sampling(sample) => {
                    sample.push(line);
                    if sample.len() == WIDTH_SAMPLE {
                        self.begin(out)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut dyn Write) -> Result<(), QueryError> {
        self.begin(out)
    }

    /// Fixes the widths, writes the heading and the rows held back; nothing when that was done before.
    fn begin(&mut self, out: &mut dyn Write) -> Result<(), QueryError> {
        let State::Sampling(sample) = &mut self.state else { return Ok(()) };
        let sample = std::mem::take(sample);
        let widths = self.widths(&sample);
        let (on, off) = match self.style.emphasis {
            Emphasis::Plain => ("", ""),
            Emphasis::Ansi => ("\u{1b}[1m", "\u{1b}[0m"),
        };
        let heading = line_text(&self.heading, &widths, &self.right);
        let rule: Vec<String> = widths.columns.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(out, "{on}{heading}{off}\n{}", rule.join(GAP)).map_err(QueryError::Output)?;
        for line in &sample {
            write_line(out, line, &widths, &self.right)?;
        }
        self.state = State::Streaming(widths);
        Ok(())
    }

    fn widths(&self, sample: &[Vec<String>]) -> Widths {
        let mut columns: Vec<usize> =
            self.heading.iter().map(|name| name.chars().count()).collect();
        for line in sample {
            for (width, cell) in columns.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let cell_max = self.style.width_max.map_or(usize::MAX, |line_max| cap(&columns, line_max));
        for width in &mut columns {
            *width = (*width).min(cell_max);
        }
        Widths { columns, cell_max }
    }
}

/// The widest cell with which a line fits, but never below [`WIDTH_MIN`]: only the widest columns give way.
fn cap(columns: &[usize], line_max: usize) -> usize {
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    let line = |cap: usize| columns.iter().map(|width| (*width).min(cap)).sum::<usize>() + gaps;
    let mut cap = columns.iter().copied().max().unwrap_or(0).max(WIDTH_MIN);
    while cap > WIDTH_MIN && line(cap) > line_max {
        cap -= 1;
    }
    cap
}

fn write_line(
    out: &mut dyn Write,
    line: &[String],
    widths: &Widths,
    right: &[bool],
) -> Result<(), QueryError> {
    writeln!(out, "{}", line_text(line, widths, right)).map_err(QueryError::Output)
}

fn line_text(line: &[String], widths: &Widths, right: &[bool]) -> String {
    let mut text = String::new();
    for (position, ((cell, width), right)) in
        line.iter().zip(&widths.columns).zip(right).enumerate()
    {
        if position > 0 {
            text.push_str(GAP);
        }
        let cell = without_middle(cell, widths.cell_max);
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        if *right {
            text.push_str(&padding);
            text.push_str(&cell);
        } else {
            text.push_str(&cell);
            text.push_str(&padding);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn without_middle(cell: &str, width: usize) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    let head = (width - 1) / 2;
    let tail = width - 1 - head;
    let start: String = cell.chars().take(head).collect();
    let end: String = cell.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

fn printable(cell: &str) -> String {
    if !cell.chars().any(is_hostile) {
        return cell.to_owned();
    }
    let mut text = String::with_capacity(cell.len() + 8);
    for character in cell.chars() {
        if is_hostile(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// Control characters, and the ones that reorder or hide the text around them (bidirectional overrides, zero width).
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
