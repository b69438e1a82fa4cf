//! A ledger as a source: its records become rows, in ranges that continue one another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_lake::{IngestOptions, IngestReport, LakeError, ReceiptSource, Source};
use keytrail_ledger::{DirStorage, Ledger, Options, Origin, SigningKey};
use keytrail_testkit::{START_NS, SeededRandom};

use crate::support::{Scene, record};

fn source_origin() -> Origin {
    Origin::new("test.example/source").unwrap()
}

fn dir(scene: &Scene) -> PathBuf {
    scene.dir.path().join("ledger")
}

/// Appends records to the ledger in `dir`, which is created when it is not there.
fn append(dir: &Path, payloads: &[String]) {
    let storage = Arc::new(DirStorage::new(dir));
    let (key, random) = (SigningKey::from_seed(&[3; 32]), Arc::new(SeededRandom::new(5)));
    let ledger = if dir.exists() {
        Ledger::open(storage, key, random, START_NS, Options::default()).unwrap().0
    } else {
        Ledger::create(storage, source_origin(), key, random, START_NS, Options::default()).unwrap()
    };
    let enqueue = |payload: &String| {
        ledger.enqueue(keytrail_testkit::record(START_NS, payload.as_bytes())).unwrap()
    };
    let pending: Vec<_> = payloads.iter().map(enqueue).collect();
    for pending in pending {
        pending.wait().unwrap();
    }
    ledger.close().unwrap();
}

fn ingest(scene: &Scene) -> Result<IngestReport, LakeError> {
    let mut lake = scene.open();
    let report = lake.ingest(&[Source::Ledger(dir(scene))], &IngestOptions::default(), &());
    lake.close().unwrap();
    report
}

fn ranges(scene: &Scene) -> Vec<(u64, u64, u64)> {
    let receipts = scene.open().snapshot().unwrap().receipts;
    receipts
        .iter()
        .map(|receipt| match &receipt.source {
            ReceiptSource::Ledger { origin, first, end, .. } => {
                assert_eq!(origin, "test.example/source");
                (*first, *end, receipt.rows)
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn records_become_rows_once_as_the_ledger_grows() {
    let scene = Scene::new();
    append(&dir(&scene), &[record(1), record(2)]);
    assert_eq!(ingest(&scene).unwrap().rows, 2);
    // Entry 0 is the ledger's own `start`.
    assert_eq!(ranges(&scene), [(0, 3, 2)]);
    assert_eq!(ingest(&scene).unwrap().commits, 0);

    append(&dir(&scene), &[record(3), record(1)]);
    let report = ingest(&scene).unwrap();
    assert_eq!((report.rows, report.duplicates), (2, 1));
    // Opening the ledger again logged another `start`, at 3.
    assert_eq!(ranges(&scene), [(0, 3, 2), (3, 6, 2)]);
    let places: Vec<_> = scene.rows().into_iter().map(|row| (row.place.1, row.duplicate)).collect();
    assert_eq!(places, [(1, false), (2, false), (4, false), (5, true)]);
}

#[test]
fn a_long_ledger_is_taken_in_by_ranges_that_continue_one_another() {
    let scene = Scene::new();
    append(&dir(&scene), &vec!["{}".to_owned(); 70_000]);
    let mut lake = scene.open();
    let options = IngestOptions { rows_per_file: 1, rows_per_commit: 1, threads: 2 };
    let report = lake.ingest(&[Source::Ledger(dir(&scene))], &options, &()).unwrap();
    lake.close().unwrap();
    assert_eq!((report.rows, report.files_new, report.duplicates), (70_000, 2, 0));
    assert_eq!(ranges(&scene), [(0, 65_536, 65_535), (65_536, 70_001, 4_465)]);
    let places: Vec<_> = scene.rows().into_iter().map(|row| row.place.1).collect();
    assert!(places.into_iter().eq(1..=70_000));
}

#[test]
fn a_payload_that_is_no_record_goes_to_quarantine() {
    let scene = Scene::new();
    append(&dir(&scene), &[record(1), "not a record".to_owned(), record(2)]);
    let report = ingest(&scene).unwrap();
    assert_eq!((report.records, report.rows, report.quarantined.len()), (3, 2, 1));
    assert_eq!(report.quarantined[0].1.index, 2);
    scene.rows();
}

#[test]
fn a_ledger_that_was_cut_or_exchanged_is_refused() {
    let scene = Scene::new();
    append(&dir(&scene), &[record(1), record(2)]);
    ingest(&scene).unwrap();
    for payloads in [vec![record(1)], vec![record(1), record(3)], (2..9).map(record).collect()] {
        std::fs::remove_dir_all(dir(&scene)).unwrap();
        append(&dir(&scene), &payloads);
        let error = ingest(&scene).err().unwrap();
        assert!(matches!(error, LakeError::SourceForked { .. }), "{error}");
    }
    assert_eq!(scene.rows().len(), 2);
}

#[test]
fn files_and_ledgers_are_taken_in_together() {
    let scene = Scene::new();
    append(&dir(&scene), &[record(1)]);
    scene.file("a.json", crate::support::log(&[record(1), record(2)]));
    let mut lake = scene.open();
    let ledger = Source::Ledger(dir(&scene));
    let sources = [Source::Path(scene.sources()), ledger.clone(), ledger];
    let report = lake.ingest(&sources, &IngestOptions::default(), &()).unwrap();
    lake.close().unwrap();
    assert_eq!((report.rows, report.duplicates, report.commits), (3, 1, 1));
    scene.rows();
}
