//! One batch of events, mixed and packed into files: the pure function that the threads run.

use keytrail_event::{AccountId, Record};

use super::Mix;
use super::draft::Scene;
use super::failures::{failure, refused_for_state};
use super::management::{
    change, cross_account_copies, foreign_call, metadata_read, service_call, service_event,
};
use super::other_services::other_service;
use super::plan::{Batch, GRID_SECONDS, event_time};
use super::principals::Caller;
use super::random::Random;
use super::usage::{Operation, usage};
use super::world::World;

/// The records that one account gets in one file.
#[derive(Debug, Default)]
pub(super) struct FileRecords {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct File {
    /// The index of the account.
    pub(super) account: usize,
    pub(super) delivery_seconds: u64,
    pub(super) unique: [u8; 16],
    pub(super) records: FileRecords,
    /// Whether all its records were delivered before.
    pub(super) repeats: bool,
}

/// Shares of the kinds of events in ten thousandths; what is left are keys at work.
#[derive(Debug)]
struct Shares {
    other_services: u64,
    failures: u64,
    metadata_reads: u64,
    service_calls: u64,
    /// Half of them with a partner outside, half between our accounts, which makes two records.
    across_accounts: u64,
    changes: u64,
    service_events: u64,
    root: u64,
}

impl Mix {
    fn shares(self) -> &'static Shares {
        match self {
            Self::Real => &Shares {
                other_services: 1000,
                failures: 180,
                metadata_reads: 420,
                service_calls: 500,
                across_accounts: 110,
                changes: 30,
                service_events: 8,
                root: 6,
            },
            Self::Varied => &Shares {
                other_services: 2000,
                failures: 1200,
                metadata_reads: 700,
                service_calls: 400,
                across_accounts: 500,
                changes: 800,
                service_events: 250,
                root: 150,
            },
        }
    }
}

/// The account outside the company that uses some of its keys.
const PARTNER: &str = "999988887777";

/// Makes the files of a batch: for each account that has events one, and one more if some are
/// delivered twice.
pub(super) fn files(world: &World, mix: Mix, batch: &Batch, random: &Random) -> Vec<File> {
    let mut random = random.fork(batch.number);
    let mut maker = Maker {
        world,
        batch,
        shares: mix.shares(),
        partner: AccountId::parse(PARTNER).expect("twelve digits"),
        records: world.accounts.iter().map(|_| FileRecords::default()).collect(),
    };
    let mut made = 0;
    while made < batch.events {
        made += maker.make(made, &mut random);
    }
    let twice = repeats(&maker.records, batch.duplicates);
    let first = maker.records.into_iter().map(|records| (records, false));
    let again = twice.into_iter().map(|records| (records, true));
    let accounts = (0..world.accounts.len()).cycle();
    let mut file = |(account, (records, repeats)): (usize, (FileRecords, bool))| File {
        account,
        // A second delivery comes later.
        delivery_seconds: batch.delivery_seconds + if repeats { 3 * GRID_SECONDS } else { 0 },
        unique: random.bytes16(),
        records,
        repeats,
    };
    accounts
        .zip(first.chain(again))
        .map(&mut file)
        .filter(|file| !file.records.ends.is_empty())
        .collect()
}

/// The first `count` records of a batch over all accounts, by account.
fn repeats(records: &[FileRecords], count: u64) -> Vec<FileRecords> {
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    let mut repeat = |records: &FileRecords| {
        let mut again = FileRecords::default();
        records.iter().take(left).for_each(|record| again.push(record));
        left -= again.ends.len();
        again
    };
    records.iter().map(&mut repeat).collect()
}

struct Maker<'w> {
    world: &'w World,
    batch: &'w Batch,
    shares: &'static Shares,
    partner: AccountId,
    /// One entry for each account.
    records: Vec<FileRecords>,
}

impl Maker<'_> {
    /// Makes the next event, or the next two if it is a call whose two copies are both ours; says
    /// how many.
    fn make(&mut self, made: u64, random: &mut Random) -> u64 {
        let batch = self.batch;
        let account_index = self.world.busiest.draw(random);
        let account = &self.world.accounts[account_index];
        let scene = Scene {
            world: self.world,
            account,
            place: &account.places[batch.region],
            region: batch.region,
            time: event_time(batch, self.age(made, random)),
        };
        let two_are_left = made + 2 <= batch.events;
        let other_account = (account_index + 1) % self.world.accounts.len();
        if two_are_left
            && other_account != account_index
            && random.happens(self.shares.across_accounts, 20_000)
        {
            let (ours, theirs) = cross_account_copies(&scene, other_account, random);
            self.push(account_index, &ours);
            self.push(other_account, &theirs);
            return 2;
        }
        let record = self.single(&scene, random);
        self.push(account_index, &record);
        1
    }

    fn single(&self, scene: &Scene<'_>, random: &mut Random) -> Record {
        let shares = self.shares;
        let mut roll = random.below(10_000);
        // Whether the roll falls into the next share of the mix.
        let mut is = |share: u64| {
            let hit = roll < share;
            roll = roll.wrapping_sub(share);
            hit
        };
        if is(shares.other_services) {
            other_service(scene, random)
        } else if is(shares.failures) {
            failure(scene, random)
        } else if is(shares.metadata_reads) {
            // Half of them are people who look, half are dashboards and tools.
            let caller =
                if random.happens(1, 2) { scene.person(random) } else { scene.somebody(random).1 };
            metadata_read(scene, caller, random)
        } else if is(shares.service_calls) {
            service_call(scene, random)
        } else if is(shares.across_accounts / 2) {
            foreign_call(scene, &self.partner, random)
        } else if is(shares.changes) {
            change(scene, random)
        } else if is(shares.service_events) {
            service_event(scene, random)
        } else if is(shares.root) {
            metadata_read(scene, Caller::root(scene.account, random), random)
        } else {
            work(scene, random)
        }
    }

    /// How old the event is at delivery, as a quantile in thousandths: the first made are the
    /// oldest, more or less, so that a file is nearly sorted by time, but not quite.
    fn age(&self, made: u64, random: &mut Random) -> u64 {
        let position = made * 1000 / self.batch.events;
        (1000 - position).saturating_sub(random.below(120))
    }

    fn push(&mut self, account: usize, record: &Record) {
        self.records[account].push(record.to_json().as_bytes());
    }
}

/// A principal uses one of its keys.
fn work(scene: &Scene<'_>, random: &mut Random) -> Record {
    let (rank, caller) = scene.somebody(random);
    let index = scene.account.principals[rank].key(scene.region, scene.place, random);
    let key = &scene.place.keys[index];
    let operation = Operation::draw(key.purpose, random);
    refused_for_state(usage(scene, caller, key, operation, random), key)
}

impl FileRecords {
    fn push(&mut self, record: &[u8]) {
        self.text.extend_from_slice(record);
        self.ends.push(self.text.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }
}
