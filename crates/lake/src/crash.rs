//! What a crash leaves, at every step of a commit.
//!
//! A step that fails is a process that was killed before it, because no error path repairs anything (see
//! [`crate::faults`]). For each step: stop there, look at the lake as a reader sees it, open it again, ingest again.
//! A reader must see whole commits only; the lake opened again must have no strays and a Delta log as long as its
//! catalog; and the second ingest must end with the rows of an ingest that nothing interrupted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keytrail_event::Timestamp;
use keytrail_ledger::{DirStorage, Storage};
use keytrail_testkit::{
    Fault, FaultyStorage, SeededRandom, check_ledger, origin, scratch, signing_key,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::data_file::is_ours;
use crate::faults::{Faults, Step};
use crate::rows::{Place, Provenances};
use crate::{IngestOptions, IngestReport, Lake, LakeError, LakePaths, Snapshot, Source};

/// A file, the place in it, and whether it is a duplicate.
type Rows = BTreeSet<(String, u64, bool)>;

/// Two data files in each of three commits.
const THREE_COMMITS: IngestOptions =
    IngestOptions { threads: 1, rows_per_file: 4, rows_per_commit: 8 };

/// Two data files in one commit.
const ONE_COMMIT: IngestOptions =
    IngestOptions { threads: 1, rows_per_file: 12, rows_per_commit: 24 };

fn open(root: &Path, storage: Arc<dyn Storage>, faults: Faults) -> Result<Lake, LakeError> {
    let clock: crate::Clock = Arc::new(|| Timestamp::from_unix_seconds(1_750_000_000));
    let random = Arc::new(SeededRandom::new(1));
    Lake::open_with(root, storage, &origin(), signing_key(), random, clock, faults)
}

fn catalog_of(root: &Path) -> DirStorage {
    DirStorage::new(LakePaths::new(root).catalog())
}

fn open_soundly(root: &Path) -> Lake {
    open(root, Arc::new(catalog_of(root)), Faults::default()).unwrap()
}

/// What is ingested, how, and the rows after each commit when nothing interrupts it.
struct Plan {
    sources: PathBuf,
    options: IngestOptions,
    expected: Vec<Rows>,
}

/// Twelve files of two events; every third event comes twice, and one record is broken.
fn write_sources(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for file in 0..12_u32 {
        let records = [file * 2, file * 2 / 3 * 3].map(|id| {
            format!(r#"{{"eventVersion":"1.11","eventID":"00000000-0000-4000-8000-{id:012}"}}"#)
        });
        let broken = if file == 5 { ",7" } else { "" };
        let text = format!(r#"{{"Records":[{}{broken}]}}"#, records.join(","));
        fs::write(dir.join(format!("{file:02}.json")), text).unwrap();
    }
}

impl Plan {
    fn new(dir: &Path, options: IngestOptions) -> Self {
        let sources = dir.join("sources");
        write_sources(&sources);
        let mut plan = Self { sources, options, expected: vec![Rows::new()] };
        for commits in 1.. {
            let root = dir.join(format!("commits-{commits}"));
            if plan.ingest_and_stop_after(commits, &root) {
                return plan;
            }
        }
        plan
    }

    fn ingest(&self, lake: &mut Lake) -> Result<IngestReport, LakeError> {
        lake.ingest(&[Source::Path(self.sources.clone())], &self.options, &())
    }

    /// Notes the rows after so many commits; whether these were all.
    fn ingest_and_stop_after(&mut self, commits: usize, root: &Path) -> bool {
        drop(open_soundly(root));
        let left = AtomicUsize::new(commits);
        let faults = Faults::new(move |step| match step {
            Step::AppendCatalog if left.fetch_sub(1, Ordering::Relaxed) == 0 => Err(stop()),
            _ => Ok(()),
        });
        let mut lake = open(root, Arc::new(catalog_of(root)), faults).unwrap();
        let whole = self.ingest(&mut lake).is_ok();
        self.expected.push(rows(root));
        whole
    }

    fn all(&self) -> &Rows {
        self.expected.last().unwrap()
    }

    /// After a crash: what a reader sees is whole commits, and opening and ingesting again heals everything.
    fn check(&self, root: &Path, place: &str) {
        let seen = rows(root);
        assert!(self.expected.contains(&seen), "{place}: a reader sees {} rows", seen.len());
        let mut lake = open_soundly(root);
        let opened = rows(root);
        assert!(self.expected.contains(&opened) && opened.is_superset(&seen), "{place}");
        assert_sound(root);
        let report = self.ingest(&mut lake).unwrap();
        assert_eq!(&rows(root), self.all(), "{place}");
        assert_eq!(report.rows, (self.all().len() - opened.len()) as u64, "{place}");
        assert_eq!(self.ingest(&mut lake).unwrap().commits, 0, "{place}");
        lake.close().unwrap();
        assert_sound(root);
    }
}

/// What a reader sees; each file it needs must be whole.
fn rows(root: &Path) -> Rows {
    let mut rows = Rows::new();
    if !LakePaths::new(root).exists() {
        return rows;
    }
    let snapshot = Snapshot::read(root).unwrap();
    for file in &snapshot.files {
        let open = File::open(snapshot.events.join(&file.path)).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(open).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let provenances = Provenances::new(&batch).unwrap();
            for at in 0..batch.num_rows() {
                let provenance = provenances.provenance(at).unwrap();
                let Place::File { file, index } = provenance.place else { panic!("no file") };
                assert!(rows.insert((file.into_owned(), index, provenance.duplicate)));
            }
        }
    }
    rows
}

/// No strays, and a Delta log with the catalog's bytes and length.
fn assert_sound(root: &Path) {
    let paths = LakePaths::new(root);
    check_ledger(&paths.catalog(), &signing_key().verifying_key(&origin()));
    let (_, commits) = crate::catalog::read(&paths.catalog()).unwrap();
    for commit in &commits {
        assert_eq!(fs::read_to_string(paths.delta_commit(commit.version)).unwrap(), commit.delta);
    }
    let names = |dir: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(paths.delta_log()).len(), commits.len());
    let files = commits.iter().flat_map(|commit| &commit.files).map(|file| file.path.clone());
    let found = names(paths.events()).into_iter().filter(|name| is_ours(name));
    assert!(found.eq(files.collect::<BTreeSet<_>>()));
    let quarantined: usize =
        commits.iter().flat_map(|it| &it.receipts).map(|it| it.quarantined.len()).sum();
    let index = fs::read_to_string(paths.quarantine().join("index.ndjson")).unwrap_or_default();
    assert_eq!(index.lines().count(), quarantined);
}

fn stop() -> io::Error {
    io::Error::other("stopped here")
}

#[test]
fn a_crash_at_any_step_leaves_whole_commits_and_the_next_ingest_the_same_rows() {
    let dir = scratch();
    let plan = Plan::new(dir.path(), THREE_COMMITS);
    let expected = &plan.expected;
    assert_eq!(expected.iter().map(BTreeSet::len).collect::<Vec<_>>(), [0, 8, 16, 24]);

    let mut steps = BTreeSet::new();
    for number in 0.. {
        let root = dir.path().join(number.to_string());
        let count = AtomicUsize::new(0);
        let reached = Arc::new(std::sync::Mutex::new(None));
        let note = Arc::clone(&reached);
        let faults = Faults::new(move |step| {
            if count.fetch_add(1, Ordering::Relaxed) == number {
                *note.lock().unwrap() = Some(step);
                return Err(stop());
            }
            Ok(())
        });
        // The first steps are those of creating the lake.
        let lake = open(&root, Arc::new(catalog_of(&root)), faults);
        let failed = lake.and_then(|mut lake| plan.ingest(&mut lake)).is_err();
        let Some(step) = *reached.lock().unwrap() else { break };
        assert!(failed, "{step:?}");
        plan.check(&root, &format!("{step:?}, the {number}th step"));
        steps.insert(format!("{step:?}"));
    }
    assert_eq!(steps.len(), 9, "not all steps were reached: {steps:?}");
}

#[test]
fn a_catalog_that_fails_at_any_call_leaves_whole_commits() {
    let dir = scratch();
    let plan = Plan::new(dir.path(), ONE_COMMIT);
    for fault in [Fault::Failed, Fault::FailedButPersisted, Fault::Torn(100), Fault::KilledAfter] {
        for number in 0.. {
            let root = dir.path().join(format!("{fault:?}-{number}"));
            let storage = FaultyStorage::new(catalog_of(&root)).with_fault(number, fault);
            let lake = open(&root, Arc::new(storage.clone()), Faults::default());
            let done = lake.and_then(|mut lake| {
                plan.ingest(&mut lake)?;
                lake.close()
            });
            if storage.calls().len() <= number {
                assert!(done.is_ok());
                break;
            }
            plan.check(&root, &format!("{fault:?} at catalog call {number}"));
            fs::remove_dir_all(root).unwrap();
        }
    }
}

#[test]
fn a_lake_that_failed_half_way_takes_nothing_more_until_it_is_opened_again() {
    let dir = scratch();
    let (plan, root) = (Plan::new(dir.path(), THREE_COMMITS), dir.path().join("lake"));
    drop(open_soundly(&root));
    let faults = Faults::new(|step| if step == Step::SyncDeltaLog { Err(stop()) } else { Ok(()) });
    let mut lake = open(&root, Arc::new(catalog_of(&root)), faults).unwrap();
    assert!(matches!(plan.ingest(&mut lake), Err(LakeError::Io { .. })));
    assert!(matches!(plan.ingest(&mut lake), Err(LakeError::Stopped { .. })));
}

#[test]
fn a_round_that_failed_before_its_commit_can_be_tried_again_at_once() {
    let dir = scratch();
    let (plan, root) = (Plan::new(dir.path(), THREE_COMMITS), dir.path().join("lake"));
    drop(open_soundly(&root));
    let once = AtomicUsize::new(0);
    let faults = Faults::new(move |step| match step {
        Step::SyncDataFile if once.fetch_add(1, Ordering::Relaxed) == 3 => Err(stop()),
        _ => Ok(()),
    });
    let mut lake = open(&root, Arc::new(catalog_of(&root)), faults).unwrap();
    assert!(plan.ingest(&mut lake).is_err());
    plan.ingest(&mut lake).unwrap();
    lake.close().unwrap();
    assert_eq!(&rows(&root), plan.all(), "no event became its own duplicate");
}

#[test]
fn a_commit_of_another_program_is_refused() {
    let dir = scratch();
    let (plan, root) = (Plan::new(dir.path(), THREE_COMMITS), dir.path().join("lake"));
    let paths = LakePaths::new(&root);

    // While the lake is open: the catalog gets no leaf that could never be published.
    let mut lake = open_soundly(&root);
    fs::write(paths.delta_commit(1), "{}").unwrap();
    assert!(matches!(plan.ingest(&mut lake), Err(LakeError::ForeignCommit { .. })));
    drop(lake);
    assert_eq!(crate::catalog::read(&paths.catalog()).unwrap().1.len(), 1);

    // When it is opened: behind the newest version, and in place of it.
    let opened = || open(&root, Arc::new(catalog_of(&root)), Faults::default()).err();
    assert!(matches!(opened(), Some(LakeError::ForeignCommit { .. })));
    fs::remove_file(paths.delta_commit(1)).unwrap();
    fs::write(paths.delta_commit(0), "{}").unwrap();
    assert!(matches!(opened(), Some(LakeError::ForeignCommit { .. })));
}
