//! Two thousand flipped bits in the ledger and five hundred in the lake: verification says no to every one.
//!
//! A verifier is worth what it refuses. Each test builds real files through the engine and the ingester, flips one bit at a
//! random place (from a fixed seed), asks for the verdict, and puts the bit back. Bytes that do not count would be listed in
//! [`BYTES_THAT_DO_NOT_COUNT`]; there are none.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_event::{AccountId, Region, Timestamp};
use keytrail_kms::{Config, Engine, Environment, RootKey};
use keytrail_lake::{IngestOptions, Lake, Source};
use keytrail_ledger::{Origin, Random as _, Report, VerifyingKey};
use keytrail_query::{LakeCheck, LedgerCheck, verify_lake};
use keytrail_testkit::{SeededRandom, SteppingClock};
use tempfile::TempDir;

/// Files (by their name's end) whose bytes no verdict depends on, each with its reason. The writer's lock is empty and
/// stays empty, so it has no bits to flip; everything else counts.
const BYTES_THAT_DO_NOT_COUNT: &[&str] = &["writer.lock"];

const LEDGER_FLIPS: u64 = 2_000;
const LAKE_FLIPS: u64 = 500;

/// A data directory with some dozens of records in its ledger, all of them in the lake.
struct Data {
    folder: TempDir,
    ledger_key: VerifyingKey,
    catalog_key: VerifyingKey,
}

impl Data {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let random = Arc::new(SeededRandom::new(7));
        let clock = Arc::new(SteppingClock::new("2026-01-02T03:04:05Z", 1));
        let environment = Environment { clock, random: Arc::clone(&random) as _ };
        let config = Config {
            account: AccountId::parse("111122223333").unwrap(),
            regions: vec![Region::parse("eu-central-1").unwrap()],
            origin: Origin::new("example.org/keys").unwrap(),
        };
        let root_key = || RootKey::from_digits(&"7".repeat(64)).unwrap();
        let (engine, _) = Engine::create(folder.path(), config, root_key(), environment).unwrap();
        let ledger_key = engine.ledger().verifying_key().clone();
        let caller = engine.root_caller().unwrap();
        for number in 0..8 {
            let input = format!(r#"{{"Description":"key {number}"}}"#);
            let key = engine.call(&caller, "CreateKey", input.as_bytes()).unwrap();
            let key: serde_json::Value = serde_json::from_str(key.json()).unwrap();
            let id = &key["KeyMetadata"]["KeyId"];
            for _ in 0..5 {
                let input = format!(r#"{{"KeyId":{id},"Plaintext":"aGVsbG8="}}"#);
                engine.call(&caller, "Encrypt", input.as_bytes()).unwrap();
            }
            assert!(engine.call(&caller, "Encrypt", br#"{"KeyId":"alias/none"}"#).is_err());
        }
        drop(engine);

        let now = Timestamp::parse_event_time("2026-01-02T04:00:00Z").unwrap();
        let origin = Origin::new("example.org/keys/catalog").unwrap();
        let lake = folder.path().join("lake");
        let clock = Arc::new(move || now);
        let catalog = keytrail_kms::catalog_signing_key(folder.path(), &root_key(), &*random);
        let mut lake = Lake::open(&lake, &origin, catalog.unwrap(), random, clock).unwrap();
        let source = Source::Ledger(folder.path().join("ledger"));
        lake.ingest(&[source], &IngestOptions::default(), &()).unwrap();
        lake.close().unwrap();
        let catalog_key =
            fs::read_to_string(folder.path().join("lake/catalog/public-key")).unwrap();
        let catalog_key = VerifyingKey::parse(catalog_key.trim_end()).unwrap();
        Self { folder, ledger_key, catalog_key }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn verify_ledger(&self) -> Report {
        keytrail_ledger::verify(&self.ledger(), &self.ledger_key)
    }

    fn verify_lake(&self) -> Report {
        let ledger = self.ledger();
        let ledger = Some(LedgerCheck { dir: &ledger, key: &self.ledger_key });
        let catalog_key = Some(&self.catalog_key);
        verify_lake(
            &self.lake(),
            &LakeCheck { catalog_key, ledger, threads: 1, progress: &|_, _| () },
        )
    }
}

/// All files below `folder` that have bytes which count.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !BYTES_THAT_DO_NOT_COUNT.iter().any(|end| path.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Flips `flips` bits below `folder`, one at a time, each file getting its share by size and none less than a few.
fn check_every_flip_is_seen(folder: &Path, flips: u64, verify: &dyn Fn() -> Report) {
    let report = verify();
    assert!(report.is_ok(), "untouched files must verify: {report}");
    let random = SeededRandom::new(2026);
    let number_below = |bound: u64| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_be_bytes(bytes) % bound
    };
    let files = files(folder);
    let total: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    for flip in 0..flips {
        // Half of the flips hit a file at random, so that small files get theirs; half hit a byte at random.
        let (file, offset) = if flip % 2 == 0 {
            let file = &files[usize::try_from(number_below(files.len() as u64)).unwrap()];
            (file, number_below(file.metadata().unwrap().len()))
        } else {
            byte_at(&files, number_below(total))
        };
        let original = fs::read(file).unwrap();
        let mut flipped = original.clone();
        let bit = number_below(8);
        flipped[usize::try_from(offset).unwrap()] ^= 1 << bit;
        fs::write(file, &flipped).unwrap();
        let report = verify();
        assert!(!report.is_ok(), "{}: bit {bit} of byte {offset} is not seen", file.display());
        fs::write(file, &original).unwrap();
    }
    let report = verify();
    assert!(report.is_ok(), "the files were put back: {report}");
}

fn byte_at(files: &[PathBuf], mut offset: u64) -> (&PathBuf, u64) {
    for file in files {
        let length = file.metadata().unwrap().len();
        if offset < length {
            return (file, offset);
        }
        offset -= length;
    }
    unreachable!("the offset is below the sum of all lengths")
}

#[test]
fn every_flipped_bit_of_the_ledger_is_seen() {
    let data = Data::new();
    check_every_flip_is_seen(&data.ledger(), LEDGER_FLIPS, &|| data.verify_ledger());
}

#[test]
fn every_flipped_bit_of_the_lake_is_seen() {
    let data = Data::new();
    check_every_flip_is_seen(&data.lake(), LAKE_FLIPS, &|| data.verify_lake());
}

#[test]
fn somebody_elses_key_verifies_nothing() {
    let data = Data::new();
    let report = keytrail_ledger::verify(&data.ledger(), &data.catalog_key);
    assert!(!report.is_ok());
    let catalog_key = Some(&data.ledger_key);
    let check = LakeCheck { catalog_key, ledger: None, threads: 1, progress: &|_, _| () };
    let report = verify_lake(&data.lake(), &check);
    assert!(!report.is_ok());
}
