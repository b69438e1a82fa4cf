//! A record as a row of the lake.

use std::borrow::Cow;

use crate::columns::COLUMN_COUNT;

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cell<'a> {
    /// No value: the member is absent, or `null`, or not of the column's kind.
    #[default]
    Null,
    /// A text, unescaped; in a column of kind `Json` the value's JSON text, verbatim.
    Text(Cow<'a, str>),
    /// True or false.
    Bool(bool),
    /// Microseconds since 1970, UTC.
    Time(i64),
}

impl Cell<'_> {
    /// The text, if the cell holds one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A record in columns: what [`split`](crate::split()) makes and [`join`](crate::join()) takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// One cell per entry of [`COLUMNS`](crate::COLUMNS), in its order.
    pub cells: [Cell<'a>; COLUMN_COUNT],
    /// The order of the members, which of them are null and which stand in `extra`:
    /// `schemas/record-columns.md`.
    pub layout: Cow<'a, str>,
    /// A JSON object with the members that no column can give back: unknown ones, and known ones in
    /// an unusual form.
    pub extra: Option<Cow<'a, str>>,
    /// The record's exact text, where the other parts cannot give it back (white space between
    /// members, mostly).
    pub raw: Option<Cow<'a, str>>,
}

impl Row<'_> {
    /// A row without any value.
    pub fn empty() -> Self {
        Self {
            cells: [const { Cell::Null }; COLUMN_COUNT],
            layout: Cow::Borrowed(""),
            extra: None,
            raw: None,
        }
    }
}
