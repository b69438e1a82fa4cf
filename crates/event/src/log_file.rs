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
use crate::split::split_at;
use crate::{Cell, RecordError, Row, split};

/// Finds the records of a log file. Total: any bytes give an answer, in one pass and without
/// recursion, and the answer is no larger than four words per element.
pub fn read_log(text: &[u8]) -> LogRecords<'_> {
    let mut records = Records { text, found: Vec::new() };
    let (mut kind, broken) = read_documents(text, &mut records);
    let mut records = records.found;
    match (kind, records.as_slice()) {
        (LogKind::Record, [record]) if is_digest(record.bytes) => {
            kind = LogKind::Digest;
            records.clear();
        }
        (LogKind::Envelope, [first, ..])
            if first_value(text).is_some_and(|(offset, _)| offset == first.offset)
                && records.iter().all(|record| is_insight(record.bytes)) =>
        {
            kind = LogKind::Insight;
        }
        _ => {}
    }
    LogRecords { records, broken, kind }
}

/// Finds the records of a log file and splits each of them, in one pass instead of two.
///
/// `each` sees what [`read_log`] finds and what [`split()`] says of it, in file order, one at a
/// time. Files of digests or Insights are no logs: they are recognised first, and `each` sees
/// nothing.
pub fn split_log<'a>(
    text: &'a [u8],
    each: &mut dyn FnMut(LogRecord<'a>, Result<Row<'a>, RecordError>),
) -> LogEnd {
    if first_value(text).is_some_and(|(_, first)| is_digest(first) || is_insight(first)) {
        let LogRecords { records, broken, kind } = read_log(text);
        if matches!(kind, LogKind::Digest | LogKind::Insight) {
            return LogEnd { records: records.len(), broken, kind };
        }
    }
    let mut rows = Rows { text, utf8: std::str::from_utf8(text).ok(), count: 0, each };
    let (kind, broken) = read_documents(text, &mut rows);
    LogEnd { records: rows.count, broken, kind }
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
    /// An envelope whose events are all Insights events. [`read_log`] lists them nevertheless.
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

impl<'a> LogRecord<'a> {
    fn at(text: &'a [u8], index: usize, from: usize, to: usize) -> Self {
        Self { index, offset: from, bytes: text.get(from..to).unwrap_or_default() }
    }
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

/// How [`split_log`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// How many elements there were.
    pub records: usize,
    /// The place where reading had to stop, if it did.
    pub broken: Option<Broken>,
    /// What the file is.
    pub kind: LogKind,
}

/// What to do with the elements of a file.
trait Take<'a> {
    /// Takes the element under the cursor and moves past it.
    fn element(&mut self, scan: &mut Scanner<'a>) -> Result<(), Fault>;
    /// Takes a line that is no JSON.
    fn line(&mut self, from: usize, to: usize);
    /// How many were taken.
    fn count(&self) -> usize;
}

/// Keeps where each element lies.
struct Records<'a> {
    text: &'a [u8],
    found: Vec<LogRecord<'a>>,
}

impl<'a> Take<'a> for Records<'a> {
    fn element(&mut self, scan: &mut Scanner<'a>) -> Result<(), Fault> {
        let from = scan.at;
        scan.value()?;
        self.line(from, scan.at);
        Ok(())
    }

    fn line(&mut self, from: usize, to: usize) {
        self.found.push(LogRecord::at(self.text, self.found.len(), from, to));
    }

    fn count(&self) -> usize {
        self.found.len()
    }
}

/// Hands over each element with its row.
struct Rows<'a, 'e> {
    text: &'a [u8],
    /// The whole file as text; none if it is not UTF-8: then each record is asked for itself.
    utf8: Option<&'a str>,
    count: usize,
    each: &'e mut dyn FnMut(LogRecord<'a>, Result<Row<'a>, RecordError>),
}

impl<'a> Take<'a> for Rows<'a, '_> {
    fn element(&mut self, scan: &mut Scanner<'a>) -> Result<(), Fault> {
        let from = scan.at;
        let Some(text) = self.utf8.filter(|_| scan.peek() == b'{') else {
            scan.value()?;
            self.line(from, scan.at);
            return Ok(());
        };
        let row = split_at(text, scan)?;
        (self.each)(LogRecord::at(self.text, self.count, from, scan.at), Ok(row));
        self.count += 1;
        Ok(())
    }

    fn line(&mut self, from: usize, to: usize) {
        let record = LogRecord::at(self.text, self.count, from, to);
        (self.each)(record, split(record.bytes));
        self.count += 1;
    }

    fn count(&self) -> usize {
        self.count
    }
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

/// Goes through the values at the top of the file, one after the other.
fn read_documents<'a>(text: &'a [u8], take: &mut impl Take<'a>) -> (LogKind, Option<Broken>) {
    let mut reader = Reader { text, scan: Scanner::new(text, 0), take };
    let mut kind = LogKind::Empty;
    reader.scan.skip_space();
    while !reader.scan.is_at_end() {
        let (found, read) = reader.document();
        kind = kind.followed_by(found);
        if let Err(stop) = read {
            if !(kind.is_a_record_a_line() && reader.take_broken_line(stop.from)) {
                return (kind, Some(stop.broken(reader.take.count())));
            }
            kind = LogKind::Lines;
        }
        reader.scan.skip_space();
    }
    (kind, None)
}

struct Reader<'a, 't, T> {
    text: &'a [u8],
    scan: Scanner<'a>,
    take: &'t mut T,
}

impl<'a, T: Take<'a>> Reader<'a, '_, T> {
    /// One value at the top of the file, with the records in it, and what it looked like.
    fn document(&mut self) -> (LogKind, Result<(), Stop>) {
        match self.scan.peek() {
            b'[' => (LogKind::Array, self.elements()),
            b'{' => match records_array(self.text, &self.scan) {
                Some(array) => (LogKind::Envelope, self.envelope(array)),
                None => (LogKind::Record, self.element()),
            },
            _ => (LogKind::Unknown, Err(self.stop("a JSON object or array"))),
        }
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
        self.take.element(&mut self.scan).map_err(|fault| Stop { fault, from })
    }

    /// Takes the line at `from` for a record, whatever it holds, if the next line looks like one.
    fn take_broken_line(&mut self, from: usize) -> bool {
        let line = self.text.get(from..).unwrap_or_default();
        let Some(length) = line.iter().position(|byte| *byte == b'\n') else { return false };
        self.scan.at = from + length;
        self.scan.skip_space();
        if self.scan.peek() != b'{' {
            return false;
        }
        self.take.line(from, from + line[..length].trim_ascii_end().len());
        true
    }

    fn stop(&self, expected: &'static str) -> Stop {
        Stop { fault: self.scan.fault(expected), from: self.scan.at }
    }
}

/// Where the array begins if an object begins `{"Records":[` under the cursor.
fn records_array(text: &[u8], scan: &Scanner<'_>) -> Option<usize> {
    let mut ahead = scan.clone();
    if !ahead.take(b'{') {
        return None;
    }
    ahead.skip_space();
    let name = ahead.name().ok()?;
    let is_envelope = text.get(name.start..name.end) == Some(b"Records");
    (is_envelope && ahead.peek() == b'[').then_some(ahead.at)
}

/// The value that comes first in a file, within the envelope if there is one: it decides whether
/// the file may be no log at all.
fn first_value(text: &[u8]) -> Option<(usize, &[u8])> {
    let mut scan = Scanner::new(text, 0);
    scan.skip_space();
    if let Some(array) = records_array(text, &scan) {
        scan.at = array + 1;
        scan.skip_space();
    }
    let start = scan.at;
    scan.value().ok()?;
    Some((start, text.get(start..scan.at)?))
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

fn is_insight(record: &[u8]) -> bool {
    split(record).is_ok_and(|row| row.cells[col::EVENT_CATEGORY].text() == Some("Insight"))
}
