//! A synthetic corpus: CloudTrail log files of a company that does not exist, as many as one likes.
//!
//! Real logs are private and small public samples do not fill a disk, so benchmarks, demonstrations
//! and tests use these. The records are built with the same typed
//! [`Record`](keytrail_event::Record) that the key engine uses, and follow what real files show:
//! nine tenths KMS with a few busy keys and callers and a long tail of others, two per cent
//! failures, all kinds of callers, copies in two accounts, a day's curve, delivery a few minutes
//! after the event, events out of order.
//!
//! The corpus is a pure function of its [`CorpusOptions`]: the same options give the same files
//! byte for byte, on every machine and for any number of threads. It is *not* a replay of a real
//! company: principals and keys never change, and nothing happens for a reason.
//!
//! ```text
//!            ┌ world: accounts, keys, principals
//! seed ──────┤
//!            └ plan: batch 0, 1, 2, …  ──►  batch: records ──►  one file for each account
//! ```

mod batch;
mod draft;
mod failures;
mod management;
mod other_services;
mod plan;
mod principals;
mod random;
mod usage;
mod world;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use keytrail_event::{AccountId, Region, Timestamp};

use crate::{TrailError, Unique, log_file_key, write_log};
use batch::File;
use plan::Plan;
use random::Random;
use world::World;

/// The most records that a file may have on average over all accounts of a batch. A record has
/// about 1.4 KB, a batch up to 1.4 times its average, and AWS's files stay below 50 MB.
const BATCH_EVENTS_MAX: usize = 20_000;

/// Ten years: the traffic of every hour is held in memory.
const DAYS_MAX: u32 = 3_660;

/// More would only wait for each other.
const THREADS_MAX: usize = 1_024;

/// 2⁴⁰ events take about 180 TB.
const EVENTS_MAX: u64 = 1 << 40;

/// A batch has a file for each account, and a thread holds a batch in memory.
const ACCOUNTS_MAX: usize = 1_000;

/// AWS has fewer than forty.
const REGIONS_MAX: usize = 100;

/// Keys and principals are held in memory with all their names.
const NAMES_MAX: usize = 1_000_000;

/// What the corpus is like. Begin with [`CorpusOptions::new`] and change what matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusOptions {
    /// How many events there are, exactly.
    pub events: u64,
    /// How many keys there are over all accounts and regions; at least one for each account in each
    /// region.
    pub keys: usize,
    /// How many roles and users there are over all accounts; at least one for each account.
    pub principals: usize,
    /// Another seed gives another company.
    pub seed: u64,
    /// No event is older; rounded up to the next five minutes.
    pub start: Timestamp,
    /// How many days the events are spread over; no event is later.
    pub days: u32,
    /// The company's accounts, the busiest first.
    pub accounts: Vec<AccountId>,
    /// The regions it works in, the busiest first.
    pub regions: Vec<Region>,
    /// What kinds of events there are, and how many of each.
    pub mix: Mix,
    /// How many records a file has on average. When files are few for the time, they come in
    /// bursts: fewer records in a file make smoother traffic.
    pub events_per_file: usize,
    /// How many of the events are delivered a second time, in a later file: in addition to
    /// `events`, with the same `eventID`, byte for byte.
    pub duplicates: u64,
    /// How many threads do the work; has no influence on the result.
    pub threads: NonZeroUsize,
}

/// How the kinds of events are mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// As in a real log: rare things are rare, and a small corpus has none of them.
    #[default]
    Real,
    /// Rare things are common: changes, failures, calls across accounts, rotations, the root user.
    /// A few hundred records show nearly everything.
    Varied,
}

/// What [`generate`] wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorpusSummary {
    /// Files written.
    pub files: u64,
    /// Events in them, each counted once.
    pub events: u64,
    /// Records in them that repeat an event.
    pub duplicates: u64,
    /// Bytes of the records' own text, without the envelope around them.
    pub json_bytes: u64,
    /// Bytes on the disk.
    pub gzip_bytes: u64,
}

impl CorpusOptions {
    /// A week in June 2025 of two accounts in two regions: 200 keys, 120 principals, about 2,500
    /// records in a file.
    pub fn new(events: u64) -> Self {
        Self {
            events,
            keys: 200,
            principals: 120,
            seed: 1,
            // 2025-06-02T00:00:00Z, a Monday, after KMS began to log key material ids.
            start: Timestamp::from_unix_seconds(1_748_822_400),
            days: 7,
            accounts: vec![account("111122223333"), account("444455556666")],
            regions: vec![region("us-east-1"), region("eu-west-1")],
            mix: Mix::Real,
            events_per_file: 2500,
            duplicates: 0,
            threads: NonZeroUsize::MIN,
        }
    }

    /// A small corpus to look at, with nearly everything in it: 360 events of two days, and four of
    /// them twice, in 28 files of less than 100 KB together. For `sample-logs`.
    pub fn sample() -> Self {
        Self {
            keys: 40,
            principals: 20,
            // Of the first eighty seeds the one whose sample misses least.
            seed: 71,
            days: 2,
            mix: Mix::Varied,
            events_per_file: 16,
            duplicates: 4,
            ..Self::new(360)
        }
    }

    /// Whether a corpus can be made of these options.
    ///
    /// # Errors
    /// [`TrailError::Option`] names the first option that makes no sense, and what would.
    pub fn check(&self) -> Result<(), TrailError> {
        let (accounts, regions) = (self.accounts.len(), self.regions.len());
        let rules = [
            (
                "events",
                (1..=EVENTS_MAX).contains(&self.events),
                format!("must be 1 to {EVENTS_MAX}"),
            ),
            (
                "accounts",
                (1..=ACCOUNTS_MAX).contains(&accounts),
                format!("must name 1 to {ACCOUNTS_MAX} accounts"),
            ),
            ("accounts", distinct(&self.accounts), "must not name an account twice".to_owned()),
            (
                "regions",
                (1..=REGIONS_MAX).contains(&regions),
                format!("must name 1 to {REGIONS_MAX} regions"),
            ),
            ("regions", distinct(&self.regions), "must not name a region twice".to_owned()),
            (
                "keys",
                (accounts * regions..=NAMES_MAX).contains(&self.keys),
                format!(
                    "must be {} to {NAMES_MAX}, at least one for each account in each region",
                    accounts * regions
                ),
            ),
            (
                "principals",
                (accounts..=NAMES_MAX).contains(&self.principals),
                format!("must be {accounts} to {NAMES_MAX}, at least one for each account"),
            ),
            ("days", (1..=DAYS_MAX).contains(&self.days), format!("must be 1 to {DAYS_MAX}")),
            (
                "start",
                self.start.unix_seconds() <= START_SECONDS_MAX,
                "must lie before the year 2500".to_owned(),
            ),
            (
                "events per file",
                (1..=BATCH_EVENTS_MAX / accounts.max(1)).contains(&self.events_per_file),
                format!(
                    "must be 1 to {} for {accounts} accounts, so that no file exceeds AWS's 50 MB",
                    BATCH_EVENTS_MAX / accounts.max(1)
                ),
            ),
            (
                "duplicates",
                self.duplicates <= self.events,
                format!("must be at most the number of events, {}", self.events),
            ),
            ("threads", self.threads.get() <= THREADS_MAX, format!("must be 1 to {THREADS_MAX}")),
        ];
        let broken = rules.into_iter().find(|(_, holds, _)| !holds);
        broken.map_or(Ok(()), |(option, _, rule)| Err(TrailError::Option { option, rule }))
    }
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("the defaults have twelve digits")
}

fn region(name: &str) -> Region {
    Region::parse(name).expect("the defaults are names of regions")
}

/// 2500-01-01T00:00:00Z; a `Timestamp` ends in 2554.
const START_SECONDS_MAX: u64 = 16_725_225_600;

fn distinct<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
}

/// Writes the corpus below the directory `out`, which is made if it is not there, in AWS's key
/// layout.
///
/// `progress` is called on this thread, with the number of records written so far. Files of the
/// same name are replaced, others left alone: several corpora can share a directory. After an error
/// the files written so far stay.
pub fn generate(
    options: &CorpusOptions,
    out: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<CorpusSummary, TrailError> {
    options.check()?;
    let shared = Shared {
        options,
        out,
        world: World::new(options),
        plan: Plan::new(options),
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.threads.get() {
            let (shared, sender) = (&shared, sender.clone());
            scope.spawn(move || shared.work(&sender));
        }
        drop(sender);
        let mut total = CorpusSummary::default();
        let mut outcome = Ok(());
        // Ends when the last thread has dropped its sender.
        for written in receiver {
            match written {
                Ok(summary) => {
                    total = total.plus(summary);
                    progress(total.events + total.duplicates);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| total)
    })
}

/// What the threads share.
struct Shared<'o> {
    options: &'o CorpusOptions,
    out: &'o Path,
    world: World,
    plan: Plan,
    /// The next batch that nobody works on.
    next: AtomicU64,
    /// Set after the first error.
    stop: AtomicBool,
}

impl Shared<'_> {
    fn work(&self, sender: &mpsc::Sender<Result<CorpusSummary, TrailError>>) {
        let random = Random::new(self.options.seed).fork(u64::from_be_bytes(*b"theevent"));
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.plan.batches() {
                return;
            }
            let batch = self.plan.batch(number);
            let files = batch::files(&self.world, self.options.mix, &batch, &random);
            let written = files.iter().try_fold(CorpusSummary::default(), |total, file| {
                self.write(batch.region, file).map(|summary| total.plus(summary))
            });
            self.stop.fetch_or(written.is_err(), Ordering::Relaxed);
            if sender.send(written).is_err() {
                return;
            }
        }
    }

    fn write(&self, region: usize, file: &File) -> Result<CorpusSummary, TrailError> {
        let content = write_log(file.records.iter());
        let key = log_file_key(
            &self.options.accounts[file.account],
            &self.options.regions[region],
            Timestamp::from_unix_seconds(file.delivery_seconds),
            Unique::from_random(file.unique),
        );
        let path = self.out.join(key);
        let folder = path.parent().unwrap_or(self.out);
        std::fs::create_dir_all(folder)
            .map_err(|source| TrailError::Write { path: folder.to_owned(), source })?;
        std::fs::write(&path, &content).map_err(|source| TrailError::Write { path, source })?;
        let records = file.records.len() as u64;
        Ok(CorpusSummary {
            files: 1,
            events: if file.repeats { 0 } else { records },
            duplicates: if file.repeats { records } else { 0 },
            json_bytes: file.records.iter().map(|record| record.len() as u64).sum(),
            gzip_bytes: content.len() as u64,
        })
    }
}

impl CorpusSummary {
    fn plus(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            events: self.events + other.events,
            duplicates: self.duplicates + other.duplicates,
            json_bytes: self.json_bytes + other.json_bytes,
            gzip_bytes: self.gzip_bytes + other.gzip_bytes,
        }
    }
}
