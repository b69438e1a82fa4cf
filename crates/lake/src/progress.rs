//! How an ingest tells what it is doing.

/// Receives the progress of an ingest, from several threads. Every method may be left out; `()` hears nothing.
pub trait Progress: Sync {
    /// The sources were listed: this many files or ledger ranges, of this many bytes as stored.
    fn planned(&self, _items: u64, _bytes: u64) {}

    /// One of them was read: its bytes as stored, and the records found in it.
    fn read(&self, _bytes: u64, _records: u64) {}

    /// A commit is durable; it added this many rows.
    fn committed(&self, _rows: u64) {}
}

impl Progress for () {}
