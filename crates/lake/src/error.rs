//! The ways in which work with a lake fails, grouped by what one can do about them.
//!
//! A source that cannot be read is none of them: it goes to quarantine with its reason, and the ingest goes on.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use keytrail_ledger::LedgerError;

/// Why a lake could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// The caller's: there is nothing at the place that was named as a source.
    #[error("no source at {path}")]
    NoSource {
        /// The place.
        path: PathBuf,
    },
    /// The caller's: another process, or another `Lake` of this one, writes to the lake.
    #[error("another writer has the lake {path} open; wait for it, or stop it")]
    Busy {
        /// The lake.
        path: PathBuf,
    },
    /// The caller's: there is no lake in this directory.
    #[error("there is no lake at {path}; ingest something first")]
    NoLake {
        /// The directory.
        path: PathBuf,
    },
    /// The environment's: a file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment's or the data's: the catalog's ledger failed.
    #[error("the catalog {path} failed")]
    Catalog {
        /// The directory of the catalog.
        path: PathBuf,
        /// Why.
        source: LedgerError,
    },
    /// The environment's or the data's: the ledger that was to be ingested failed.
    #[error("the ledger {path} cannot be ingested")]
    SourceLedger {
        /// The directory of the ledger.
        path: PathBuf,
        /// Why.
        source: LedgerError,
    },
    /// The data's: the ledger does not continue what was ingested from it before. It was cut, or replaced by another
    /// one of the same name.
    #[error(
        "the ledger {path} is not the one that was ingested before: entry {sequence} {detail}; run verify on both"
    )]
    SourceForked {
        /// The directory of the ledger.
        path: PathBuf,
        /// The entry that differs.
        sequence: u64,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The data's: a leaf of the catalog says nothing that this program understands.
    #[error("catalog entry {sequence} is not understood: {detail}")]
    CatalogEntry {
        /// Its sequence in the catalog.
        sequence: u64,
        /// What is wrong.
        detail: String,
    },
    /// The data's: the Delta log holds a commit that the catalog does not, or another one under its number.
    #[error(
        "{path} was not written by this lake: another program committed to the table; run verify"
    )]
    ForeignCommit {
        /// The file in the Delta log.
        path: PathBuf,
    },
    /// The data's: the table uses a Delta feature that would change what a row is.
    #[error(
        "the table {path} has the Delta feature {feature}, which this lake never switches on; run verify"
    )]
    DeltaFeature {
        /// The table.
        path: PathBuf,
        /// The feature.
        feature: String,
    },
    /// The environment's: the Delta library failed.
    #[error("cannot {action} the Delta table {path}")]
    Delta {
        /// What was being done.
        action: &'static str,
        /// The table.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The environment's or the data's: a Parquet file could not be written or read.
    #[error("cannot {action} the Parquet file {path}")]
    Parquet {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// The data's: a batch of rows has not the columns of a lake.
    #[error("the rows have no column {column} of type {expected}")]
    Column {
        /// Name of the column.
        column: String,
        /// The type it should have.
        expected: &'static str,
    },
    /// The environment's: the watcher of the file system could not be started.
    #[error("cannot watch {path}")]
    Watch {
        /// What was to be watched.
        path: PathBuf,
        /// Why.
        source: notify::Error,
    },
    /// The environment's: an earlier commit failed half way. Open the lake again, which finds out what became of it.
    #[error("the lake {path} stopped after a failed commit; open it again")]
    Stopped {
        /// The lake.
        path: PathBuf,
    },
}

impl LakeError {
    /// For `map_err`: a failed file operation with what was done to which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err`: a failure of the Delta library.
    pub(crate) fn delta<E>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = path.to_owned();
        move |source| Self::Delta { action, path, source: source.into() }
    }

    /// For `map_err`: a failure of Parquet.
    pub(crate) fn parquet(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { action, path, source }
    }
}
