//! A lake that is open for writing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use keytrail_event::Timestamp;
use keytrail_ledger::{Origin, Random, SigningKey};

use crate::LakeError;
use crate::catalog::Quarantined;
use crate::progress::Progress;
use crate::snapshot::Snapshot;

/// Tells the time of a commit.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A lake that is open for writing: the only one, the catalog's lock sees to that.
pub struct Lake {
    root: PathBuf,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A log file, or a directory with log files below it.
    Path(PathBuf),
    /// The directory of a ledger.
    Ledger(PathBuf),
}

/// How to ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestOptions {
    /// Threads that read, split and write; at least one.
    pub threads: usize,
    /// Rows after which a data file is closed; a source file is never divided, so it may have more.
    pub rows_per_file: usize,
    /// Rows after which a commit is made.
    pub rows_per_commit: usize,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self { threads: 2, rows_per_file: 262_144, rows_per_commit: 1_048_576 }
    }
}

/// What an ingest did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Files and ledger ranges found.
    pub files_seen: u64,
    /// Of these, taken in now.
    pub files_new: u64,
    /// Of these, taken in before, under this name or another.
    pub files_known: u64,
    /// Of these, no logs: digests and Insights.
    pub files_skipped: u64,
    /// Records found in the new ones.
    pub records: u64,
    /// Of these, rows now.
    pub rows: u64,
    /// Rows whose event had come before.
    pub duplicates: u64,
    /// What could not become a row, with the name of its source.
    pub quarantined: Vec<(String, Quarantined)>,
    /// Bytes of the new files as stored.
    pub bytes_in: u64,
    /// Bytes of the data files written.
    pub bytes_out: u64,
    /// Commits made.
    pub commits: u64,
}

impl Lake {
    /// Opens the lake in this directory, and creates it if there is none. The origin names the catalog of a new lake.
    pub fn open(
        root: &Path,
        _origin: &Origin,
        _key: SigningKey,
        _random: Arc<dyn Random>,
        _clock: Clock,
    ) -> Result<Self, LakeError> {
        Err(LakeError::NoLake { path: root.to_owned() })
    }

    /// Takes in what is new in the sources.
    pub fn ingest(
        &mut self,
        _sources: &[Source],
        _options: &IngestOptions,
        _progress: &dyn Progress,
    ) -> Result<IngestReport, LakeError> {
        Err(LakeError::NoLake { path: self.root.clone() })
    }

    /// Takes in what is new in the sources, again and again: when the file system reports a change, and every `rescan`.
    /// Returns soon after `stop` is set. `on_round` hears of each round that took something in.
    pub fn watch(
        &mut self,
        _sources: &[Source],
        _options: &IngestOptions,
        _progress: &dyn Progress,
        _stop: &AtomicBool,
        _rescan: Duration,
        _on_round: &mut dyn FnMut(&IngestReport),
    ) -> Result<(), LakeError> {
        Err(LakeError::NoLake { path: self.root.clone() })
    }

    /// The lake as it is now.
    pub fn snapshot(&self) -> Result<Snapshot, LakeError> {
        Snapshot::read(&self.root)
    }

    /// Makes the catalog durable and lets the next writer in.
    pub fn close(self) -> Result<(), LakeError> {
        Ok(())
    }
}
