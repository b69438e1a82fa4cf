//! Opening a lake, asking it, and verifying it: milliseconds and rows per second.
//!
//! ```text
//! cargo bench -p keytrail-query --bench lake -- [--events N] [--threads N] [--dir DIR]
//! ```
//!
//! Generates a corpus of N events, takes it in, and then measures from a cold session: opening it and the first
//! `who-used` (what `keytrail audit` costs beyond starting the process), each audit warm, some queries, and the
//! verification. With `--dir` the lake stays there and is used again by the next run.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keytrail_event::Timestamp;
use keytrail_lake::{IngestOptions, Lake, Source};
use keytrail_ledger::{Origin, SigningKey};
use keytrail_query::{Audit, AuditFilters, LakeCheck, Session, SessionOptions, verify_lake};
use keytrail_testkit::SeededRandom;
use keytrail_trail::corpus::{CorpusOptions, generate};

/// Runs of each warm measurement; the median is shown.
const RUNS: usize = 9;

const QUERIES: [(&str, &str); 5] = [
    ("count(*)", "SELECT count(*) FROM events"),
    ("group by operation", "SELECT event_name, count(*) FROM events GROUP BY event_name"),
    (
        "group by key, actor",
        "SELECT key_arn, actor, count(*), max(event_time) FROM events GROUP BY key_arn, actor",
    ),
    (
        "one event by id",
        "SELECT * FROM events WHERE event_id = (SELECT max(event_id) FROM events WHERE event_time = \
         (SELECT max(event_time) FROM records))",
    ),
    (
        "newest 20 of one key",
        "SELECT event_time, event_name, actor FROM events WHERE key_arn = (SELECT max(key_arn) FROM records) \
         ORDER BY event_time DESC LIMIT 20",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let (mut events, mut threads, mut dir) = (1_000_000, 2, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--events" => events = value().parse()?,
            "--threads" => threads = value().parse()?,
            "--dir" => dir = Some(PathBuf::from(value())),
            _ => {} // cargo's own
        }
    }
    let scratch = tempfile::tempdir()?;
    let dir = dir.unwrap_or_else(|| scratch.path().to_owned());
    let lake = dir.join("lake");
    if !lake.exists() {
        make_lake(&dir, &lake, events, threads)?;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(ask(&lake, threads))?;
    verify(&lake, threads);
    Ok(())
}

fn make_lake(dir: &Path, lake: &Path, events: u64, threads: usize) -> Result<(), Box<dyn Error>> {
    let logs = dir.join("logs");
    generate(&CorpusOptions::new(events), &logs, &mut |_| ())?;
    let key = SigningKey::from_seed(&[3; 32]);
    let origin = Origin::new("example.org/catalog")?;
    let clock = Arc::new(|| Timestamp::from_unix_seconds(1_750_000_000));
    let mut open = Lake::open(lake, &origin, key, Arc::new(SeededRandom::new(1)), clock)?;
    let options = IngestOptions { threads, ..IngestOptions::default() };
    let start = Instant::now();
    let report = open.ingest(&[Source::Path(logs)], &options, &())?;
    let bytes = report.bytes_out.checked_div(report.rows).unwrap_or_default();
    println!("ingest: {} rows, {}, {bytes} B/row", report.rows, rate(report.rows, start.elapsed()));
    open.close()?;
    Ok(())
}

async fn ask(lake: &Path, threads: usize) -> Result<(), Box<dyn Error>> {
    let options = SessionOptions { threads, memory_bytes_max: None };
    let start = Instant::now();
    let session = Session::open(lake, options).await?;
    println!("open a session: {}", milliseconds(start.elapsed()));
    let key = busiest_key(&session).await?;

    let start = Instant::now();
    let session = Session::open(lake, options).await?;
    let filters = AuditFilters { key: Some(key), ..AuditFilters::default() };
    session.audit(&Audit::named("who-used")?, &filters).await?.collect().await?;
    println!("open a session and who-used of one key: {}", milliseconds(start.elapsed()));

    let id = filters.key.as_deref().and_then(|key| key.rsplit('/').next()).map(str::to_owned);
    let by_id = AuditFilters { key: id, ..AuditFilters::default() };
    let everything = AuditFilters::default();
    for audit in Audit::built_in()? {
        for (what, filters) in
            [("all", &everything), ("one key", &filters), ("one key by id", &by_id)]
        {
            let mut times = Vec::new();
            for _ in 0..RUNS {
                let start = Instant::now();
                session.audit(&audit, filters).await?.collect().await?;
                times.push(start.elapsed());
            }
            println!("{}, {what}: {}", audit.name, milliseconds(median(times)));
        }
    }
    for (what, sql) in QUERIES {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            session.sql(sql).await?.collect().await?;
            times.push(start.elapsed());
        }
        println!("{what}: {}", milliseconds(median(times)));
    }
    Ok(())
}

async fn busiest_key(session: &Session) -> Result<String, Box<dyn Error>> {
    let sql = "SELECT key FROM key_events GROUP BY key ORDER BY count(*) DESC, key LIMIT 1";
    let batches = session.sql(sql).await?.collect().await?;
    Ok(arrow::util::display::array_value_to_string(batches[0].column(0), 0)?)
}

fn verify(lake: &Path, threads: usize) {
    for threads in [1, threads] {
        let check = LakeCheck { catalog_key: None, ledger: None, threads, progress: &|_, _| () };
        let start = Instant::now();
        let report = verify_lake(lake, &check);
        let time = start.elapsed();
        let rows = match report.checked.get("rows") {
            Some(keytrail_ledger::Checked::Count(rows)) => *rows,
            _ => 0,
        };
        println!("verify, {threads} threads: {}, {}", report.verdict(), rate(rows, time));
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(rows: u64, time: Duration) -> String {
    format!("{:.2} s, {:.0} rows/s", time.as_secs_f64(), rows as f64 / time.as_secs_f64())
}
