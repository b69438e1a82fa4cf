//! What a lake consists of at one moment: the files that the catalog committed, and the receipts of their sources.
//!
//! Reads the catalog and nothing else, in particular no directory: a file that no commit names is not in the lake.
//! Needs no secret. It trusts the catalog as a reader must; that the catalog is signed and agrees with the files is
//! what the verifier checks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use keytrail_ledger::Hash;
use serde::Deserialize;

use crate::catalog::{self, Commit, CommittedFile, SourceReceipt};
use crate::stats::FileStats;
use crate::{LakeError, LakePaths};

/// A lake at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Directory of the Delta table, to which the paths of the files are relative.
    pub events: PathBuf,
    /// The catalog's origin line.
    pub origin: String,
    /// Entries in the catalog.
    pub catalog_size: u64,
    /// Version of the Delta table; none in a catalog without commits.
    pub version: Option<u64>,
    /// The data files, in the order of their commits.
    pub files: Vec<DataFile>,
    /// The receipts, in the order of their commits.
    pub receipts: Vec<SourceReceipt>,
}

/// A data file of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Path relative to the Delta table.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// Version of the table that added it.
    pub version: u64,
    /// What is known of its columns.
    pub stats: FileStats,
}

impl Snapshot {
    /// Reads the newest state of the lake in this directory.
    pub fn read(lake: &Path) -> Result<Self, LakeError> {
        let paths = LakePaths::new(lake);
        if !paths.exists() {
            return Err(LakeError::NoLake { path: lake.to_owned() });
        }
        let (reader, commits) = catalog::read(&paths.catalog())?;
        let checkpoint = reader.checkpoint();
        let mut snapshot = Self {
            events: paths.events(),
            origin: checkpoint.origin.to_string(),
            catalog_size: checkpoint.size,
            version: None,
            files: Vec::new(),
            receipts: Vec::new(),
        };
        for commit in commits {
            snapshot.apply(commit);
        }
        Ok(snapshot)
    }

    /// Rows in all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    fn apply(&mut self, commit: Commit) {
        let mut stats = delta_stats(&commit.delta);
        self.version = Some(commit.version);
        for CommittedFile { path, size, rows, sha256 } in commit.files {
            let stats = stats.remove(&path).unwrap_or_default();
            self.files.push(DataFile { path, size, rows, sha256, version: commit.version, stats });
        }
        self.receipts.extend(commit.receipts);
    }
}

/// The statistics in the bytes of a Delta commit, by the path of their file.
fn delta_stats(delta: &str) -> HashMap<String, FileStats> {
    let added = |line: &str| serde_json::from_str::<Action>(line).ok()?.add;
    delta
        .lines()
        .filter_map(added)
        .map(|add| (add.path, FileStats::from_delta(&add.stats.unwrap_or_default())))
        .collect()
}

#[derive(Deserialize)]
struct Action {
    add: Option<Add>,
}

#[derive(Deserialize)]
struct Add {
    path: String,
    stats: Option<String>,
}
