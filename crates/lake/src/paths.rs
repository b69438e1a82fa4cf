//! Where the parts of a lake lie.

use std::path::{Path, PathBuf};

/// The directory of a lake.
///
/// ```text
/// LAKE/
///   events/              the Delta table: part-….parquet and _delta_log/
///   catalog/             a ledger: one `segment` leaf per commit
///   quarantine/          index.ndjson, the bytes that could not become rows, strays/
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakePaths {
    root: PathBuf,
}

impl LakePaths {
    /// The lake in this directory; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The Delta table.
    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The Delta table's log.
    pub fn delta_log(&self) -> PathBuf {
        self.events().join("_delta_log")
    }

    /// The log file of one version of the table.
    pub fn delta_commit(&self, version: u64) -> PathBuf {
        self.delta_log().join(format!("{version:020}.json"))
    }

    /// The catalog's ledger.
    pub fn catalog(&self) -> PathBuf {
        self.root.join("catalog")
    }

    /// What could not become rows.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Whether there is a lake: its catalog was created and says so.
    pub(crate) fn exists(&self) -> bool {
        self.catalog().join("checkpoint").is_file()
    }
}
