//! What the unit tests of the engine begin with.

use std::sync::Arc;

use keytrail_event::Timestamp;
use keytrail_ledger::DirStorage;
use keytrail_testkit::{FaultyStorage, START_NS, SeededRandom};
use tempfile::TempDir;

use super::{Config, Engine};
use crate::{Caller, Clock, Environment, RootKey};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(START_NS)
    }
}

/// An engine in a temporary directory, on a storage that can be made to fail.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) storage: FaultyStorage,
    pub(super) environment: Environment,
    pub(super) engine: Engine,
    pub(super) root: Caller,
}

/// A stopped clock, and randomness from a seed.
pub(super) fn environment() -> Environment {
    Environment { clock: Arc::new(Stopped), random: Arc::new(SeededRandom::new(1)) }
}

/// The same root key each time.
pub(super) fn root_key() -> RootKey {
    RootKey::generate(&SeededRandom::new(9))
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = FaultyStorage::new(DirStorage::new(folder.path().join("ledger")));
        let environment = environment();
        let on = Arc::new(storage.clone());
        let created = Engine::create_on(
            on,
            folder.path(),
            Config::for_tests(),
            root_key(),
            environment.clone(),
        );
        let engine = created.ok().unwrap().0;
        let root = engine.root_caller().unwrap();
        Self { folder, storage, environment, engine, root }
    }

    /// Drops the engine and opens the directory without faults; gives back the ids of its keys.
    pub(super) fn keys_after_reopening(self) -> Vec<String> {
        let Self { folder, environment, engine, root, .. } = self;
        drop(engine);
        let engine =
            Engine::open(folder.path(), Config::for_tests(), root_key(), environment).unwrap();
        let answer = engine.call(&root, "ListKeys", b"{}").ok().unwrap();
        let listed: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let ids = listed["Keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["KeyId"].as_str().unwrap().to_owned());
        ids.collect()
    }
}
