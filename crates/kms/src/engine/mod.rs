//! The engine: one data directory, one ledger, one state; shared by any number of threads.
//!
//! - [`accounts`]: further accounts, and who calls from them.
//! - [`aws_managed`]: the keys that services have, made when they are first asked for.
//! - [`call`]: the audited path that every call takes.
//! - [`changes`]: how a state change is sealed into a ledger frame, and opened again.
//! - [`clock`]: the engine's time, which can be moved forward.
//! - [`copies`]: the records of a call, of which other accounts get copies.
//! - [`due`]: what the passing of time does to keys.
//! - [`policy_check`]: what a call would be told, and why.
//! - [`quotas`]: how much of everything there may be, and how much there is.
//! - [`rewrap`]: another root key.
//! - [`replay`]: the state from the ledger, or from a snapshot and the rest of the ledger.
//! - [`snapshot`]: the sealed state on disk, which only saves time.

mod accounts;
mod aws_managed;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod bench;
mod call;
mod changes;
mod clock;
mod copies;
mod due;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod erasure;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod faults;
mod policy_check;
mod principals;
mod quotas;
mod replay;
mod rewrap;
mod snapshot;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use keytrail_auth::AccessKey;
use keytrail_event::{AccountId, Region};
use keytrail_ledger::{DirStorage, Ledger, Options, Origin, Recovery, Storage};

use crate::material_keys::MaterialKeys;
use crate::names::{KeyArn, Place};
use crate::ops::Service;
use crate::signing_key::{self, Signer};
use crate::state::State;
use crate::store_key::{Field, StoreKey};
use crate::uses::{SharedUses, Uses};
use crate::{EngineError, Environment, RootKey, sts};

pub use policy_check::{Consideration, PolicyAnswer, PolicyQuestion, Source};
pub use quotas::{MaterialUses, Quotas};

/// What a data directory is made for. Account and origin are the same at every opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The account that is there from the beginning.
    pub account: AccountId,
    /// The Regions that keys can be in and calls be made in, each once; the first is that of a caller who says none. There
    /// is at least one. When the data directory is opened again there may be more, and fewer if they have no keys.
    pub regions: Vec<Region>,
    /// The name of the ledger, in its public key and on every checkpoint.
    pub origin: Origin,
}

/// An embedded key engine.
///
/// Every method takes `&self`; calls from many threads share the ledger's group commits. A state change and the records of
/// all calls have one order, which is the ledger's: no call that was answered under an old state comes after the change.
///
/// Dropping it writes a snapshot of the state, so that the next opening has less to replay; [`Engine::close`] does the
/// same and says whether it worked.
pub struct Engine {
    data: PathBuf,
    config: Config,
    store_key: StoreKey,
    material_keys: MaterialKeys,
    environment: Environment,
    recovery: Recovery,
    /// Held shared while a call reads and enqueues its record, alone while one changes and enqueues; never while waiting.
    state: RwLock<State>,
    /// Nanoseconds since 1970 of the earliest deletion or rotation; `u64::MAX` if there is none. Follows `state`, so that
    /// a call need not look through all keys.
    next_due: AtomicU64,
    /// How far the engine's time is ahead of the given clock. Follows `state`, so that telling the time takes no lock.
    clock_offset_seconds: AtomicU64,
    /// Noted by each call while it holds `state`, right after its record is enqueued.
    uses: SharedUses,
    quotas: Quotas,
    /// Records since the last snapshot.
    unsaved: AtomicU64,
    /// Where the ledger ends once all is durable that was enqueued. A ledger that stays shorter has failed, and `state` is
    /// ahead of it: then nobody may see `state` any more, and no snapshot of it may be written.
    expected_size: AtomicU64,
    /// Last, because it is dropped last: its directory stays locked until everything else is done.
    ledger: Ledger,
}

impl Engine {
    /// Creates a data directory's `ledger` and `keys`, and the root user's access key, which is returned once.
    ///
    /// A directory that has a ledger already is refused. If creating is interrupted, remove both folders and begin again.
    pub fn create(
        data: &Path,
        config: Config,
        root_key: RootKey,
        environment: Environment,
    ) -> Result<(Self, AccessKey), EngineError> {
        let storage = Arc::new(DirStorage::new(data.join("ledger")));
        Self::create_on(storage, data, config, root_key, environment)
    }

    /// Opens a data directory: the ledger is checked and, after a crash, repaired; the state is read back from it.
    pub fn open(
        data: &Path,
        config: Config,
        root_key: RootKey,
        environment: Environment,
    ) -> Result<Self, EngineError> {
        let storage = Arc::new(DirStorage::new(data.join("ledger")));
        Self::open_on(storage, data, config, root_key, environment)
    }

    /// The ledger of calls.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether it has stopped, because the ledger failed or an operation panicked while it changed the state: every call is
    /// refused with `KMSInternalException` until the directory is opened again.
    pub fn is_stopped(&self) -> bool {
        self.ledger.is_stopped() || self.state.is_poisoned()
    }

    /// The operation of this name that the KMS API or STS has, be it carried out here or not. A caller may send any name;
    /// this one is safe to be shown.
    pub fn known_operation(name: &str) -> Option<&'static str> {
        let mut services = [Service::Kms, Service::Sts].into_iter();
        services.find_map(|service| service.find(name)).map(|operation| operation.name)
    }

    /// What opening the ledger had to repair.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What the engine was made for.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Writes a snapshot and closes the ledger. [`EngineError::Stopped`] if the ledger failed before: then there is nothing
    /// to be saved, and opening again finds out what is in the log.
    pub fn close(self) -> Result<(), EngineError> {
        self.save_snapshot()
        // Dropping `self` closes the ledger, which has nothing queued any more.
    }

    fn create_on(
        storage: Arc<dyn Storage>,
        data: &Path,
        config: Config,
        root_key: RootKey,
        environment: Environment,
    ) -> Result<(Self, AccessKey), EngineError> {
        config.check_regions()?;
        let path = data.join("ledger");
        if path.join("public-key").exists() {
            let file = "public-key".to_owned();
            return Err(EngineError::ledger(
                &path,
                keytrail_ledger::LedgerError::AlreadyExists { file },
            ));
        }
        create_private(&data.join("keys"))?;
        let random = Arc::clone(&environment.random);
        let store_key = StoreKey::create(data, &root_key, &*random)?;
        drop(root_key);
        let material_keys = MaterialKeys::create(data)?;
        let key = signing_key::make(data, Signer::Ledger, &store_key, &*random)?;
        let now = environment.clock.now().unix_nanos();
        let ledger =
            Ledger::create(storage, config.origin.clone(), key, random, now, Options::default())
                .map_err(|source| EngineError::ledger(&path, source))?;
        let engine = Self {
            data: data.to_owned(),
            config,
            store_key,
            material_keys,
            environment,
            recovery: Recovery::default(),
            state: RwLock::default(),
            clock_offset_seconds: AtomicU64::new(0),
            uses: SharedUses::new(Uses::default(), Quotas::default().material_encryptions),
            quotas: Quotas::default(),
            next_due: AtomicU64::new(u64::MAX),
            unsaved: AtomicU64::new(0),
            expected_size: AtomicU64::new(0),
            ledger,
        };
        let access_key = engine.found()?;
        Ok((engine, access_key))
    }

    fn open_on(
        storage: Arc<dyn Storage>,
        data: &Path,
        config: Config,
        root_key: RootKey,
        environment: Environment,
    ) -> Result<Self, EngineError> {
        config.check_regions()?;
        let path = data.join("ledger");
        let (store_key, opened) = StoreKey::load(data, &root_key)?;
        let key = signing_key::load(data, Signer::Ledger, &store_key)?;
        // The offset of the clock is not known yet; the ledger raises a time that is too early to the one before.
        let now = environment.clock.now().unix_nanos();
        let random = Arc::clone(&environment.random);
        let (ledger, recovery) = Ledger::open(storage, key, random, now, Options::default())
            .map_err(|source| EngineError::ledger(&path, source))?;
        check_same("origin", ledger.origin().as_str(), config.origin.as_str())?;
        let replayed = replay::state_of(data, &config, &store_key)?;
        let founded = replayed.state.founded.as_ref().ok_or(EngineError::Unfinished)?;
        check_same("account", founded.account.as_str(), config.account.as_str())?;
        check_no_region_is_missing(&replayed.state, &config)?;
        // Last of all, because it erases what the state does not need: by now it is known to be the right one.
        let material_keys = MaterialKeys::load(data, &store_key)?
            .settle(replayed.state.material_keys(), ledger.size())?;
        let engine = Self {
            data: data.to_owned(),
            config,
            store_key,
            material_keys,
            environment,
            recovery,
            clock_offset_seconds: AtomicU64::new(replayed.state.clock_offset_seconds),
            state: RwLock::new(replayed.state),
            uses: SharedUses::new(replayed.uses, Quotas::default().material_encryptions),
            quotas: Quotas::default(),
            next_due: AtomicU64::new(u64::MAX),
            unsaved: AtomicU64::new(replayed.frames),
            expected_size: AtomicU64::new(0),
            ledger,
        };
        engine.note_next_due(&*engine.read_state()?);
        if opened == Field::Second {
            engine.end_rewrap(root_key.source())?;
        }
        drop(root_key);
        engine.do_what_is_due(engine.now()).map_err(|_| EngineError::Stopped)?;
        Ok(engine)
    }

    /// The state as it is, for a moment.
    fn read_state(&self) -> Result<RwLockReadGuard<'_, State>, EngineError> {
        self.state.read().map_err(|_| EngineError::Stopped)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Only saves time at the next opening; who wants to know calls `close`.
        let _ = self.save_snapshot();
    }
}

fn check_same(what: &'static str, found: &str, configured: &str) -> Result<(), EngineError> {
    if found == configured {
        return Ok(());
    }
    let (found, configured) = (found.to_owned(), configured.to_owned());
    Err(EngineError::OtherConfiguration { what, found, configured })
}

/// A key whose Region is not configured could not be reached, and yet would rotate and be deleted.
fn check_no_region_is_missing(state: &State, config: &Config) -> Result<(), EngineError> {
    let places = state.keys.keys().map(KeyArn::place);
    let missing = places.map(Place::region).find(|region| !config.regions.contains(region));
    missing.map_or(Ok(()), |region| {
        Err(EngineError::Region { detail: format!("{region} has keys, and is not configured") })
    })
}

/// Makes a folder that only its owner can enter: what lies in it is sealed, but nobody else's business.
fn create_private(folder: &Path) -> Result<(), EngineError> {
    let failed = |source| EngineError::io("create", folder, source);
    fs::create_dir_all(folder).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

impl Config {
    /// The Region of a caller who says none.
    pub(crate) fn default_region(&self) -> &Region {
        self.regions.first().expect("an engine is made with at least one Region")
    }

    /// The first account in the first Region.
    pub(crate) fn home(&self) -> Place {
        Place::new(self.account.clone(), self.default_region().clone())
    }

    /// The Regions that STS is asked in: the engine's own, and that of its global endpoint.
    ///
    /// # Panics
    /// Never: the global endpoint's Region is a constant.
    pub fn sts_regions(&self) -> Vec<Region> {
        let global = Region::parse(sts::REGION).expect("the constant is a Region");
        let missing = (!self.regions.contains(&global)).then_some(global);
        self.regions.iter().cloned().chain(missing).collect()
    }

    fn check_regions(&self) -> Result<(), EngineError> {
        let wrong = |detail: String| Err(EngineError::Region { detail });
        if self.regions.is_empty() {
            return wrong("there must be at least one Region".to_owned());
        }
        let twice = |(place, region): &(usize, &Region)| self.regions[..*place].contains(region);
        match self.regions.iter().enumerate().find(twice) {
            Some((_, region)) => wrong(format!("{region} is configured twice")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl Config {
    pub(crate) fn for_tests() -> Self {
        Self {
            account: AccountId::parse("111122223333").expect("twelve digits"),
            regions: ["us-east-1", "eu-west-1"].map(|it| it.parse().expect("a region")).to_vec(),
            origin: Origin::new("test.example/keytrail").expect("an origin"),
        }
    }
}
