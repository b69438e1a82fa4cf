//! Ingest side by side with DuckDB: the same generated corpus, the same machine, alternating rounds in one run.
//!
//! ```text
//! cargo bench --bench ingest_beside_duckdb -- [EVENTS] [ROUNDS]     (default 500000 3)
//! ```
//!
//! Ours does more: it hashes every record and file, marks duplicates, keeps each record's exact bytes, syncs, and signs a
//! receipt. DuckDB infers the schema, unnests the envelope and writes one zstd Parquet file. DuckDB comes from PyPI, pinned,
//! into a virtual environment under `target/`. Peak memory is `VmHWM`, read while the process runs.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DUCKDB: &str = "duckdb==2.0.0";

/// What one run of one program cost.
struct Cost {
    seconds: f64,
    peak_bytes: u64,
    output_bytes: u64,
}

fn main() {
    // Cargo passes `--bench`; only the numbers are ours.
    let numbers: Vec<u64> = std::env::args().filter_map(|text| text.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(500_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let scratch = target_folder().join("bench");
    fs::create_dir_all(&scratch).expect("target is writable");
    let corpus = corpus(&scratch, events);
    let python = python_with_duckdb(&scratch);

    println!("{events} events, {} bytes of gzip", size_of(&corpus));
    println!("round  program   events/s  bytes/event  peak MiB");
    for round in 1..=rounds {
        report(round, "keytrail", events, &ingest(&scratch, &corpus));
        report(round, "duckdb", events, &duckdb(&scratch, &python, &corpus));
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(round: u64, program: &str, events: u64, cost: &Cost) {
    println!(
        "{round:>5}  {program:8} {:>9.0} {:>12.1} {:>9.0}",
        events as f64 / cost.seconds,
        cost.output_bytes as f64 / events as f64,
        cost.peak_bytes as f64 / 1_048_576.0
    );
}

fn target_folder() -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_keytrail"));
    binary.ancestors().nth(2).expect("target/PROFILE/keytrail").to_owned()
}

/// The corpus for this many events, generated once.
fn corpus(scratch: &Path, events: u64) -> PathBuf {
    let folder = scratch.join(format!("corpus-{events}"));
    if !folder.exists() {
        let half_done = scratch.join("corpus-being-made");
        let _ = fs::remove_dir_all(&half_done);
        run(Command::new(env!("CARGO_BIN_EXE_keytrail"))
            .args(["generate", "--events", &events.to_string(), "--seed", "1"])
            .arg(&half_done));
        fs::rename(&half_done, &folder).expect("same folder");
    }
    folder
}

fn python_with_duckdb(scratch: &Path) -> PathBuf {
    let environment = scratch.join("venv");
    let python = environment.join("bin/python");
    if !environment.join("ready").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", DUCKDB]));
        fs::write(environment.join("ready"), "").expect("just made");
    }
    python
}

fn ingest(scratch: &Path, corpus: &Path) -> Cost {
    let data = scratch.join("data");
    let _ = fs::remove_dir_all(&data);
    let keytrail = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
        command.arg("--quiet").arg("--data").arg(&data);
        command
    };
    run(keytrail().arg("init").stdout(Stdio::null()));
    let (seconds, peak_bytes) = timed(keytrail().arg("ingest").arg(corpus).stdout(Stdio::null()));
    Cost { seconds, peak_bytes, output_bytes: size_of(&data.join("lake")) }
}

fn duckdb(scratch: &Path, python: &Path, corpus: &Path) -> Cost {
    let output = scratch.join("duckdb.parquet");
    let _ = fs::remove_file(&output);
    let sql = format!(
        "COPY (SELECT r.* FROM (SELECT unnest(Records) AS r FROM \
         read_json('{}/**/*.json.gz', maximum_object_size=50000000))) \
         TO '{}' (FORMAT parquet, COMPRESSION zstd)",
        corpus.display(),
        output.display()
    );
    let script = format!(
        "import duckdb; duckdb.execute(\"SET threads=2; SET enable_progress_bar=false\"); duckdb.execute({sql:?})"
    );
    let (seconds, peak_bytes) = timed(Command::new(python).args(["-c", &script]));
    Cost { seconds, peak_bytes, output_bytes: size_of(&output) }
}

/// Runs a command to its end; its wall time and its peak memory.
fn timed(command: &mut Command) -> (f64, u64) {
    let start = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let mut peak_bytes = 0;
    loop {
        peak_bytes = peak_bytes.max(peak_memory(&child));
        if let Some(status) = child.try_wait().expect("our own child") {
            assert!(status.success(), "{command:?} failed");
            return (start.elapsed().as_secs_f64(), peak_bytes);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("");
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<u64>();
    kibibytes.map_or(0, |number| number * 1024)
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program starts");
    assert!(status.success(), "{command:?} failed");
}

/// The bytes of a file, or of all files below a folder.
fn size_of(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().map_or(0, |metadata| metadata.len());
    }
    let entries = fs::read_dir(path).expect("a folder of ours");
    entries.map(|entry| size_of(&entry.expect("a folder of ours").path())).sum()
}
