//! The records of a log file: where each begins and ends.
//!
//! CloudTrail writes `{"Records":[…]}`; people keep single records, arrays of them, and one record
//! a line. [`read_log`] takes all of these, also one after the other (gzip members that were
//! concatenated), and never refuses a file as a whole: the elements before a broken place are kept,
//! and the place is named.
//!
//! ```text
//! {"Records":[{…},{…},{…           envelope, cut off: two records, broken at the third's offset
//!             └0  └1  └broken
//! ```
//!
//! It only tells elements apart. An element that is no object, or whose bytes are not UTF-8, is
//! handed over like any other, and [`split`](crate::split()) refuses that one alone. So each byte
//! of a file is in a record, or behind `broken`, or mere punctuation between records; nothing is
//! passed over in silence. That is also why `Records` must be the envelope's first member, and any
//! member beside it breaks the file there.

use crate::columns::col;
use crate::scan::{Fault, Scanner};
use crate::{Cell, split};

/// Finds the records of a log file. Total: any bytes give an answer, in one pass and without
/// recursion, and the answer is no larger than four words per element.
pub fn read_log(text: &[u8]) -> LogRecords<'_> {
    let mut reader = Reader { text, scan: Scanner::new(text, 0), records: Vec::new() };
    let mut kind = LogKind::Empty;
    let mut broken = None;
    reader.scan.skip_space();
    while !reader.scan.is_at_end() && broken.is_none() {
        let (found, read) = reader.document();
        kind = kind.followed_by(found);
        if let Err(stop) = read {
            if kind.is_a_record_a_line() && reader.keep_broken_line(stop.from) {
                kind = LogKind::Lines;
            } else {
                broken = Some(stop.broken(reader.records.len()));
            }
        }
        reader.scan.skip_space();
    }
    let Reader { mut records, .. } = reader;
    match (kind, records.as_slice()) {
        (LogKind::Record, [record]) if is_digest(record.bytes) => {
            kind = LogKind::Digest;
            records.clear();
        }
        (LogKind::Envelope, [_, ..]) if records.iter().all(is_insight) => kind = LogKind::Insight,
        _ => {}
    }
    LogRecords { records, broken, kind }
}

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogKind {
    /// `{"Records":[…]}`: a CloudTrail log file, or several of them in a row.
    Envelope,
    /// One record by itself.
    Record,
    /// A JSON array of records.
    Array,
    /// Records one after the other, usually one a line (NDJSON).
    Lines,
    /// A digest file: not a log; it has no records.
    Digest,
    /// An envelope whose events are all Insights events. They are among the records nevertheless.
    Insight,
    /// No text at all, or white space.
    Empty,
    /// Nothing that is recognised; `broken` says where.
    Unknown,
}

impl LogKind {
    /// The kind of a file in which one document follows another.
    const fn followed_by(self, next: Self) -> Self {
        match (self, next) {
            (Self::Empty, next) => next,
            (Self::Record | Self::Lines, Self::Record | Self::Unknown) => Self::Lines,
            (first, _) => first,
        }
    }

    /// Whether lines may be records of their own: then a broken one can be set apart.
    const fn is_a_record_a_line(self) -> bool {
        matches!(self, Self::Record | Self::Lines)
    }
}

/// One element of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Position among the file's elements, from 0.
    pub index: usize,
    /// First byte in the file, from 0.
    pub offset: usize,
    /// The element's exact bytes.
    pub bytes: &'a [u8],
}

/// Where a file stopped making sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// First byte that is in no record, from 0: what has to be kept elsewhere begins here.
    pub offset: usize,
    /// The byte at which the grammar broke; at or after `offset`.
    pub at: usize,
    /// Index that the next element would have had.
    pub index: usize,
    /// What was expected at `at`.
    pub reason: &'static str,
}

/// What [`read_log`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecords<'a> {
    /// The elements that could be told apart, in file order.
    pub records: Vec<LogRecord<'a>>,
    /// The place where reading had to stop, if it did.
    pub broken: Option<Broken>,
    /// What the file is.
    pub kind: LogKind,
}

/// Why reading stopped, and the first byte that has found no place in a record.
struct Stop {
    fault: Fault,
    from: usize,
}

impl Stop {
    fn broken(self, index: usize) -> Broken {
        let Fault { offset: at, expected: reason } = self.fault;
        Broken { offset: self.from, at, index, reason }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    scan: Scanner<'a>,
    records: Vec<LogRecord<'a>>,
}

impl Reader<'_> {
    /// One value at the top of the file, with the records in it, and what it looked like.
    fn document(&mut self) -> (LogKind, Result<(), Stop>) {
        match self.scan.peek() {
            b'[' => (LogKind::Array, self.elements()),
            b'{' => match self.records_array() {
                Some(array) => (LogKind::Envelope, self.envelope(array)),
                None => (LogKind::Record, self.element()),
            },
            _ => (LogKind::Unknown, Err(self.stop("a JSON object or array"))),
        }
    }

    /// Where the array begins if an object begins `{"Records":[`.
    fn records_array(&self) -> Option<usize> {
        let mut ahead = self.scan.clone();
        ahead.take(b'{');
        ahead.skip_space();
        let name = ahead.name().ok()?;
        let is_envelope = self.text.get(name.start..name.end) == Some(b"Records");
        (is_envelope && ahead.peek() == b'[').then_some(ahead.at)
    }

    fn envelope(&mut self, array: usize) -> Result<(), Stop> {
        self.scan.at = array;
        self.elements()?;
        self.scan.skip_space();
        if self.scan.take(b'}') { Ok(()) } else { Err(self.stop("the end of the envelope")) }
    }

    /// The elements of the array under the cursor.
    fn elements(&mut self) -> Result<(), Stop> {
        self.scan.take(b'[');
        self.scan.skip_space();
        if self.scan.take(b']') {
            return Ok(());
        }
        loop {
            self.element()?;
            self.scan.skip_space();
            if self.scan.take(b']') {
                return Ok(());
            }
            if !self.scan.take(b',') {
                return Err(self.stop("a comma or a closing bracket"));
            }
            self.scan.skip_space();
        }
    }

    fn element(&mut self) -> Result<(), Stop> {
        let from = self.scan.at;
        self.scan.value().map_err(|fault| Stop { fault, from })?;
        self.keep(from, self.scan.at);
        Ok(())
    }

    /// Takes the line at `from` for a record, whatever it holds, if the next line looks like one.
    fn keep_broken_line(&mut self, from: usize) -> bool {
        let line = self.text.get(from..).unwrap_or_default();
        let Some(length) = line.iter().position(|byte| *byte == b'\n') else { return false };
        self.scan.at = from + length;
        self.scan.skip_space();
        if self.scan.peek() != b'{' {
            return false;
        }
        self.keep(from, from + line[..length].trim_ascii_end().len());
        true
    }

    fn keep(&mut self, from: usize, to: usize) {
        let bytes = self.text.get(from..to).unwrap_or_default();
        self.records.push(LogRecord { index: self.records.len(), offset: from, bytes });
    }

    fn stop(&self, expected: &'static str) -> Stop {
        Stop { fault: self.scan.fault(expected), from: self.scan.at }
    }
}

/// Whether an object is a digest file (AWS user guide, "CloudTrail digest file structure").
/// A record that merely carries a digest's members is still a record.
fn is_digest(object: &[u8]) -> bool {
    let Ok(row) = split(object) else { return false };
    let extra = row.extra.as_deref().unwrap_or_default();
    let has = |name| extra.contains(name);
    row.cells.iter().all(|cell| *cell == Cell::Null)
        && has("\"digestEndTime\":")
        && has("\"digestS3Object\":")
        && has("\"logFiles\":")
}

fn is_insight(record: &LogRecord<'_>) -> bool {
    split(record.bytes).is_ok_and(|row| row.cells[col::EVENT_CATEGORY].text() == Some("Insight"))
}
