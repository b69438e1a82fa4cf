//! The Delta log against the catalog, byte for byte.
//!
//! The log is what every other engine reads; the catalog holds the bytes it must have. An edited commit could drop a
//! file, add a forged one, or change the bounds by which files are skipped.

use std::{collections::BTreeSet, fs, io::ErrorKind};

use keytrail_lake::LakePaths;
use keytrail_ledger::{FindingKind, Report};

use super::{Ingest, catalog::Commits};

/// Compares the files of `events/_delta_log/` with the commits.
pub(super) fn compare(paths: &LakePaths, commits: &Commits, ingest: Ingest, report: &mut Report) {
    let mut expected = BTreeSet::new();
    for commit in &commits.list {
        let path = paths.delta_commit(commit.version);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = format!("events/_delta_log/{name}");
        match fs::read(&path) {
            Ok(bytes) if bytes == commit.delta.as_bytes() => {}
            Ok(bytes) => report.find(
                FindingKind::Modified,
                place,
                difference(commit.delta.as_bytes(), &bytes),
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let detail = format!(
                    "version {} is in the catalog, its commit file is gone",
                    commit.version
                );
                report.find(FindingKind::Missing, place, detail);
            }
            Err(error) => report.find(FindingKind::Unreadable, place, error.to_string()),
        }
        expected.insert(name);
    }
    match super::files_below(&paths.delta_log()) {
        Ok(names) => {
            let strays = names.into_iter().filter(|name| !expected.contains(name));
            super::report_strays("events/_delta_log", strays, ingest, report);
        }
        Err(error) => report.find(FindingKind::Unreadable, "events/_delta_log", error.to_string()),
    }
}

/// Where two texts part, in bytes from 0.
fn difference(expected: &[u8], found: &[u8]) -> String {
    let same = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    format!(
        "differs from the catalog at byte {same}; {} bytes expected, {} found",
        expected.len(),
        found.len()
    )
}
