//! How fast a directory of log files becomes a lake: events a second, bytes an event, memory at its highest.
//!
//! `cargo bench -p keytrail-lake --bench ingest -- [DIRECTORY [THREADS [EVENTS]]]`. A directory that is not there is
//! filled with a corpus of this many events (500,000); without one, as `cargo bench` runs it by itself, a small corpus
//! is made and removed. The lake is written into a temporary folder; `KEYTRAIL_BENCH_LAKE=DIR` keeps it there instead.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop at once")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use keytrail_event::Timestamp;
use keytrail_lake::{Clock, IngestOptions, Lake, Snapshot, Source};
use keytrail_testkit::{SeededRandom, origin, signing_key};
use keytrail_trail::corpus::{CorpusOptions, generate};

#[expect(clippy::cast_precision_loss, reason = "rates, printed with few digits")]
fn main() {
    // Cargo passes `--bench`.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let number = |at: usize, default: u64| {
        arguments.get(at).map_or(default, |argument| argument.parse().unwrap())
    };
    let scratch = tempfile::tempdir().unwrap();
    let (source, events) = match arguments.first() {
        Some(directory) => (PathBuf::from(directory), number(2, 500_000)),
        None => (scratch.path().join("corpus"), 20_000),
    };
    if !source.exists() {
        generate(&CorpusOptions::new(events), &source, &mut |_| ()).unwrap();
    }
    let threads = usize::try_from(number(1, 2)).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark takes its folder from whoever runs it"
    )]
    let kept = std::env::var_os("KEYTRAIL_BENCH_LAKE").map(PathBuf::from);
    let root = kept.unwrap_or_else(|| scratch.path().join("lake"));

    let begin = Instant::now();
    let mut lake = open(&root);
    let options = IngestOptions { threads, ..IngestOptions::default() };
    let report = lake.ingest(&[Source::Path(source.clone())], &options, &()).unwrap();
    lake.close().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "ingest    {:>9} events  {:>8.3} s  {:>8.0} events/s  {:>6.1} B/event  {:>6.1} MB/s stored",
        report.rows,
        seconds,
        report.rows as f64 / seconds,
        report.bytes_out as f64 / report.rows as f64,
        report.bytes_in as f64 / 1e6 / seconds,
    );
    println!("memory    {:>9} kB at its highest", memory_kb().unwrap_or_default());

    let begin = Instant::now();
    let snapshot = Snapshot::read(&root).unwrap();
    let snapshot_ms = begin.elapsed().as_secs_f64() * 1e3;
    let (files, receipts) = (snapshot.files.len(), snapshot.receipts.len());
    println!("snapshot  {files:>9} files   {snapshot_ms:>8.1} ms {receipts:>8} receipts");

    let begin = Instant::now();
    let mut lake = open(&root);
    let again = lake.ingest(&[Source::Path(source)], &options, &()).unwrap();
    assert_eq!(again.commits, 0);
    let seconds = begin.elapsed().as_secs_f64();
    println!("again     {:>9} files   {:>8.3} s  nothing new", again.files_known, seconds);
}

fn open(root: &Path) -> Lake {
    let clock: Clock = Arc::new(|| Timestamp::from_unix_seconds(1_750_000_000));
    Lake::open(root, &origin(), signing_key(), Arc::new(SeededRandom::new(1)), clock).unwrap()
}

/// Highest resident memory of this process, where the system tells.
fn memory_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
