//! The company whose log the corpus is: accounts, the keys in each region, the principals, and who
//! works with which key.
//!
//! The world is drawn once from the seed and never changes: a key that is disabled is so for the
//! whole corpus, and each use of it fails. Identifiers look like AWS's: all unique ids of an
//! account share eight characters, as real ones do. Addresses that would be public come from the
//! ranges reserved for documentation (RFC 5737).

use keytrail_event::{AccountId, Arn, Guid, Region};

use super::CorpusOptions;
use super::principals::{Principal, PrincipalKind, principals};
use super::random::{Random, Weighted};

/// Everything that calls can be about.
#[derive(Debug)]
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    /// Which account calls: the first one does most.
    pub(super) busiest: Weighted,
}

/// One account of the company.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    /// The eight characters that this account's unique ids have in common.
    pub(super) tag: String,
    pub(super) principals: Vec<Principal>,
    /// Which principal calls.
    pub(super) busiest: Weighted,
    /// The principals that are no workloads, by index.
    pub(super) people: Vec<usize>,
    /// One place for each region, in the order of the options.
    pub(super) places: Vec<Place>,
}

/// One account's share of one region.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) region: Region,
    pub(super) keys: Vec<Key>,
    /// Which key is in use.
    pub(super) busiest: Weighted,
    /// The keys that cannot be used, by index.
    pub(super) troubled: Vec<usize>,
    /// The interface endpoint that workloads in a VPC reach KMS through.
    pub(super) vpc_endpoint: String,
}

/// A KMS key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) owner: AccountId,
    /// `alias/…`
    pub(super) alias: String,
    /// What callers write as `keyId`: the id, the alias name, or either ARN.
    pub(super) spoken: String,
    pub(super) purpose: Purpose,
    pub(super) state: KeyState,
    /// Name of the thing that it protects: a bucket, a table, an application.
    pub(super) subject: String,
    /// 64 hexadecimal characters, as `additionalEventData.keyMaterialId` has since 2025.
    pub(super) material_id: String,
}

/// What a key is for, which decides who calls with what encryption context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Bucket,
    Volume,
    Secret,
    Parameter,
    Table,
    Queue,
    Function,
    Application,
    Signing,
    Mac,
}

/// Whether a key can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
}

/// The purposes of the first sixteen keys of a place, busiest first; the next sixteen repeat them.
const PURPOSES: [Purpose; 16] = [
    Purpose::Bucket,
    Purpose::Secret,
    Purpose::Table,
    Purpose::Application,
    Purpose::Parameter,
    Purpose::Bucket,
    Purpose::Signing,
    Purpose::Queue,
    Purpose::Volume,
    Purpose::Application,
    Purpose::Mac,
    Purpose::Application,
    Purpose::Secret,
    Purpose::Function,
    Purpose::Bucket,
    Purpose::Volume,
];

/// What the company's software is called.
pub(super) const SYSTEMS: [&str; 18] = [
    "payments",
    "orders",
    "ledger",
    "identity",
    "checkout",
    "billing",
    "reports",
    "search",
    "catalog",
    "shipping",
    "fraud",
    "analytics",
    "mail",
    "media",
    "profiles",
    "pricing",
    "inventory",
    "support",
];

/// Its stages; production is the busiest.
const STAGES: [&str; 4] = ["prod", "prod", "staging", "dev"];

impl World {
    /// The world for options that have been checked.
    pub(super) fn new(options: &CorpusOptions) -> Self {
        let random = Random::new(options.seed).fork(u64::from_be_bytes(*b"theworld"));
        let (accounts, regions) = (options.accounts.len(), options.regions.len());
        let places =
            (0..accounts * regions).map(|place| (place / regions + 1) * (place % regions + 1));
        let keys = spread(options.keys, &places.collect::<Vec<_>>());
        let people = spread(options.principals, &(1..=accounts).collect::<Vec<_>>());
        let account = |index: usize| {
            let keys = &keys[index * regions..(index + 1) * regions];
            let mut random = random.fork(index as u64);
            Account::new(
                &options.accounts[index],
                &options.regions,
                keys,
                people[index],
                &mut random,
            )
        };
        Self { accounts: (0..accounts).map(account).collect(), busiest: Weighted::zipf(accounts) }
    }
}

impl Account {
    fn new(
        id: &AccountId,
        regions: &[Region],
        keys: &[usize],
        people: usize,
        random: &mut Random,
    ) -> Self {
        let tag = unique_id("", 8, random);
        let places: Vec<Place> = regions
            .iter()
            .zip(keys)
            .map(|(region, &keys)| Place::new(id, region, keys, random))
            .collect();
        let principals = principals(people, &tag, &places, random);
        let is_person = |&rank: &usize| principals[rank].kind != PrincipalKind::Workload;
        Self {
            id: id.clone(),
            tag,
            busiest: Weighted::zipf(people),
            people: (0..people).filter(is_person).collect(),
            principals,
            places,
        }
    }
}

impl Place {
    fn new(account: &AccountId, region: &Region, keys: usize, random: &mut Random) -> Self {
        let keys: Vec<Key> =
            (0..keys).map(|rank| Key::new(account, region, rank, random)).collect();
        let troubled =
            (0..keys.len()).filter(|&index| keys[index].state != KeyState::Enabled).collect();
        Self {
            region: region.clone(),
            busiest: Weighted::zipf(keys.len()),
            keys,
            troubled,
            vpc_endpoint: format!("vpce-{}", hex(17, random)),
        }
    }

    /// A key that can be used, the busy ones more often.
    pub(super) fn usable_key(&self, random: &mut Random) -> usize {
        let drawn = self.busiest.draw(random);
        // The first key of a place is always enabled.
        if self.keys[drawn].state == KeyState::Enabled { drawn } else { 0 }
    }
}

impl Key {
    /// The key ranked `rank` by use in its place.
    fn new(account: &AccountId, region: &Region, rank: usize, random: &mut Random) -> Self {
        let id = Guid::from_random(random.bytes16()).to_string();
        let purpose = PURPOSES[rank % PURPOSES.len()];
        let (stage, system) = (random.pick(&STAGES), random.pick(&SYSTEMS));
        let alias = format!("alias/{stage}/{system}-{}-{rank}", purpose.noun());
        let arn = Arn::kms_key(region, account, &id).to_string();
        let spoken = match random.below(4) {
            0 => id.clone(),
            1 => alias.clone(),
            2 => Arn::kms_alias(region, account, &alias).to_string(),
            _ => arn.clone(),
        };
        // The busy keys work. Of the others a few do not, spread so that a place with ten keys
        // already has one.
        let state = match rank {
            0..5 => KeyState::Enabled,
            _ if rank % 11 == 7 => KeyState::Disabled,
            _ if rank % 13 == 9 => KeyState::PendingDeletion,
            _ => KeyState::Enabled,
        };
        let subject = format!("{stage}-{system}-{}", hex(6, random));
        let material_id = hex(64, random);
        Self {
            id,
            arn,
            owner: account.clone(),
            alias,
            spoken,
            purpose,
            state,
            subject,
            material_id,
        }
    }
}

impl Purpose {
    /// The word for it in an alias.
    fn noun(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Volume => "volumes",
            Self::Secret => "secrets",
            Self::Parameter => "parameters",
            Self::Table => "table",
            Self::Queue => "queue",
            Self::Function => "lambda",
            Self::Application => "envelope",
            Self::Signing => "signing",
            Self::Mac => "mac",
        }
    }

    /// Whether such a key encrypts under the algorithm `SYMMETRIC_DEFAULT`.
    pub(super) fn is_symmetric(self) -> bool {
        !matches!(self, Self::Signing | Self::Mac)
    }
}

/// Spreads `total` things over places with the given ranks (1 is the greatest), each place getting
/// at least one.
fn spread(total: usize, ranks: &[usize]) -> Vec<usize> {
    let weights = Weighted::new(ranks.iter().map(|&rank| 1_000_000 / rank as u64));
    let rest = (total - ranks.len()) as u64;
    let before = |sum: u64| {
        let share = u128::from(rest) * u128::from(sum) / u128::from(weights.total());
        usize::try_from(share).expect("a share of a usize")
    };
    let count = |place| {
        let (from, to) = weights.range(place);
        1 + before(to) - before(from)
    };
    (0..ranks.len()).map(count).collect()
}

/// An id of AWS's making: a prefix (`AROA`) and then letters and digits of base 32.
pub(super) fn unique_id(prefix: &str, length: usize, random: &mut Random) -> String {
    text(prefix, length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", random)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(length: usize, random: &mut Random) -> String {
    text("", length, b"0123456789abcdef", random)
}

/// `length` characters drawn from an alphabet whose length is a power of two.
fn text(prefix: &str, length: usize, alphabet: &[u8], random: &mut Random) -> String {
    let (bits, mask) = (alphabet.len().trailing_zeros(), alphabet.len() as u64 - 1);
    let mut out = String::with_capacity(prefix.len() + length);
    out.push_str(prefix);
    let mut pool = 0;
    for position in 0..length {
        // A pool of 64 bits serves twelve characters of five bits.
        if position % 12 == 0 {
            pool = random.next();
        }
        let index = usize::try_from(pool & mask).expect("less than the alphabet's length");
        out.push(alphabet[index].into());
        pool >>= bits;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreading_is_exact_and_leaves_nobody_out() {
        assert_eq!(spread(3, &[1, 2, 3]), [1, 1, 1]);
        for total in [4, 10, 1000, 12_345] {
            let counts = spread(total, &[1, 2, 2, 4]);
            assert_eq!(counts.iter().sum::<usize>(), total);
            assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
        }
    }

    #[test]
    fn a_world_has_exactly_the_keys_and_principals_asked_for() {
        let options = CorpusOptions { keys: 37, principals: 11, ..CorpusOptions::new(1) };
        let world = World::new(&options);
        let places = || world.accounts.iter().flat_map(|account| &account.places);
        assert_eq!(places().map(|place| place.keys.len()).sum::<usize>(), 37);
        assert_eq!(
            world.accounts.iter().map(|account| account.principals.len()).sum::<usize>(),
            11
        );
        assert!(places().all(|place| place.keys[0].state == KeyState::Enabled));
        assert!(places().any(|place| !place.troubled.is_empty()));
    }

    #[test]
    fn ids_look_like_ids() {
        let mut random = Random::new(3);
        let id = unique_id("AROA", 16, &mut random);
        assert!(id.starts_with("AROA") && id.len() == 20, "{id}");
        assert!(hex(64, &mut random).bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
