//! Another root key for the same store key, while nobody calls.
//!
//! The order of the steps, and what a crash between them means, is drawn in `store_key`. The change is on record as a service
//! event of our own, because AWS has no word for it: `RewrapStoreKey`, with the place that the new root key comes from. It is
//! recorded after it took place and not before: a record of something that a crash then prevented would be untrue, and an
//! interrupted change that took place is recorded by the next opening. So it is never left out, and in the worst case told
//! twice.

use std::path::Path;

use keytrail_event::{Guid, Json, Record};

use super::Engine;
use super::call::service_event;
use crate::environment::random_bytes;
use crate::store_key::StoreKey;
use crate::{EngineError, RootKey};

impl Engine {
    /// Lets another root key open the data directory, and the old one no more. `file` is where the old one's file lies; the new
    /// one's takes its place.
    ///
    /// Everything else stays as it is: keys, ciphertexts, public keys, access keys. If this is interrupted, the old root key
    /// is in force or the new one: the one that `file` says.
    pub fn rewrap(&self, root_key: &RootKey, file: &Path) -> Result<(), EngineError> {
        self.store_key.admit(&self.data, root_key, &*self.environment.random)?;
        root_key.replace(file)?;
        self.end_rewrap(root_key.source())
    }

    /// What is left of a change of root keys once the new one is in force.
    pub(super) fn end_rewrap(&self, source: &str) -> Result<(), EngineError> {
        let now = self.now();
        let event_id = Guid::from_random(random_bytes(&*self.environment.random));
        let record = Record {
            event_name: "RewrapStoreKey".to_owned(),
            service_event_details: Some(Json::object().with("rootKeySource", source)),
            ..service_event(&self.config.home(), event_id, now)
        };
        let failed = |source| EngineError::ledger(&self.data.join("ledger"), source);
        let state = self.read_state()?;
        let pending = self.enqueue(record.to_json(), Vec::new(), now).map_err(failed)?;
        drop(state);
        pending.wait().map_err(failed)?;
        StoreKey::settle(&self.data)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::sync::Arc;

    use keytrail_ledger::{DirStorage, Reader};
    use keytrail_testkit::{Fault, FaultyStorage, SeededRandom};
    use tempfile::TempDir;

    use super::*;
    use crate::engine::Config;
    use crate::engine::bench::{environment, root_key};
    use crate::passphrase::Stretching;
    use crate::{CreateKeyRequest, RootKeyFile};

    const DIGITS: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";
    const PASSPHRASE: &[u8] = b"correct horse battery";

    /// A data directory with its root key's file, a key, and something encrypted under it.
    struct Bench {
        data: TempDir,
        blob: Vec<u8>,
    }

    impl Bench {
        fn new() -> Self {
            let data = tempfile::tempdir().unwrap();
            let (config, environment) = (Config::for_tests(), environment());
            root_key().save(&data.path().join("root.key")).unwrap();
            let made = Engine::create(data.path(), config, root_key(), environment);
            let engine = made.ok().unwrap().0;
            let root = engine.root_caller().unwrap();
            let key = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
            let blob = engine.encrypt(&root, &key, b"x", &[]).unwrap().ciphertext_blob;
            Self { data, blob }
        }

        fn file(&self) -> std::path::PathBuf {
            self.data.path().join("root.key")
        }

        /// The root key that the file speaks of.
        fn root_key(&self) -> RootKey {
            match RootKeyFile::load(&self.file()).unwrap() {
                RootKeyFile::Key(key) => key,
                RootKeyFile::Passphrase(stretching) => {
                    RootKey::from_passphrase(PASSPHRASE, stretching).unwrap()
                }
                RootKeyFile::Environment => RootKey::from_digits(DIGITS).unwrap(),
            }
        }

        fn open(&self, root_key: RootKey) -> Result<Engine, EngineError> {
            Engine::open(self.data.path(), Config::for_tests(), root_key, environment())
        }

        fn open_on(&self, storage: &FaultyStorage) -> Engine {
            let (on, config) = (Arc::new(storage.clone()), Config::for_tests());
            let root_key = self.root_key();
            Engine::open_on(on, self.data.path(), config, root_key, environment()).unwrap()
        }

        fn storage(&self) -> FaultyStorage {
            FaultyStorage::new(DirStorage::new(self.data.path().join("ledger")))
        }

        /// Opens with what the file speaks of, and finds everything as it was.
        #[track_caller]
        fn check(&self) {
            let engine = self.open(self.root_key()).unwrap();
            let root = engine.root_caller().unwrap();
            let opened = engine.decrypt(&root, &self.blob, &[]).unwrap();
            assert_eq!(opened.plaintext.as_slice(), b"x");
        }

        /// What the ledger says of changes of the root key, as the places that the new ones come from.
        fn on_record(&self) -> Vec<String> {
            let frames = Reader::open(&self.data.path().join("ledger")).unwrap().frames(0);
            let records = frames.map(|frame| String::from_utf8(frame.unwrap().payload).unwrap());
            let changes = records.filter(|record| record.contains(r#""RewrapStoreKey""#));
            let source = |record: String| {
                let (_, rest) = record.split_once(r#""rootKeySource":""#).unwrap();
                rest.split('"').next().unwrap().to_owned()
            };
            changes.map(source).collect()
        }
    }

    fn from_passphrase() -> RootKey {
        let stretching = Stretching::cheap(&SeededRandom::new(3));
        RootKey::from_passphrase(PASSPHRASE, stretching).unwrap()
    }

    #[test]
    fn from_any_source_to_any_other_and_the_old_one_opens_nothing() {
        let bench = Bench::new();
        let new: [fn() -> RootKey; 4] = [
            from_passphrase,
            || RootKey::from_digits(DIGITS).unwrap(),
            || RootKey::generate(&SeededRandom::new(4)),
            || RootKey::generate(&SeededRandom::new(5)),
        ];
        let mut old: Box<dyn Fn() -> RootKey> = Box::new(root_key);
        for new in new {
            let engine = bench.open(old()).unwrap();
            engine.rewrap(&new(), &bench.file()).unwrap();
            engine.close().unwrap();
            let refused = bench.open(old()).err().unwrap();
            assert!(matches!(refused, EngineError::WrongRootKey { .. }));
            bench.check();
            old = Box::new(new);
        }
        assert_eq!(bench.on_record(), ["passphrase", "environment", "file", "file"]);
        let catalog =
            crate::catalog_signing_key(bench.data.path(), &bench.root_key(), &SeededRandom::new(6));
        assert!(catalog.is_ok());
    }

    /// Each step of the table in `store_key`, as a crash behind it leaves the two files.
    #[test]
    fn whenever_it_is_interrupted_the_root_key_of_the_file_opens() {
        for steps in 0..=3 {
            let bench = Bench::new();
            let engine = bench.open(root_key()).unwrap();
            let new = from_passphrase();
            if steps >= 1 {
                let random = &*engine.environment.random;
                engine.store_key.admit(bench.data.path(), &new, random).unwrap();
            }
            if steps >= 2 {
                new.replace(&bench.file()).unwrap();
            }
            drop(engine);
            if steps >= 3 {
                // Opening ends it, and is interrupted as well: behind the record, before the last step.
                let both = std::fs::read(bench.data.path().join("keys/store-key")).unwrap();
                drop(bench.open(bench.root_key()).unwrap());
                std::fs::write(bench.data.path().join("keys/store-key"), both).unwrap();
            }
            bench.check();
            let took_place = steps >= 2;
            assert_eq!(bench.open(root_key()).is_err(), took_place, "after step {steps}");
            let told = bench.on_record().len();
            assert!(
                if took_place { (1..=2).contains(&told) } else { told == 0 },
                "{steps}: {told}"
            );
        }
    }

    /// The ledger fails at each call that writes the record: the new root key is in force by then, and the next opening
    /// records it.
    #[test]
    fn a_change_that_the_ledger_did_not_take_is_recorded_by_the_next_opening() {
        let count = {
            let bench = Bench::new();
            let storage = bench.storage();
            let engine = bench.open_on(&storage);
            let before = storage.calls().len();
            engine.rewrap(&from_passphrase(), &bench.file()).unwrap();
            before..storage.calls().len()
        };
        assert!(count.len() >= 2, "the record is written and synced");
        for number in count {
            let bench = Bench::new();
            let storage = bench.storage().with_fault(number, Fault::KilledBefore);
            let engine = bench.open_on(&storage);
            assert!(engine.rewrap(&from_passphrase(), &bench.file()).is_err());
            drop(engine);
            assert_eq!(bench.root_key().source(), "passphrase");
            bench.check();
            assert!(bench.open(root_key()).is_err());
            assert!(bench.on_record().contains(&"passphrase".to_owned()), "call {number}");
        }
    }

    /// Nothing was replaced, so the old root key stays in force, and it can be tried again.
    #[test]
    fn where_the_file_cannot_be_replaced_nothing_changes() {
        let bench = Bench::new();
        let engine = bench.open(root_key()).unwrap();
        let nowhere = bench.data.path().join("no/such/folder/root.key");
        let refused = engine.rewrap(&from_passphrase(), &nowhere).err().unwrap();
        assert!(matches!(refused, EngineError::File { action: "replace", .. }));
        drop(engine);
        bench.check();
        assert_eq!(bench.root_key().source(), "file");
        let engine = bench.open(root_key()).unwrap();
        engine.rewrap(&RootKey::from_digits(DIGITS).unwrap(), &bench.file()).unwrap();
        drop(engine);
        bench.check();
        assert_eq!(bench.on_record(), ["environment"]);
    }
}
