//! `keytrail verify`: integrity validation of the ledger and the lake.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use keytrail_ledger::{Report, VerifyingKey};
use keytrail_query::{LakeCheck, LedgerCheck, verify_lake};

use crate::progress::Bar;
use crate::{Context, Format, Outcome, data, query};

/// Validate the ledger and the lake, down to the single row
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail verify                                   ledger and lake of the data directory
  keytrail verify ledger /evidence/ledger --public-key keytrail.pub
  keytrail verify lake --format json

Needs files and public keys only: no secret, no network, no running process. Without --public-key the keys
that lie beside the data are used, which is good against accidents; against people, give keys that you kept
elsewhere. Exit code 1 when anything was found.")]
pub(crate) struct Arguments {
    /// What to validate
    #[arg(value_enum, default_value_t = Target::All)]
    target: Target,
    /// The ledger's or the lake's folder [default: those of the data directory]
    path: Option<PathBuf>,
    /// A file with public keys, one a line, as `init` printed them
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The own ledger: entries, chain, tree, signed checkpoint
    Ledger,
    /// The lake: catalog, Delta log, data files, every row
    Lake,
    /// Both
    All,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let keys = PinnedKeys::read(arguments.public_key.as_deref())?;
    let path = |default: PathBuf| arguments.path.clone().unwrap_or(default);
    let report = match arguments.target {
        Target::Ledger => ledger(&path(context.data.ledger()), &keys)?,
        Target::Lake => lake(context, &path(context.data.lake()), &keys)?,
        Target::All => {
            ensure!(
                arguments.path.is_none(),
                "say what the path is: `verify ledger PATH` or `verify lake PATH`"
            );
            both(context, &keys)?
        }
    };
    print(context, &report)?;
    Ok(if report.is_ok() { Outcome::Fine } else { Outcome::BadNews })
}

/// Verifies the data directory with the keys that lie in it: what `keytrail verify` does when nothing is said.
pub(crate) fn all(context: &Context) -> anyhow::Result<Report> {
    both(context, &PinnedKeys::none())
}

/// The ledger of the data directory, with the key that lies in it.
pub(crate) fn own_ledger(context: &Context) -> anyhow::Result<Report> {
    ledger(&context.data.ledger(), &PinnedKeys::none())
}

/// The lake of the data directory, with the keys that lie in it.
pub(crate) fn own_lake(context: &Context) -> anyhow::Result<Report> {
    lake(context, &context.data.lake(), &PinnedKeys::none())
}

fn both(context: &Context, keys: &PinnedKeys) -> anyhow::Result<Report> {
    let mut report = Report::new();
    report.merge("ledger", ledger(&context.data.ledger(), keys)?);
    report.merge("lake", lake(context, &context.data.lake(), keys)?);
    Ok(report)
}

/// Public keys that the user brought along; empty if none.
struct PinnedKeys(Vec<VerifyingKey>);

impl PinnedKeys {
    fn none() -> Self {
        Self(Vec::new())
    }

    fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self::none()) };
        let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let keys = lines
            .map(|line| VerifyingKey::parse(line.trim()))
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("{}", file.display()))?;
        ensure!(!keys.is_empty(), "{}: no public key in it", file.display());
        Ok(Self(keys))
    }

    /// The key for the ledger in `folder`: the pinned one of that log's name, or without pinned keys the one beside it.
    fn for_ledger(&self, folder: &Path) -> anyhow::Result<VerifyingKey> {
        let beside = data::public_key_of(folder);
        if self.0.is_empty() {
            return beside;
        }
        if let Ok(beside) = &beside
            && let Some(key) = self.0.iter().find(|key| key.name() == beside.name())
        {
            return Ok(key.clone());
        }
        // A log of another name, or one whose key file is gone: the first pinned key will say no to it.
        Ok(self.0[0].clone())
    }
}

fn ledger(folder: &Path, keys: &PinnedKeys) -> anyhow::Result<Report> {
    ensure!(folder.is_dir(), "{}: no such folder", folder.display());
    Ok(keytrail_ledger::verify(folder, &keys.for_ledger(folder)?))
}

/// The lake's native rows are compared with the own ledger, where there is one.
fn lake(context: &Context, folder: &Path, keys: &PinnedKeys) -> anyhow::Result<Report> {
    ensure!(folder.is_dir(), "{}: no such folder", folder.display());
    let catalog_key = keys.for_ledger(&folder.join("catalog"))?;
    let own = context.data.ledger();
    let own_key = if own.is_dir() { Some(keys.for_ledger(&own)?) } else { None };
    let bar = Bar::counting(context, "rows", Some(0));
    let report = verify_lake(
        folder,
        &LakeCheck {
            catalog_key: Some(&catalog_key),
            ledger: own_key.as_ref().map(|key| LedgerCheck { dir: &own, key }),
            threads: query::threads(),
            progress: &|done, total| bar.at_of(done, total),
        },
    );
    bar.finish();
    Ok(report)
}

/// The verdict for people, or the JSON document of the command-line contract.
pub(crate) fn print(context: &Context, report: &Report) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match context.format {
        Format::Table | Format::Csv | Format::Markdown => write!(stdout, "{report}")?,
        Format::Json | Format::Ndjson => writeln!(stdout, "{}", report.to_json())?,
    }
    Ok(())
}
