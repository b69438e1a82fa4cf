//! What the signed catalog says the lake consists of.
//!
//! Verifies the catalog as a ledger and reads its commits. That a commit agrees with itself is checked here too: the
//! bytes it publishes to the Delta log must add exactly the files it names, or other engines would read another lake.

use std::{
    collections::{BTreeMap, HashMap},
    path::Component,
    path::Path,
};

use keytrail_lake::{Commit, CommittedFile, LakePaths, SourceReceipt};
use keytrail_ledger::{EntryKind, FindingKind, Frame, Report, VerifyingKey, verify_frames};
use serde_json::Value;

/// The format of commits that this program understands.
const FORMAT: u32 = 1;

/// The lake as it should be.
#[derive(Default)]
pub(super) struct Commits {
    /// The commits, in catalog order.
    pub(super) list: Vec<Commit>,
    /// Every data file, in the order of its commit.
    pub(super) files: Vec<ExpectedFile>,
    /// Every receipt, in the order of its commit: the order that decides which of two equal events came first.
    pub(super) receipts: Vec<SourceReceipt>,
}

/// A data file as it should be.
pub(super) struct ExpectedFile {
    /// Path, size, rows, hash.
    pub(super) file: CommittedFile,
    /// Indexes of the receipts whose rows it holds.
    pub(super) receipts: Vec<usize>,
}

/// Verifies the catalog against `key` and reads it.
pub(super) fn read(paths: &LakePaths, key: &VerifyingKey, report: &mut Report) -> Commits {
    let mut commits = Commits::default();
    let mut problems = Report::new();
    let catalog = verify_frames(&paths.catalog(), key, &mut |frame| {
        if frame.entry.kind == EntryKind::Segment {
            commits.take(frame, &mut problems);
        }
    });
    report.merge("catalog", catalog);
    super::append(report, problems);
    commits.assign_receipts(report);
    commits
}

impl Commits {
    fn take(&mut self, frame: &Frame, report: &mut Report) {
        let place = format!("catalog/ sequence {}", frame.entry.sequence);
        let commit = match serde_json::from_slice::<Commit>(&frame.payload) {
            Ok(commit) if commit.format == FORMAT => commit,
            Ok(commit) => {
                let detail =
                    format!("commit of format {}, this program knows {FORMAT}", commit.format);
                return report.find(FindingKind::Unreadable, place, detail);
            }
            Err(error) => {
                let detail = format!("the entry is no commit: {error}");
                return report.find(FindingKind::Unreadable, place, detail);
            }
        };
        let version = self.list.len() as u64;
        if commit.version != version {
            let detail = format!("commit of version {} where {version} is next", commit.version);
            report.find(FindingKind::Reordered, &place, detail);
        }
        let mut added = added_files(&commit.delta);
        for file in &commit.files {
            if !is_inside(&file.path) {
                let detail = format!("the data file {:?} lies outside the table", file.path);
                report.find(FindingKind::Metadata, &place, detail);
                continue;
            }
            let action = added.remove(&file.path);
            if action.as_ref().map(|action| (action.size, action.rows))
                != Some((file.size, file.rows))
            {
                let detail =
                    format!("the Delta commit does not add {} as the catalog names it", file.path);
                report.find(FindingKind::Metadata, &place, detail);
            }
            self.files.push(ExpectedFile { file: file.clone(), receipts: Vec::new() });
        }
        for path in added.keys() {
            let detail = format!("the Delta commit adds {path}, which the catalog does not name");
            report.find(FindingKind::Metadata, &place, detail);
        }
        self.receipts.extend(commit.receipts.iter().cloned());
        self.list.push(commit);
    }

    fn assign_receipts(&mut self, report: &mut Report) {
        let files: HashMap<String, usize> = self
            .files
            .iter()
            .enumerate()
            .map(|(index, file)| (file.file.path.clone(), index))
            .collect();
        for (index, receipt) in self.receipts.iter().enumerate() {
            let file = receipt.data_file.as_ref().map(|path| files.get(path));
            match file {
                Some(Some(file)) => self.files[*file].receipts.push(index),
                None if receipt.rows == 0 => {}
                _ => {
                    let detail = "its receipt names no data file of the lake for its rows";
                    report.find(FindingKind::Missing, super::source_name(receipt), detail);
                }
            }
        }
    }
}

struct Added {
    size: u64,
    rows: u64,
}

/// The files that a Delta commit adds, by path; what is malformed adds nothing.
fn added_files(delta: &str) -> BTreeMap<String, Added> {
    let mut added = BTreeMap::new();
    for line in delta.lines() {
        let Ok(action) = serde_json::from_str::<Value>(line) else { continue };
        let add = &action["add"];
        let Some(path) = add["path"].as_str() else { continue };
        let stats = add["stats"].as_str().unwrap_or_default();
        let rows = serde_json::from_str::<Value>(stats)
            .ok()
            .and_then(|stats| stats["numRecords"].as_u64());
        let (size, rows) = (add["size"].as_u64().unwrap_or_default(), rows.unwrap_or_default());
        added.insert(path.to_owned(), Added { size, rows });
    }
    added
}

/// Whether a path stays below the directory it is relative to.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::{added_files, is_inside};

    #[test]
    fn paths_that_leave_the_table_are_told() {
        for path in ["part-0.parquet", "a/b.parquet"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x.parquet", "a/../../x", "./x"] {
            assert!(!is_inside(path), "{path}");
        }
    }

    #[test]
    fn adds_are_read_and_everything_else_is_not() {
        let delta = "{\"commitInfo\":{}}\nnot json\n\
                     {\"add\":{\"path\":\"a.parquet\",\"size\":7,\"stats\":\"{\\\"numRecords\\\":3}\"}}\n\
                     {\"remove\":{\"path\":\"b.parquet\"}}\n";
        let added = added_files(delta);
        assert_eq!(added.len(), 1);
        assert_eq!((added["a.parquet"].size, added["a.parquet"].rows), (7, 3));
    }
}
