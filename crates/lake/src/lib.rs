//! Sources to Arrow to Parquet, exactly once; the Delta table and its signed catalog.
//!
//! A lake is a directory of three parts ([`LakePaths`]): the Delta table with one row per CloudTrail record, the
//! catalog, which is a ledger of its own and says which files the table consists of and which sources they came from,
//! and the quarantine for whatever could not become a row. [`Lake::ingest`] reads log files and ledgers into it;
//! [`Snapshot::read`] is what a reader starts from, and needs no secret.
//!
//! A row is the record: [`rows::row_at`] gives a row back that `keytrail_event::join` turns into the record's exact
//! bytes, and each source's receipt holds the Merkle root over them.
//!
//! ```no_run
//! # fn main() -> Result<(), keytrail_lake::LakeError> {
//! let snapshot = keytrail_lake::Snapshot::read("keytrail-data/lake".as_ref())?;
//! for file in &snapshot.files {
//!     println!("{} rows in {}, SHA-256 {}", file.rows, file.path, file.sha256);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//!
//! It answers no questions: SQL, audits and the verification of a lake are `keytrail-query`'s. It reads no foreign
//! tables: whatever the catalog does not name is not in the lake.

mod builder;
mod catalog;
mod column;
#[cfg(test)]
mod crash;
mod data_file;
mod dedup;
mod delta;
mod error;
mod faults;
mod gate;
mod inflate;
mod ingest;
mod lake;
mod paths;
mod progress;
mod quarantine;
mod round;
pub mod rows;
mod snapshot;
mod source;
mod stats;
mod watch;
mod worker;

pub use catalog::{Commit, CommittedFile, Quarantined, ReceiptSource, SourceReceipt};
pub use error::LakeError;
pub use ingest::{IngestOptions, IngestReport};
pub use lake::{Clock, Lake};
pub use paths::LakePaths;
pub use progress::Progress;
pub use snapshot::{DataFile, Snapshot};
pub use source::{Source, Unreadable};
pub use stats::{ColumnStats, FileStats, STATS_COLUMNS, StatValue};
pub use watch::{Notice, WatchOptions};
