//! `keytrail generate`: a synthetic CloudTrail corpus for trials and benchmarks.

use std::path::PathBuf;

use keytrail_event::{AccountId, Region};
use keytrail_trail::corpus::{self, CorpusOptions};
use serde_json::json;

use crate::progress::Bar;
use crate::report::print_facts;
use crate::{Context, Outcome, data, moment, query};

/// Make a synthetic CloudTrail corpus in AWS's layout
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keytrail generate corpus --events 500000
  keytrail generate corpus --events 20000 --keys 50 --principals 80 --days 30 --duplicates 100 --seed 7

The same options give the same files, byte for byte. One event in ten is not of KMS, one in fifty failed.")]
pub(crate) struct Arguments {
    /// The folder to write to; made if it is not there
    folder: PathBuf,
    /// How many events
    #[arg(long, default_value_t = 10_000)]
    events: u64,
    /// How many keys, over all accounts and Regions
    #[arg(long, default_value_t = 200)]
    keys: usize,
    /// How many users and roles, over all accounts
    #[arg(long, default_value_t = 120)]
    principals: usize,
    /// Another seed gives other names, ids and traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When it begins: RFC 3339, a date, or a span back from now
    #[arg(long, default_value = "2025-06-02", value_name = "TIME")]
    start: String,
    /// Over how many days
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// An account; may be given several times, the busiest first [default: two]
    #[arg(long, value_name = "ACCOUNT")]
    account: Vec<String>,
    /// A Region; may be given several times, the busiest first [default: two]
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Records in a file, on average
    #[arg(long, default_value_t = 2_500)]
    events_per_file: usize,
    /// Events that are delivered a second time, on top
    #[arg(long, default_value_t = 0)]
    duplicates: u64,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let options = options(arguments)?;
    options.check()?; // before a progress bar appears
    let bar = Bar::counting(context, "events", Some(options.events + options.duplicates));
    let summary = corpus::generate(&options, &arguments.folder, &mut |done| bar.at(done))?;
    bar.finish();
    print_facts(
        context.format,
        &[
            ("files", json!(summary.files)),
            ("events", json!(summary.events)),
            ("duplicates", json!(summary.duplicates)),
            ("json_bytes", json!(summary.json_bytes)),
            ("gzip_bytes", json!(summary.gzip_bytes)),
        ],
    )?;
    Ok(Outcome::Fine)
}

fn options(arguments: &Arguments) -> anyhow::Result<CorpusOptions> {
    let defaults = CorpusOptions::new(arguments.events);
    let accounts = arguments.account.iter().map(|text| AccountId::parse(text));
    let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
    let regions = arguments.region.iter().map(|text| Region::parse(text));
    let regions = regions.collect::<Result<Vec<_>, _>>()?;
    Ok(CorpusOptions {
        keys: arguments.keys,
        principals: arguments.principals,
        seed: arguments.seed,
        start: moment::parse(&arguments.start, data::now())?,
        days: arguments.days,
        accounts: if accounts.is_empty() { defaults.accounts } else { accounts },
        regions: if regions.is_empty() { defaults.regions } else { regions },
        events_per_file: arguments.events_per_file,
        duplicates: arguments.duplicates,
        threads: query::threads().try_into()?,
        ..CorpusOptions::new(arguments.events)
    })
}
