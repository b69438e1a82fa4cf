//! Puts a row's record together again, byte for byte.
//!
//! The inverse of [`split`](crate::split()): `join(split(bytes)) == bytes` for every JSON object.
//! It follows the layout and believes the cells; it does not check that JSON cells hold JSON. A row
//! that somebody edited joins into other bytes, or not at all, and whoever compares the bytes with
//! their hash, and the cells with a second split, sees it.

use crate::columns::{COLUMNS, Kind};
use crate::json::escape_with;
use crate::layout::{Container, EXTRA, Member, NULL, Place, Scope};
use crate::scan::Scanner;
use crate::time::push_event_time;
use crate::{Cell, JoinError, Row};

/// The exact bytes of the record that the row was split from. `raw` wins where there is one.
///
/// # Errors
/// [`JoinError`] if no record splits into this row: it was edited, damaged, or written by a version
/// of this crate with more codes.
pub fn join(row: &Row<'_>) -> Result<Vec<u8>, JoinError> {
    if let Some(raw) = &row.raw {
        return Ok(raw.as_bytes().to_vec());
    }
    let mut out = String::with_capacity(RECORD_BYTES);
    write_record(row, &mut out)?;
    Ok(out.into_bytes())
}

/// A little more than the average record, to allocate once.
const RECORD_BYTES: usize = 2048;

/// Writes the record that the row's cells, layout and `extra` describe. `raw` is not looked at.
fn write_record(row: &Row<'_>, out: &mut String) -> Result<(), JoinError> {
    let mut joiner = Joiner {
        row,
        out,
        extra: Extra::open(row.extra.as_deref())?,
        container: None,
        is_first: true,
    };
    joiner.out.push('{');
    let mut layout = row.layout.char_indices();
    while let Some((position, code)) = layout.next() {
        match code {
            EXTRA => joiner.extra_member()?,
            NULL => {
                let (position, code) = layout.next().unwrap_or((position, NULL));
                let member = joiner.known(position, code)?;
                joiner.name(member);
                joiner.out.push_str("null");
            }
            _ => joiner.member(position, code)?,
        }
    }
    if joiner.container.is_some() {
        return Err(JoinError::Misplaced { position: row.layout.len() });
    }
    joiner.out.push('}');
    joiner.extra.close()
}

struct Joiner<'r, 'a> {
    row: &'r Row<'a>,
    out: &'r mut String,
    extra: Extra<'r>,
    /// The innermost open container; none in the record itself.
    container: Option<&'static Container>,
    /// Whether no member has been written in this scope yet.
    is_first: bool,
}

impl Joiner<'_, '_> {
    #[inline]
    fn member(&mut self, position: usize, code: char) -> Result<(), JoinError> {
        if let Some(container) = self.container.filter(|container| container.close == code) {
            self.out.push('}');
            self.container = container.parent.container();
            self.is_first = false;
            return Ok(());
        }
        let member = self.known(position, code)?;
        self.name(member);
        match member.place {
            Place::Column(index, kind) => self.value(index, kind)?,
            Place::Container(container) => {
                self.out.push('{');
                self.container = Some(container);
                self.is_first = true;
            }
        }
        Ok(())
    }

    #[inline]
    fn known(&self, position: usize, code: char) -> Result<&'static Member, JoinError> {
        let member = u8::try_from(code).ok().and_then(Member::coded);
        let member = member.ok_or(JoinError::UnknownCode { position, code })?;
        let scope = self.container.map_or(Scope::Record, |container| container.scope);
        if member.scope == scope { Ok(member) } else { Err(JoinError::Misplaced { position }) }
    }

    #[inline]
    fn name(&mut self, member: &Member) {
        self.out.push_str(if self.is_first { "\"" } else { ",\"" });
        self.is_first = false;
        self.out.push_str(member.name);
        self.out.push_str("\":");
    }

    #[inline]
    fn value(&mut self, index: usize, kind: Kind) -> Result<(), JoinError> {
        let bad_cell = JoinError::Cell { column: COLUMNS[index].name };
        match (kind, &self.row.cells[index]) {
            (Kind::Text, Cell::Text(text)) => {
                self.out.push('"');
                escape_with(text, &mut |piece| self.out.push_str(piece));
                self.out.push('"');
            }
            (Kind::Json, Cell::Text(text)) => self.out.push_str(text),
            (Kind::Bool, Cell::Bool(true)) => self.out.push_str("true"),
            (Kind::Bool, Cell::Bool(false)) => self.out.push_str("false"),
            (Kind::Time, Cell::Time(micros)) if micros % 1_000_000 == 0 => {
                self.out.push('"');
                push_event_time(self.out, micros / 1_000_000).ok_or(bad_cell)?;
                self.out.push('"');
            }
            _ => return Err(bad_cell),
        }
        Ok(())
    }

    #[cold]
    fn extra_member(&mut self) -> Result<(), JoinError> {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        let member = self.extra.next_member()?;
        self.out.push_str(member);
        Ok(())
    }
}

/// The members of the `extra` column, taken one after the other.
struct Extra<'r> {
    text: &'r str,
    scan: Scanner<'r>,
    taken: usize,
}

impl<'r> Extra<'r> {
    fn open(text: Option<&'r str>) -> Result<Self, JoinError> {
        let text = text.unwrap_or_default();
        let mut scan = Scanner::new(text.as_bytes(), 0);
        if !text.is_empty() {
            scan.expect(b'{', "").map_err(|_| JoinError::Extra { offset: 0 })?;
        }
        Ok(Self { text, scan, taken: 0 })
    }

    /// The next member's text, `"name":value`.
    fn next_member(&mut self) -> Result<&'r str, JoinError> {
        let at = self.scan.at;
        if self.text.is_empty() || self.scan.peek() == b'}' {
            return Err(JoinError::ExtraCount { held: self.taken, taken: self.taken + 1 });
        }
        if self.taken > 0 && !self.scan.take(b',') {
            return Err(JoinError::Extra { offset: at });
        }
        let start = self.scan.at;
        let read = self.scan.name().and_then(|_| self.scan.value());
        read.map_err(|fault| JoinError::Extra { offset: fault.offset })?;
        self.taken += 1;
        Ok(&self.text[start..self.scan.at])
    }

    /// All members must have been taken.
    fn close(mut self) -> Result<(), JoinError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let taken = self.taken;
        while self.scan.peek() != b'}' {
            self.next_member()?;
        }
        if !(self.scan.take(b'}') && self.scan.is_at_end()) {
            return Err(JoinError::Extra { offset: self.scan.at });
        }
        if self.taken > taken {
            return Err(JoinError::ExtraCount { held: self.taken, taken });
        }
        Ok(())
    }
}
