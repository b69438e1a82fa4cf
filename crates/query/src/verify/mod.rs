//! Verification of a lake: are these the rows that were taken in, all of them, and nothing else?
//!
//! From files and a public key alone, without a secret, a network or a running server. What each step rests on:
//!
//! ```text
//! public key ─► catalog ledger ─► commits ─┬─► _delta_log/*.json       same bytes, none missing, none more
//!               (signature, tree, chain)   ├─► events/*.parquet        same size and SHA-256, none missing, none more
//!                                          └─► receipts ─► rows        same number and Merkle root, source by source
//! row ─► record's bytes rebuilt from its columns ─► split again ─► all columns equal ─► leaf of the receipt's tree
//! ledger (if given), verified by itself ─► its records ─► same number and Merkle root as the receipts say
//! ```
//!
//! A file's SHA-256 covers all of it: rows, footer, statistics, page index and bloom filters, so no bound inside it can
//! hide a row from a query. The bounds outside of it, in the Delta log, are covered by the catalog, and are computed
//! again from the rows here, so that not even the ingester has to be believed.
//!
//! Verification does not stop at a hash that differs: the rows are checked all the same, to name the one that was
//! edited. For rows from a ledger that is at hand, the column is named with both values; for rows from a file the
//! `record_check` column tells which row it is, the receipt's root that one was edited.
//!
//! Damaged and hostile files give findings, never a panic. Beside a running ingest the files that are not committed yet
//! are listed as not checked.

mod catalog;
mod data_files;
mod delta_log;
mod duplicates;
mod ledger;
mod quarantine;
mod rows;
mod sources;
mod statistics;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use keytrail_lake::LakePaths;
use keytrail_ledger::{FindingKind, Reader, Report, VerifyingKey};

/// What to verify a lake against.
pub struct LakeCheck<'a> {
    /// The key that must have signed the catalog, from somewhere else than the lake. `None`: the key that lies beside
    /// the catalog, which shows damage and edits, but not a catalog that was signed anew by whoever could write it.
    pub catalog_key: Option<&'a VerifyingKey>,
    /// The ledger that rows came from, if it is at hand.
    pub ledger: Option<LedgerCheck<'a>>,
    /// Threads; at least 1.
    pub threads: usize,
    /// Hears how many of how many rows have been checked, from all threads.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// A ledger to compare rows with.
#[derive(Clone, Copy)]
pub struct LedgerCheck<'a> {
    /// Its directory.
    pub dir: &'a Path,
    /// The key that must have signed it. Its name is the origin under which the lake knows the ledger.
    pub key: &'a VerifyingKey,
}

/// Verifies the lake in `dir`. Rows are counted from 0 in the order of their file.
pub fn verify_lake(dir: &Path, check: &LakeCheck<'_>) -> Report {
    let mut report = Report::new();
    let paths = LakePaths::new(dir);
    let Some(key) = catalog_key(&paths, check, &mut report) else { return report };
    let running = is_running(&paths);
    let commits = catalog::read(&paths, &key, &mut report);
    delta_log::compare(&paths, &commits, running, &mut report);
    let checked = data_files::check(&paths, &commits, running, check, &mut report);
    duplicates::check(checked.events, &commits, &mut report);
    ledger::compare(&paths, &commits, &checked.disputes, check.ledger, &mut report);
    quarantine::check(&paths, &commits, &mut report);
    report.check("commits", commits.list.len() as u64);
    report.check("data files", commits.files.len() as u64);
    report.check("receipts", commits.receipts.len() as u64);
    report
}

/// Whether an ingest has the lake open right now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ingest {
    Idle,
    Running,
}

fn catalog_key(
    paths: &LakePaths,
    check: &LakeCheck<'_>,
    report: &mut Report,
) -> Option<VerifyingKey> {
    if let Some(key) = check.catalog_key {
        return Some(key.clone());
    }
    let reason = "whether the catalog was signed anew as a whole: its public key was taken from the lake itself; give \
                  the key that was noted when the lake was made";
    report.not_checked.push(reason.to_owned());
    match Reader::open(&paths.catalog()) {
        Ok(reader) => Some(reader.verifying_key().clone()),
        Err(error) => {
            report.find(FindingKind::Unreadable, "catalog", chain(&error));
            None
        }
    }
}

/// The lock that a writer of the catalog holds. Not being able to tell counts as idle, the stricter reading.
fn is_running(paths: &LakePaths) -> Ingest {
    let lock = File::open(paths.catalog().join("writer.lock"));
    match lock.map(|lock| lock.try_lock_shared()) {
        Ok(Err(fs::TryLockError::WouldBlock)) => Ingest::Running,
        _ => Ingest::Idle,
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The plain files below `dir`, as paths relative to it with `/`, sorted. Symbolic links count as files and are not
/// followed.
fn files_below(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pending = vec![(dir.to_owned(), String::new())];
    while let Some((dir, prefix)) = pending.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                pending.push((entry.path(), name + "/"));
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn report_strays(
    dir: &str,
    strays: impl Iterator<Item = String>,
    ingest: Ingest,
    report: &mut Report,
) {
    for name in strays {
        if ingest == Ingest::Running {
            report
                .not_checked
                .push(format!("{dir}/{name}: an ingest is running and may be about to commit it"));
        } else {
            let detail = "no commit of the catalog names this file";
            report.find(FindingKind::StrayFile, format!("{dir}/{name}"), detail);
        }
    }
}

/// Adds the findings of a part that names its places itself.
fn append(report: &mut Report, part: Report) {
    for finding in part.findings {
        report.find(finding.kind, finding.place, finding.detail);
    }
}

/// How findings speak of a source.
fn source_name(receipt: &keytrail_lake::SourceReceipt) -> String {
    match &receipt.source {
        keytrail_lake::ReceiptSource::File { name, .. } => name.clone(),
        keytrail_lake::ReceiptSource::Ledger { origin, first, end, .. } => {
            format!("{origin} [{first}, {end})")
        }
        _ => "a source of an unknown kind".to_owned(),
    }
}
