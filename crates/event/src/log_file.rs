//! The records of a log file: where each begins and ends.

/// Finds the records of a log file.
pub fn read_log(text: &[u8]) -> LogRecords<'_> {
    let records = vec![LogRecord { index: 0, offset: 0, bytes: text }];
    LogRecords { records, broken: None, kind: LogKind::Record }
}

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogKind {
    /// `{"Records":[…]}`: a CloudTrail log file.
    Envelope,
    /// One record by itself.
    Record,
    /// A JSON array of records.
    Array,
    /// Records one after the other, usually one a line (NDJSON).
    Lines,
    /// A digest file: not a log; it has no records.
    Digest,
    /// An envelope of Insights events, all of them.
    Insight,
    /// No text at all, or white space.
    Empty,
    /// Nothing that is recognised.
    Unknown,
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
    /// First byte that cannot be read, from 0; everything from here on is lost to the reader.
    pub offset: usize,
    /// Index that the next element would have had.
    pub index: usize,
    /// What was expected there.
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
