//! The data files: there, unchanged, nothing beside them, and every row checked.
//!
//! The work is handed out in parts, a row group at a time and the hash of each file as one more part, so that a lake of
//! one file keeps all threads busy too. The thread that brings the last part of a file settles the file. Findings are
//! put into the order of the files afterwards, so that a report does not depend on timing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{self, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use keytrail_lake::{FileStats, LakePaths, Snapshot};
use keytrail_ledger::{FindingKind, Hash, Report};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use sha2::{Digest, Sha256};

use super::{
    Ingest, LakeCheck,
    catalog::Commits,
    duplicates::Event,
    rows::{self, CheckedRows},
    sources::{self, Dispute, Origin, Sources},
    statistics::Bounds,
};

/// Rows decoded at a time: with some 1.5 KiB a row about 6 MiB, which stays near the caches.
const BATCH_ROWS: usize = 4096;

/// Findings of one file that are listed: a file that was rewritten as a whole must not crowd the others out.
pub(super) const FILE_FINDINGS_MAX: usize = 100;

/// What the data files leave to later steps.
#[derive(Default)]
pub(super) struct Checked {
    /// The events of all rows.
    pub(super) events: Vec<Event>,
    /// What only a ledger can explain.
    pub(super) disputes: Vec<Dispute>,
}

/// Checks all data files of the lake.
pub(super) fn check(
    paths: &LakePaths,
    commits: &Commits,
    ingest: Ingest,
    check: &LakeCheck<'_>,
    report: &mut Report,
) -> Checked {
    let statistics = logged_statistics(paths, report);
    let work = Work {
        paths,
        commits,
        statistics,
        check,
        rows_total: commits.files.iter().map(|file| file.file.rows).sum(),
        rows_done: AtomicU64::new(0),
        queue: Mutex::new(Queue::default()),
        settled: Mutex::new(BTreeMap::new()),
    };
    std::thread::scope(|scope| {
        for _ in 1..check.threads.max(1) {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    let mut checked = Checked::default();
    let (mut seen, mut raw) = (0, 0);
    for (_, file) in work.settled.into_inner().unwrap_or_else(PoisonError::into_inner) {
        super::append(report, file.report);
        checked.events.extend(file.events);
        checked.disputes.extend(file.disputes);
        seen += file.seen;
        raw += file.raw;
    }
    report.check(
        "footers",
        "statistics, page indexes and Bloom filters by the SHA-256 of their file",
    );
    report.check("rows", seen);
    report.check("rows rebuilt from columns", seen - raw);
    report.check("raw rows", raw);
    check_strays(paths, commits, ingest, report);
    checked
}

/// What queries use to skip files. They open the lake in this way, so failing to is a finding of its own.
fn logged_statistics(paths: &LakePaths, report: &mut Report) -> HashMap<String, FileStats> {
    match Snapshot::read(paths.root()) {
        Ok(snapshot) => snapshot.files.into_iter().map(|file| (file.path, file.stats)).collect(),
        Err(error) => {
            let detail = format!("queries cannot open the lake: {}", super::chain(&error));
            report.find(FindingKind::Unreadable, "catalog", detail);
            HashMap::new()
        }
    }
}

fn check_strays(paths: &LakePaths, commits: &Commits, ingest: Ingest, report: &mut Report) {
    let expected: BTreeSet<&str> =
        commits.files.iter().map(|file| file.file.path.as_str()).collect();
    match super::files_below(&paths.events()) {
        Ok(names) => {
            let strays = names.into_iter().filter(|name| {
                !name.starts_with("_delta_log/") && !expected.contains(name.as_str())
            });
            super::report_strays("events", strays, ingest, report);
        }
        Err(error) => report.find(FindingKind::Unreadable, "events", error.to_string()),
    }
}

struct Work<'a> {
    paths: &'a LakePaths,
    commits: &'a Commits,
    statistics: HashMap<String, FileStats>,
    check: &'a LakeCheck<'a>,
    rows_total: u64,
    rows_done: AtomicU64,
    queue: Mutex<Queue>,
    settled: Mutex<BTreeMap<usize, Settled>>,
}

/// Which part of which file is next.
#[derive(Default)]
struct Queue {
    file_next: usize,
    open: Option<Arc<OpenFile>>,
    part_next: usize,
}

/// A data file whose parts are being checked.
struct OpenFile {
    number: usize,
    path: PathBuf,
    place: String,
    sources: Sources,
    /// None if the footer cannot be read; then the hash is the only part.
    metadata: Option<ArrowReaderMetadata>,
    /// First row of each row group.
    firsts: Vec<u64>,
    state: Mutex<FileState>,
}

struct FileState {
    parts_left: usize,
    rows: CheckedRows,
    bounds: Bounds,
    report: Report,
}

/// What is left of a file when all its parts are done.
#[derive(Default)]
struct Settled {
    report: Report,
    events: Vec<Event>,
    disputes: Vec<Dispute>,
    seen: u64,
    raw: u64,
}

impl Work<'_> {
    fn run(&self) {
        while let Some((file, part)) = self.next_part() {
            self.do_part(&file, part);
        }
    }

    /// The next part. Footers are read under the lock: one after the other they take a thousandth of the work.
    fn next_part(&self) -> Option<(Arc<OpenFile>, usize)> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(file) = &queue.open
                && queue.part_next < file.parts()
            {
                let part = (Arc::clone(file), queue.part_next);
                queue.part_next += 1;
                return Some(part);
            }
            let number = queue.file_next;
            if number == self.commits.files.len() {
                return None;
            }
            queue.file_next += 1;
            queue.part_next = 0;
            queue.open = self.open(number).map(Arc::new);
        }
    }

    fn open(&self, number: usize) -> Option<OpenFile> {
        let expected = &self.commits.files[number];
        let path = self.paths.events().join(&expected.file.path);
        let place = format!("events/{}", expected.file.path);
        let mut report = Report::new();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::NotFound => FindingKind::Missing,
                    _ => FindingKind::Unreadable,
                };
                report.find(kind, &place, format!("the data file cannot be opened: {error}"));
                lock(&self.settled).insert(number, Settled { report, ..Settled::default() });
                return None;
            }
        };
        let metadata = guarded(|| {
            let options = ArrowReaderOptions::new().with_schema(rows::schema());
            ArrowReaderMetadata::load(&file, options).map_err(|error| error.to_string())
        });
        let metadata = metadata
            .inspect_err(|reason| {
                report.find(FindingKind::Unreadable, &place, format!("footer: {reason}"));
            })
            .ok();
        let firsts = metadata.as_ref().map(first_rows).unwrap_or_default();
        let state = FileState {
            parts_left: firsts.len() + 1,
            rows: CheckedRows::default(),
            bounds: Bounds::default(),
            report,
        };
        let sources = Sources::new(expected, self.commits);
        Some(OpenFile { number, path, place, sources, metadata, firsts, state: Mutex::new(state) })
    }

    fn do_part(&self, file: &OpenFile, part: usize) {
        let mut report = Report::new();
        let mut rows = CheckedRows::default();
        let mut bounds = Bounds::default();
        if part < file.firsts.len() {
            let outcome = guarded(|| self.check_group(file, part, &mut rows, &mut bounds));
            if let Err(reason) = outcome {
                let detail = format!("row group {part} cannot be read to its end: {reason}");
                report.find(FindingKind::Unreadable, &file.place, detail);
            }
        } else {
            self.check_hash(file, &mut report);
        }
        let mut state = lock(&file.state);
        state.rows.append(rows);
        state.bounds.merge(bounds);
        super::append(&mut state.report, report);
        state.parts_left -= 1;
        if state.parts_left == 0 {
            let settled = self.settle(file, &mut state);
            lock(&self.settled).insert(file.number, settled);
        }
    }

    fn check_group(
        &self,
        file: &OpenFile,
        group: usize,
        rows: &mut CheckedRows,
        bounds: &mut Bounds,
    ) -> Result<(), String> {
        let Some(metadata) = &file.metadata else { return Ok(()) };
        let opened = File::open(&file.path).map_err(|error| error.to_string())?;
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
        let mut first = file.firsts[group];
        for batch in batches {
            let batch = batch.map_err(|error| error.to_string())?;
            rows::check(&batch, first, &file.sources, rows)?;
            bounds.add(&batch);
            let count = batch.num_rows() as u64;
            first += count;
            let done = self.rows_done.fetch_add(count, Ordering::Relaxed) + count;
            (self.check.progress)(done, self.rows_total);
        }
        Ok(())
    }

    fn check_hash(&self, file: &OpenFile, report: &mut Report) {
        let expected = &self.commits.files[file.number].file;
        match hash(&file.path) {
            Err(error) => report.find(FindingKind::Unreadable, &file.place, error.to_string()),
            Ok((size, _)) if size != expected.size => {
                let detail = format!("{} bytes expected, {size} found", expected.size);
                report.find(FindingKind::Modified, &file.place, detail);
            }
            Ok((_, sha256)) if sha256 != expected.sha256 => {
                let detail = format!("SHA-256 {} expected, {sha256} found", expected.sha256);
                report.find(FindingKind::Modified, &file.place, detail);
            }
            Ok(_) => {}
        }
    }

    fn settle(&self, file: &OpenFile, state: &mut FileState) -> Settled {
        let mut rows = std::mem::take(&mut state.rows);
        let mut report = std::mem::take(&mut state.report);
        let expected = &self.commits.files[file.number];
        if rows.seen != expected.file.rows {
            let kind = if rows.seen < expected.file.rows {
                FindingKind::Missing
            } else {
                FindingKind::Inserted
            };
            let detail = format!("{} rows expected, {} found", expected.file.rows, rows.seen);
            report.find(kind, &file.place, detail);
        }
        if let Some(logged) = self.statistics.get(&expected.file.path) {
            state.bounds.compare(logged, &file.place, &mut report);
        }
        let (seen, raw, events) = (rows.seen, rows.raw, std::mem::take(&mut rows.events));
        rows.problems.sort_by_key(|problem| problem.row);
        let origin = Origin(self.check.ledger.map(|ledger| ledger.key.name().as_str()));
        let disputes = sources::settle(file.number, self.commits, rows, origin, &mut report);
        let more = report.findings.len().saturating_sub(FILE_FINDINGS_MAX);
        if more > 0 {
            report.findings.truncate(FILE_FINDINGS_MAX);
            let detail = format!("at least {more} further findings in this file are not listed");
            report.find(FindingKind::Modified, &file.place, detail);
        }
        Settled { report, events, disputes, seen, raw }
    }
}

impl OpenFile {
    /// Row groups, and the hash.
    fn parts(&self) -> usize {
        self.firsts.len() + 1
    }
}

fn first_rows(metadata: &ArrowReaderMetadata) -> Vec<u64> {
    let mut next = 0_u64;
    let mut firsts = Vec::new();
    for group in metadata.metadata().row_groups() {
        firsts.push(next);
        next = next.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
    }
    firsts
}

/// Runs the third-party decoder on bytes that anyone may have written. It returns errors for damage, as a rule; where
/// it panics all the same (an index out of bounds deep inside), the file is unreadable, and the other files still have
/// to be checked. Nothing that the closure touched is used afterwards except counters and findings.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("the Parquet decoder gave up".to_owned()))
}

fn hash(path: &PathBuf) -> io::Result<(u64, Hash)> {
    let mut file = File::open(path)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, Hash::from_bytes(sha.finalize().into())));
        }
        sha.update(&buffer[..read]);
        size += read as u64;
    }
}

/// A poisoned lock means that another thread panicked outside of [`guarded`]; the data behind it is still whole,
/// because it is only ever replaced or appended to.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
