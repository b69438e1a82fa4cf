//! `keytrail demo`: the whole story in a scratch directory, told while it happens.
//!
//! Nothing here is staged but the traffic and the two tamperings: the same engine, ledger, lake, audits and verifier that
//! every other command uses do the work, on real files, and the figures printed are the ones measured.

mod traffic;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use keytrail_kms::{Engine, Environment};
use keytrail_lake::{IngestOptions, Source};
use keytrail_ledger::{Reader, Report};
use keytrail_query::{Audit, AuditFilters};
use keytrail_trail::corpus::{self, CorpusOptions};

use crate::data::{self, DataDirectory, Settings};
use crate::passphrase::Passphrase;
use crate::root_key::Source as RootKeySource;
use crate::{Context, Format, Outcome, query, tamper, verify};

/// Show the whole story in a scratch directory: keys, traffic, audits, two tamperings caught
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail demo
  keytrail demo --keep /tmp/keytrail-demo      and then: keytrail --data /tmp/keytrail-demo query")]
pub(crate) struct Arguments {
    /// Work in this folder, which must not exist, and leave it there [default: a folder that is removed]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Foreign events that are ingested beside the engine's own.
const FOREIGN_EVENTS: u64 = 5_000;

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let scratch = tempfile::Builder::new().prefix("keytrail-demo-").tempdir()?;
    let folder = match &arguments.keep {
        Some(folder) => {
            ensure!(!folder.exists(), "{} exists: name a new folder", folder.display());
            folder.clone()
        }
        None => scratch.path().join("data"),
    };
    let data = DataDirectory::at(folder, Passphrase::default());
    let context = Context { data, format: Format::Table, quiet: context.quiet };
    use_keys(&context)?;
    ingest(&context, scratch.path())?;
    audits(&context)?;
    verify_untouched(&context)?;
    tamper_with_the_ledger(&context)?;
    tamper_with_the_lake(&context)?;
    heading("All put back: every file verifies again.")?;
    expect_ok(&verify::all(&context)?)?;
    tell(&format!("\nThe whole story took {:.1} s.", start.elapsed().as_secs_f64()))?;
    tell(&match &arguments.keep {
        Some(folder) => format!("It is yours: keytrail --data {} query", folder.display()),
        None => "Your turn: keytrail init && keytrail ingest YOUR-CLOUDTRAIL-FOLDER".to_owned(),
    })?;
    Ok(Outcome::Fine)
}

fn heading(text: &str) -> anyhow::Result<()> {
    tell(&format!("\n── {text}"))
}

/// One line of the story. A reader that went away (`| head`) is an error like any other, and ends the story quietly.
fn tell(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

fn use_keys(context: &Context) -> anyhow::Result<()> {
    heading("A key engine, and a day of traffic through it")?;
    let settings = Settings {
        account: data::DEFAULT_ACCOUNT.to_owned(),
        region: data::DEFAULT_REGION.to_owned(),
        regions: Vec::new(),
        origin: "demo.keytrail.local/keys".to_owned(),
        on_demand_rotations: None,
        material_encryptions: None,
        root_key: None,
    };
    let root_key = context.data.create(&settings, RootKeySource::File)?;
    let clock = traffic::Day::before(data::now());
    let environment = Environment { clock: Arc::clone(&clock) as _, ..data::environment() };
    let (engine, _) =
        Engine::create(context.data.root(), settings.engine_config()?, root_key, environment)?;
    let start = Instant::now();
    let tally = traffic::run(&engine, &clock)?;
    tell(&format!(
        "{} calls by {} principals on {} keys, from {} threads: {} answered, {} refused.",
        tally.answered + tally.refused,
        tally.principals,
        tally.keys,
        traffic::THREADS,
        tally.answered,
        tally.refused
    ))?;
    tell(&format!(
        "No answer left before its record was on disk: {} records in {:.1} s. The newest, as it was signed:",
        engine.ledger().size(),
        start.elapsed().as_secs_f64()
    ))?;
    engine.close()?;
    tell(&newest_record(&context.data.ledger())?)?;
    Ok(())
}

/// The newest record in the ledger, byte for byte.
fn newest_record(ledger: &Path) -> anyhow::Result<String> {
    let reader = Reader::open(ledger)?;
    let newest = reader.checkpoint().size.saturating_sub(1);
    let frame = reader.frames(newest).next().context("an empty ledger")??;
    Ok(String::from_utf8(frame.payload)?)
}

fn ingest(context: &Context, scratch: &Path) -> anyhow::Result<()> {
    heading("Into the lake: the own ledger, and a folder of somebody else's CloudTrail files")?;
    let foreign = scratch.join("AWSLogs-of-another-account");
    let options = CorpusOptions { keys: 20, principals: 30, ..CorpusOptions::new(FOREIGN_EVENTS) };
    corpus::generate(&options, &foreign, &mut |_| ())?;
    let start = Instant::now();
    let mut lake = context.data.open_lake()?;
    let sources = [Source::Ledger(context.data.ledger()), Source::Path(foreign)];
    let report = lake.ingest(&sources, &IngestOptions::default(), &())?;
    lake.close()?;
    tell(&format!(
        "{} records became {} rows in {:.1} s; {} duplicates marked, {} in quarantine.",
        report.records,
        report.rows,
        start.elapsed().as_secs_f64(),
        report.duplicates,
        report.quarantined.len()
    ))?;
    Ok(())
}

fn audits(context: &Context) -> anyhow::Result<()> {
    let runtime = query::runtime()?;
    let session = query::open(context, &runtime)?;
    let on = |key: &str| AuditFilters { key: Some(key.to_owned()), ..AuditFilters::default() };
    let questions = [
        ("who-used", on(traffic::PAYMENTS), "keytrail audit who-used --key alias/payments"),
        ("last-use", on(traffic::PAYMENTS), "keytrail audit last-use --key alias/payments"),
        ("denied", on(traffic::PAYMENTS), "keytrail audit denied --key alias/payments"),
    ];
    for (name, filters, command) in questions {
        heading(command)?;
        let audit = Audit::named(name)?;
        runtime.block_on(async {
            query::print(context, session.audit(&audit, &filters).await?).await
        })?;
    }
    Ok(())
}

fn verify_untouched(context: &Context) -> anyhow::Result<()> {
    heading("keytrail verify: files and public keys only")?;
    let report = verify::all(context)?;
    print_verdict(&report)?;
    for count in ["ledger entries", "lake rows", "lake rows rebuilt from columns", "lake receipts"]
    {
        if let Some(what) = report.checked.get(count) {
            tell(&format!("  {count}: {what}"))?;
        }
    }
    expect_ok(&report)
}

/// The verdict and what was found; `keytrail verify` also says all that was and was not checked.
fn print_verdict(report: &Report) -> anyhow::Result<()> {
    tell(&format!("{}", report.verdict()))?;
    for finding in &report.findings {
        tell(&format!("  {finding}"))?;
    }
    Ok(())
}

fn expect_ok(report: &Report) -> anyhow::Result<()> {
    ensure!(report.is_ok(), "untouched files must verify:\n{report}");
    Ok(())
}

/// One bit of a record in the middle of the ledger.
fn tamper_with_the_ledger(context: &Context) -> anyhow::Result<()> {
    heading("Tampering, the first: somebody flips one bit in the ledger")?;
    let segments = context.data.ledger().join("segments");
    let mut files = std::fs::read_dir(&segments)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let segment = files.first().context("a ledger without segments")?;
    let offset = usize::try_from(segment.metadata()?.len() / 2)?;
    tamper::flip_bit(segment, offset)?;
    tell(&format!("bit 0 of byte {offset} in {}", segment.display()))?;
    expect_caught(&verify::own_ledger(context)?)?;
    tamper::flip_bit(segment, offset)
}

/// One cell of one row: who called becomes somebody else. The file is written anew as valid Parquet.
fn tamper_with_the_lake(context: &Context) -> anyhow::Result<()> {
    heading(
        "Tampering, the second: somebody edits one cell in a Parquet file and writes a valid file",
    )?;
    let snapshot = context.data.snapshot()?;
    let column = "principal_arn";
    for file in &snapshot.files {
        let path = snapshot.events.join(&file.path);
        let Some(row) = tamper::find_row(&path, column, &traffic::culprit())? else { continue };
        let original = std::fs::read(&path)?;
        let old = tamper::edit_cell(&path, column, row, &traffic::scapegoat())?;
        tell(&format!("row {row}, {column}: {old} → {}", traffic::scapegoat()))?;
        expect_caught(&verify::own_lake(context)?)?;
        return Ok(std::fs::write(&path, original)?);
    }
    anyhow::bail!("no row of the demo's own traffic is in the lake")
}

fn expect_caught(report: &Report) -> anyhow::Result<()> {
    print_verdict(report)?;
    ensure!(!report.is_ok(), "a tampering went unseen");
    Ok(())
}
