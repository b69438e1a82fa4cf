//! Takes a record apart into the columns of a row, losing nothing.
//!
//! The promise: [`join`](crate::join()) of the row gives the record's exact bytes. Each member is
//! either written in the one form that its cell gives back, or kept verbatim in `extra`; so only
//! two things can be lost, white space between tokens and odd spellings of known names. Where
//! either occurs the row carries the whole text in `raw`. Debug builds join every row they split
//! and compare, so that all tests hold this argument to the bytes.
//!
//! | the member | its cell | its layout |
//! |---|---|---|
//! | known, in the usual form | the value | its code |
//! | known, `null` | null | `-` and its code |
//! | known, another form (odd escapes, another type) | as near as the column's kind allows | `?`, and its text in `extra` |
//! | a second one of the same name | the first one's | `?` |
//! | unknown | – | `?` |
//!
//! The usual form of a string is that with the fewest escapes; of a time, whole seconds with `Z`.
//! Another form's cell still holds the *meaning*: text unescaped, numbers as their text, times with
//! fractions and offsets. A filter must not be dodged by writing `kms` as `\u006bms`.
//!
//! A row is a function of the record's bytes alone. Verification rebuilds the bytes from a row,
//! splits them again and compares all cells, so that an edited cell of any kind shows.
//!
//! One pass over the text, no recursion on its depth; [`Scope`]s nest four deep by definition.

use std::borrow::Cow;

use crate::columns::{Kind, col};
use crate::derived::kms_keys;
use crate::json::{Unescaped, unescape};
use crate::layout::{Container, EXTRA, Member, NULL, Place, Scope};
use crate::scan::{Fault, Quoted, Scanner};
use crate::time::{event_seconds, loose_micros};
use crate::{Cell, RecordError, Row, join};

/// Takes one record apart: any JSON object, of whatever `eventVersion`.
///
/// # Errors
/// [`RecordError`] if the bytes are not one JSON object. Nothing else fails: a member of an
/// unexpected type is kept as it is.
pub fn split(record: &[u8]) -> Result<Row<'_>, RecordError> {
    let text = std::str::from_utf8(record)
        .map_err(|error| RecordError::NotUtf8 { offset: error.valid_up_to() })?;
    let mut scan = Scanner::new(record, 0);
    scan.skip_space();
    if scan.peek() != b'{' {
        return Err(not_an_object(scan));
    }
    let mut splitter = Splitter::new(text, scan);
    splitter.is_exact = splitter.scan.at == 0;
    splitter.members(Scope::Record)?;
    splitter.skip_space();
    if !splitter.scan.is_at_end() {
        return Err(splitter.scan.fault("nothing after the record").into());
    }
    Ok(splitter.finish(text))
}

/// Splits the record that begins under the cursor, somewhere in `text`, and moves past it.
pub(crate) fn split_at<'a>(text: &'a str, scan: &mut Scanner<'a>) -> Result<Row<'a>, Fault> {
    let start = scan.at;
    let mut splitter = Splitter::new(text, scan.clone());
    splitter.members(Scope::Record)?;
    scan.at = splitter.scan.at;
    Ok(splitter.finish(&text[start..scan.at]))
}

/// Enough for the layout of nearly every record: 20 members of its own, 20 of its identity.
const LAYOUT_BYTES: usize = 64;

impl From<Fault> for RecordError {
    fn from(fault: Fault) -> Self {
        Self::NotJson { offset: fault.offset, expected: fault.expected }
    }
}

/// Tells an array or a scalar from broken JSON, for the reason that ends up in quarantine.
fn not_an_object(mut scan: Scanner<'_>) -> RecordError {
    match scan.value() {
        Ok(()) => RecordError::NotAnObject,
        Err(fault) => fault.into(),
    }
}

struct Splitter<'a> {
    text: &'a str,
    scan: Scanner<'a>,
    row: Row<'a>,
    layout: String,
    extra: String,
    /// The members that came already, by [`Member::bit`].
    seen: u64,
    /// Whether the layout, the cells and `extra` give every byte back.
    is_exact: bool,
}

impl<'a> Splitter<'a> {
    /// The cursor stands on the opening brace of a record, somewhere in `text`.
    fn new(text: &'a str, scan: Scanner<'a>) -> Self {
        let layout = String::with_capacity(LAYOUT_BYTES);
        let (row, extra) = (Row::empty(), String::new());
        Self { text, scan, row, layout, extra, seen: 0, is_exact: true }
    }

    /// Walks the members of one object. The cursor stands on its opening brace, then behind its
    /// closing one.
    fn members(&mut self, scope: Scope) -> Result<(), Fault> {
        self.scan.expect(b'{', "an opening brace")?;
        self.skip_space();
        if self.scan.take(b'}') {
            return Ok(());
        }
        let mut guess = Member::usual_first(scope);
        loop {
            let (member, name) = self.name(scope, guess)?;
            match member {
                Some(member) if self.seen & member.bit == 0 => {
                    self.seen |= member.bit;
                    self.known_member(member, name)?;
                }
                _ => self.extra_member(name).map(drop)?,
            }
            self.skip_space();
            if self.scan.take(b'}') {
                return Ok(());
            }
            self.scan.expect(b',', "a comma or a closing brace")?;
            self.skip_space();
            guess = member.and_then(Member::usual_next);
        }
    }

    /// A member's name with its colon, and the table's entry for it. The guess saves the search for
    /// the name's end and the look-up; it is right four times of five.
    #[inline]
    fn name(
        &mut self,
        scope: Scope,
        guess: Option<&'static Member>,
    ) -> Result<(Option<&'static Member>, Quoted), Fault> {
        if let Some(member) = guess
            && let Some(name) = self.scan.take_name(member.name)
        {
            self.skip_space();
            return Ok((Some(member), name));
        }
        let name = self.scan.name()?;
        let is_plain = self.scan.at == name.end + "\":".len();
        let content = self.content(name);
        if !name.escaped {
            self.is_exact &= is_plain;
            return Ok((Member::named(scope, content), name));
        }
        // An escaped name means what it says when unescaped; only `raw` keeps its spelling.
        let member = Member::named(scope, &unescape(content).text);
        self.is_exact &= is_plain && member.is_none();
        Ok((member, name))
    }

    /// Moves past white space, which no part of a row but `raw` gives back.
    #[inline]
    fn skip_space(&mut self) {
        let start = self.scan.at;
        self.scan.skip_space();
        self.is_exact &= self.scan.at == start;
    }

    #[inline]
    fn known_member(&mut self, member: &'static Member, name: Quoted) -> Result<(), Fault> {
        let first = self.scan.peek();
        match member.place {
            _ if first == b'n' => {
                self.scan.value()?;
                self.layout.push(NULL);
                self.layout.push(member.code);
            }
            Place::Container(container) if first == b'{' => self.container(container)?,
            Place::Container(_) => self.extra_member(name).map(drop)?,
            Place::Column(index, Kind::Json) => {
                self.row.cells[index] = Cell::Text(Cow::Borrowed(self.value()?));
                self.layout.push(member.code);
            }
            Place::Column(index, kind) => match self.usual(kind, first)? {
                Some(cell) => {
                    self.row.cells[index] = cell;
                    self.layout.push(member.code);
                }
                None => self.row.cells[index] = self.unusual(kind, name)?,
            },
        }
        Ok(())
    }

    fn container(&mut self, container: &Container) -> Result<(), Fault> {
        self.layout.push(container.open);
        self.members(container.scope)?;
        self.layout.push(container.close);
        Ok(())
    }

    /// The cell of a value in the usual form; `None`, with the cursor unmoved, for another form.
    #[inline]
    fn usual(&mut self, kind: Kind, first: u8) -> Result<Option<Cell<'a>>, Fault> {
        let start = self.scan.at;
        let cell = match (kind, first) {
            (Kind::Text, b'"') => {
                let quoted = self.scan.string("a string")?;
                if quoted.escaped {
                    let Unescaped { text, canonical } = unescape(self.content(quoted));
                    canonical.then_some(Cell::Text(text))
                } else {
                    Some(Cell::Text(Cow::Borrowed(self.content(quoted))))
                }
            }
            (Kind::Time, b'"') => {
                let quoted = self.scan.string("a string")?;
                event_seconds(self.content(quoted)).map(|seconds| Cell::Time(seconds * 1_000_000))
            }
            (Kind::Bool, b't' | b'f') => {
                self.scan.value()?;
                Some(Cell::Bool(first == b't'))
            }
            _ => None,
        };
        if cell.is_none() {
            self.scan.at = start;
        }
        Ok(cell)
    }

    /// Keeps a value of another form in `extra`, and gives what its cell can say of it.
    #[cold]
    fn unusual(&mut self, kind: Kind, name: Quoted) -> Result<Cell<'a>, Fault> {
        let value = self.extra_member(name)?;
        let content = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let text = content.map_or(Cow::Borrowed(value), |content| unescape(content).text);
        Ok(match (kind, &*text) {
            (Kind::Text | Kind::Json, _) => Cell::Text(text),
            (Kind::Bool, "true") => Cell::Bool(true),
            (Kind::Bool, "false") => Cell::Bool(false),
            (Kind::Bool, _) => Cell::Null,
            (Kind::Time, text) => loose_micros(text).map_or(Cell::Null, Cell::Time),
        })
    }

    /// Appends a member to `extra` as it stands, and gives its value's text.
    #[cold]
    fn extra_member(&mut self, name: Quoted) -> Result<&'a str, Fault> {
        let value = self.value()?;
        self.layout.push(EXTRA);
        self.extra.push(if self.extra.is_empty() { '{' } else { ',' });
        self.extra.push_str(&self.text[name.start - 1..=name.end]);
        self.extra.push(':');
        self.extra.push_str(value);
        Ok(value)
    }

    /// Any value's text. Tokens begin and end with ASCII bytes, so slicing cannot split a
    /// character.
    #[inline]
    fn value(&mut self) -> Result<&'a str, Fault> {
        let start = self.scan.at;
        self.scan.value()?;
        Ok(&self.text[start..self.scan.at])
    }

    #[inline]
    fn content(&self, quoted: Quoted) -> &'a str {
        &self.text[quoted.start..quoted.end]
    }

    /// The row, given the record's whole text.
    fn finish(self, text: &'a str) -> Row<'a> {
        let Self { mut row, layout, mut extra, is_exact, .. } = self;
        let [first, second] = kms_keys(&row);
        row.cells[col::KEY_ARN] = first.map_or(Cell::Null, Cell::Text);
        row.cells[col::KEY_ARN2] = second.map_or(Cell::Null, Cell::Text);
        if !extra.is_empty() {
            extra.push('}');
            row.extra = Some(Cow::Owned(extra));
        }
        if is_exact {
            row.layout = Cow::Owned(layout);
            debug_assert_eq!(join(&row).as_deref(), Ok(text.as_bytes()));
        } else {
            // Nothing is joined from such a row: its layout would only widen the dictionary.
            row.raw = Some(Cow::Borrowed(text));
        }
        row
    }
}
