//! `keytrail ingest`: CloudTrail files, or the own ledger, into the lake.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::ensure;
use keytrail_lake::{IngestOptions, IngestReport, Progress, Source, WatchOptions};
use serde_json::{Value, json};

use crate::progress::Bar;
use crate::report::print_facts;
use crate::{Context, Format, Outcome, query};

/// Take CloudTrail files, or the own ledger, into the lake
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail ingest                        the own ledger
  keytrail ingest ~/cloudtrail           a folder of .json.gz or .json, in AWS's layout or any
  keytrail ingest one.json.gz another.json
  keytrail ingest ~/cloudtrail --watch   and whatever comes later; end it with Ctrl-C at any time

A file is known by its content: taking the same folder again adds nothing, whatever the files are called.
What cannot become a row lies in DATA/lake/quarantine with the reason. An event that came before is kept and
marked as a duplicate.")]
pub(crate) struct Arguments {
    /// Files and folders [default: the own ledger]
    sources: Vec<PathBuf>,
    /// Stay, and take in what appears
    #[arg(long)]
    watch: bool,
    /// Seconds between two looks at everything while watching; changes are noticed at once where the system tells
    #[arg(long, default_value_t = 60, requires = "watch", value_name = "SECONDS")]
    rescan: u64,
    /// Threads that read and write [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = sources(context, arguments)?;
    let options = IngestOptions {
        threads: arguments.threads.unwrap_or_else(query::threads).max(1),
        ..IngestOptions::default()
    };
    let mut lake = context.data.open_lake()?;
    let progress = IngestBar(Bar::bytes(context));
    if arguments.watch {
        context.remark("watching; end with Ctrl-C: what is committed stays");
        // Nothing sets this: a watcher ends by signal, and a lake survives that at any moment.
        let never = AtomicBool::new(false);
        let rescan = Duration::from_secs(arguments.rescan.max(1));
        let watch = WatchOptions { rescan, ..WatchOptions::default() };
        lake.watch(&sources, &options, &watch, &progress, &never, &mut |report| {
            if let Err(error) = print(context, report) {
                eprintln!("keytrail: {error:#}");
            }
        })?;
        return Ok(Outcome::Fine);
    }
    let report = lake.ingest(&sources, &options, &progress)?;
    lake.close()?;
    progress.0.finish();
    print(context, &report)?;
    // What could not even be read is no row and not in quarantine: the answer would look complete.
    ensure!(
        report.unreadable.is_empty(),
        "{} files or folders could not be read; all else was taken in",
        report.unreadable.len()
    );
    Ok(Outcome::Fine)
}

fn sources(context: &Context, arguments: &Arguments) -> anyhow::Result<Vec<Source>> {
    if arguments.sources.is_empty() {
        return Ok(vec![Source::Ledger(context.data.ledger())]);
    }
    for path in &arguments.sources {
        ensure!(path.exists(), "{}: no such file or folder", path.display());
    }
    Ok(arguments.sources.iter().cloned().map(Source::Path).collect())
}

fn print(context: &Context, report: &IngestReport) -> anyhow::Result<()> {
    let quarantined: Vec<Value> = report
        .quarantined
        .iter()
        .map(|(source, item)| {
            json!({
                "source": source, "index": item.index, "offset": item.offset, "reason": item.reason,
            })
        })
        .collect();
    let in_quarantine = match context.format {
        Format::Json | Format::Ndjson => Value::Array(quarantined),
        _ => json!(quarantined.len()),
    };
    print_facts(
        context.format,
        &[
            ("files", json!(report.files_seen)),
            ("files_new", json!(report.files_new)),
            ("files_known", json!(report.files_known)),
            ("files_skipped", json!(report.files_skipped)),
            ("records", json!(report.records)),
            ("rows", json!(report.rows)),
            ("duplicates", json!(report.duplicates)),
            ("quarantined", in_quarantine),
            ("bytes_in", json!(report.bytes_in)),
            ("bytes_out", json!(report.bytes_out)),
            ("commits", json!(report.commits)),
        ],
    )?;
    for item in &report.unreadable {
        eprintln!("keytrail: {}: {}", item.path.display(), item.reason);
    }
    for (source, item) in &report.quarantined {
        context.remark(&format!("quarantined: {source}: {}", item.reason));
    }
    Ok(())
}

/// The progress of an ingest, by the bytes of its sources.
struct IngestBar(Bar);

impl Progress for IngestBar {
    fn planned(&self, _items: u64, bytes: u64) {
        self.0.total(bytes);
    }

    fn read(&self, bytes: u64, _records: u64) {
        self.0.advance(bytes);
    }
}
