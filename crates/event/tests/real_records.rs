//! Records that AWS wrote: each one comes back, and nearly all of them without `raw`.
//!
//! The data lies outside the repository (see its `SOURCES.md`); without it the tests say so and
//! pass.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keytrail_event::{Arn, LogKind, col, join, read_log, split};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cloudtrail");

/// All files below a folder of the data, inflated, in order of their names.
fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(DATA).join(folder);
    if !root.exists() {
        eprintln!("skipped: {} is absent", root.display());
        return Vec::new();
    }
    let mut open = vec![root];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = fs::read(&path).unwrap();
            let is_packed = path.extension().is_some_and(|extension| extension == "gz");
            found.push((path, if is_packed { inflated(&bytes) } else { bytes }));
        }
    }
    found.sort();
    found
}

fn inflated(packed: &[u8]) -> Vec<u8> {
    let mut text = vec![0; 64 << 20];
    let length = libdeflater::Decompressor::new().gzip_decompress(packed, &mut text).unwrap();
    text.truncate(length);
    text
}

/// What became of the records of a folder.
#[derive(Debug, Default)]
struct Tally {
    records: usize,
    with_raw: usize,
    with_extra: usize,
    with_key: usize,
    layouts: BTreeSet<String>,
}

fn tally(files: &[(PathBuf, Vec<u8>)]) -> Tally {
    let mut tally = Tally::default();
    for (path, text) in files {
        let log = read_log(text);
        assert_eq!(log.broken, None, "{}", path.display());
        for record in &log.records {
            let row = split(record.bytes).unwrap();
            assert_eq!(join(&row).unwrap(), record.bytes, "{} #{}", path.display(), record.index);
            assert_eq!(&text[record.offset..][..record.bytes.len()], record.bytes);
            tally.records += 1;
            tally.with_raw += usize::from(row.raw.is_some());
            tally.with_extra += usize::from(row.extra.is_some());
            tally.with_key += usize::from(row.cells[col::KEY_ARN].text().is_some());
            tally.layouts.insert(row.layout.into_owned());
        }
    }
    tally
}

#[test]
fn real_log_files_need_no_raw() {
    let files = files("stratus-2023");
    let tally = tally(&files);
    if tally.records == 0 {
        return;
    }
    assert!(files.iter().all(|(_, text)| read_log(text).kind == LogKind::Envelope));
    let exact = tally.records - tally.with_raw;
    eprintln!("{exact} of {} records without raw, {} layouts", tally.records, tally.layouts.len());
    assert!(exact * 100 >= tally.records * 99, "{exact} of {}", tally.records);
    assert_eq!(tally.with_extra, 0, "a member of real records has no column");
}

#[test]
fn records_of_every_version_come_back() {
    let files = files("event-versions");
    let tally = tally(&files);
    eprintln!("{tally:?}");
    assert!(tally.records >= files.len());
}

#[test]
fn the_examples_of_the_kms_guide_come_back_and_name_their_keys() {
    let tally = tally(&files("kms-examples"));
    // The eleven others are about key stores, random bytes, alias lists, or another service.
    eprintln!("{} of {} examples name a key", tally.with_key, tally.records);
    assert!(tally.records == 0 || tally.with_key >= 62, "{tally:?}");
}

#[test]
fn a_derived_key_is_a_key() {
    for (path, text) in files("kms-examples").iter().chain(&files("stratus-2023")) {
        for record in read_log(text).records {
            let row = split(record.bytes).unwrap();
            for column in [col::KEY_ARN, col::KEY_ARN2] {
                let Some(arn) = row.cells[column].text() else { continue };
                assert!(Arn::parse(arn).unwrap().kms_key_id().is_some(), "{}", path.display());
            }
        }
    }
}
