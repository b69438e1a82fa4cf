//! Durable appends per second beside what the disk's sync rate allows, and entries verified per
//! second.
//!
//! ```text
//! cargo bench -p keytrail-ledger --bench append -- [--seconds N] [DIR…]
//! ```
//!
//! For each directory and number of callers: appends of 1.4 KB payloads for N seconds, then, in the
//! same directory, raw appends of the same mean batch size with `fdatasync`. The last column is
//! the ledger's batches as a part of that raw rate; below 100 % with many callers means that the
//! processor is the limit, not the disk.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keytrail_ledger::{Checked, DirStorage, Ledger, LedgerError, Options, Report, verify};
use keytrail_testkit::{START_NS, SeededRandom, origin, record, signing_key};

const CALLERS: [usize; 4] = [1, 8, 64, 256];
const PAYLOAD_LEN: usize = 1400;

fn main() -> Result<(), Box<dyn Error>> {
    let mut seconds = 2;
    let mut dirs = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {} // cargo's own
            "--seconds" => seconds = arguments.next().unwrap_or_default().parse()?,
            dir => dirs.push(PathBuf::from(dir)),
        }
    }
    if dirs.is_empty() {
        dirs.push(std::env::temp_dir());
    }
    for dir in dirs {
        println!("{}, payloads of {PAYLOAD_LEN} bytes", dir.display());
        println!("callers  appends/s  batches/s  per batch  raw syncs/s  of raw  verified/s");
        for callers in CALLERS {
            row(&dir, callers, Duration::from_secs(seconds))?;
        }
    }
    Ok(())
}

/// Rounds per row: a disk that others use changes its mind within seconds, so that appends and raw
/// syncs take turns.
const ROUNDS: u32 = 4;

/// What one or more rounds measured.
#[derive(Default)]
struct Measured {
    appends: u64,
    batches: u64,
    raw_syncs: u64,
    appending: Duration,
    verifying: Duration,
    raw_syncing: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn row(dir: &Path, callers: usize, time: Duration) -> Result<(), Box<dyn Error>> {
    let mut sum = Measured::default();
    for _ in 0..ROUNDS {
        round(dir, callers, time / ROUNDS, &mut sum)?;
    }
    let per_second = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
    let batches = per_second(sum.batches, sum.appending);
    let raw = per_second(sum.raw_syncs, sum.raw_syncing);
    println!(
        "{callers:7} {:10.0} {batches:10.0} {:10.1} {raw:12.0} {:6.0}% {:11.0}",
        per_second(sum.appends, sum.appending),
        sum.appends as f64 / sum.batches as f64,
        100.0 * batches / raw,
        per_second(sum.appends, sum.verifying),
    );
    Ok(())
}

fn round(
    dir: &Path,
    callers: usize,
    time: Duration,
    sum: &mut Measured,
) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::TempDir::new_in(dir)?;
    let ledger_dir = dir.path().join("ledger");
    let ledger = Ledger::create(
        Arc::new(DirStorage::new(&ledger_dir)),
        origin(),
        signing_key(),
        Arc::new(SeededRandom::new(1)),
        START_NS,
        Options::default(),
    )?;
    let begun = Instant::now();
    sum.appends += run(&ledger, callers, time)?;
    sum.appending += begun.elapsed();
    let key = ledger.verifying_key().clone();
    ledger.close()?;

    let begun = Instant::now();
    let report = verify(&ledger_dir, &key);
    sum.verifying += begun.elapsed();
    if !report.is_ok() {
        return Err(report.to_string().into());
    }
    let (batches, bytes) = (count(&report, "batches"), count(&report, "bytes"));
    sum.batches += batches;
    let begun = Instant::now();
    sum.raw_syncs += raw_syncs(&dir.path().join("raw"), bytes / batches, time)?;
    sum.raw_syncing += begun.elapsed();
    Ok(())
}

/// Lets callers append for some time. Returns how many appends were acknowledged.
fn run(ledger: &Ledger, callers: usize, time: Duration) -> Result<u64, LedgerError> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let call = || {
            let mut appends = 0;
            while !stop.load(Ordering::Relaxed) {
                ledger.append(record(START_NS, vec![b'x'; PAYLOAD_LEN]))?;
                appends += 1;
            }
            Ok(appends)
        };
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .sum()
    })
}

/// How often this many bytes can be appended with `fdatasync`, without anything else.
fn raw_syncs(path: &Path, len: u64, time: Duration) -> Result<u64, Box<dyn Error>> {
    let mut file = File::create(path)?;
    let bytes = vec![b'x'; usize::try_from(len)?];
    let begun = Instant::now();
    let mut syncs = 0;
    while begun.elapsed() < time {
        file.write_all(&bytes)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(syncs)
}

fn count(report: &Report, name: &str) -> u64 {
    match report.checked.get(name) {
        Some(Checked::Count(count)) => *count,
        _ => 1,
    }
}
