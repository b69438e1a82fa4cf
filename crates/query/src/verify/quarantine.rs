//! What could not become a row is still there: a receipt names the file in quarantine that holds its bytes.
//!
//! Such a file is named by the SHA-256 of its content, so the name in the signed receipt is the proof of its bytes.

use std::{collections::BTreeSet, fs, io::ErrorKind};

use keytrail_lake::LakePaths;
use keytrail_ledger::{FindingKind, Hash, Report};

use super::catalog::Commits;

/// Checks every file that a receipt names.
pub(super) fn check(paths: &LakePaths, commits: &Commits, report: &mut Report) {
    let quarantined = commits.receipts.iter().flat_map(|receipt| &receipt.quarantined);
    let kept: BTreeSet<&str> = quarantined.map(|record| record.kept.as_str()).collect();
    for name in &kept {
        let place = format!("quarantine/{name}");
        let stem = name.split('.').next().unwrap_or_default();
        let Some(sha256) = Hash::parse_hex(stem) else {
            report.find(FindingKind::Metadata, place, "its name is not the SHA-256 of a content");
            continue;
        };
        match fs::read(paths.quarantine().join(name)) {
            Ok(bytes) if Hash::of(&bytes) == sha256 => {}
            Ok(_) => {
                report.find(FindingKind::Modified, place, "the content is not the one of its name");
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                report.find(
                    FindingKind::Missing,
                    place,
                    "bytes that could not become rows are gone",
                );
            }
            Err(error) => report.find(FindingKind::Unreadable, place, error.to_string()),
        }
    }
    report.check("quarantine files", kept.len() as u64);
}
