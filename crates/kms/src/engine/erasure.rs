//! Material keys through crashes: whenever the process is gone, the next opening has exactly the keys that the state needs, in
//! memory and in the file. And through disks that take no write: then nobody is told that something was made or erased.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keytrail_event::Timestamp;
use keytrail_ledger::DirStorage;
use keytrail_testkit::{Fault, FaultyStorage, START_NS, SeededRandom};
use tempfile::TempDir;

use super::bench::{Bench, root_key};
use super::{Config, Engine};
use crate::{Clock, CreateKeyRequest, Environment, ErrorCode};

const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Given(AtomicU64);

impl Clock for Given {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(START_NS + self.0.load(Ordering::Relaxed))
    }
}

/// Each engine that opens a directory again has a seed of its own: real ones do not repeat themselves either.
fn environment(clock: &Arc<Given>, seed: u64) -> Environment {
    Environment { clock: Arc::<Given>::clone(clock), random: Arc::new(SeededRandom::new(seed)) }
}

/// What one telling of the story came to.
struct Told {
    folder: TempDir,
    clock: Arc<Given>,
    /// Ids of keys whose creation, and of keys whose deletion, was answered.
    created: Vec<String>,
    deleted: bool,
    storage_calls: usize,
}

/// Two keys are made; one is rotated, and deleted after a week. The process may be gone at one storage call of the ledger:
/// the material keys are written between these calls.
fn tell(fault: Option<(usize, Fault)>) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let storage = FaultyStorage::new(DirStorage::new(folder.path().join("ledger")));
    let storage = match fault {
        Some((number, fault)) => storage.with_fault(number, fault),
        None => storage,
    };
    let clock = Arc::<Given>::default();
    let on = Arc::new(storage.clone());
    let made = Engine::create_on(
        on,
        folder.path(),
        Config::for_tests(),
        root_key(),
        environment(&clock, 1),
    );
    let (mut created, mut deleted) = (Vec::new(), false);
    if let Ok((engine, _)) = made {
        let root = engine.root_caller().unwrap();
        for _ in 0..2 {
            let key = engine.create_key(&root, &CreateKeyRequest::default());
            created.extend(key.map(|key| key.key_id));
        }
        if let Some(key) = created.first() {
            let call = |name: &str, more: &str| {
                engine.call(&root, name, format!(r#"{{"KeyId": "{key}"{more}}}"#).as_bytes())
            };
            let _ = call("RotateKeyOnDemand", "");
            let scheduled = call("ScheduleKeyDeletion", r#", "PendingWindowInDays": 7"#).is_ok();
            clock.0.store(7 * DAY_NS, Ordering::Relaxed);
            deleted = scheduled && engine.call(&root, "ListKeys", b"{}").is_ok();
        }
    }
    let storage_calls = storage.calls().len();
    Told { folder, clock, created, deleted, storage_calls }
}

/// The slots of the file that are not free.
fn slots(data: &Path) -> usize {
    let file = std::fs::read(data.join("keys/materials")).unwrap();
    file.chunks(128).skip(1).filter(|slot| slot.iter().any(|byte| *byte != 0)).count()
}

#[track_caller]
fn check_keys_are_those_of_the_state(engine: &Engine) {
    let state = engine.read_state().unwrap();
    let needed = state.material_keys().map(|(id, _)| id).collect::<HashSet<_>>();
    assert_eq!(needed.len(), state.material_keys().count(), "each material has its own");
    assert_eq!(engine.material_keys.ids(), needed);
    assert_eq!(slots(&engine.data), needed.len());
}

#[test]
fn whenever_the_process_is_gone_the_keys_are_those_of_the_state() {
    let whole = tell(None);
    assert!(whole.deleted && whole.created.len() == 2);
    for number in 0..whole.storage_calls {
        for fault in [Fault::KilledBefore, Fault::KilledAt(200)] {
            let told = tell(Some((number, fault)));
            let environment = environment(&told.clock, 2);
            let opened =
                Engine::open(told.folder.path(), Config::for_tests(), root_key(), environment);
            // It was gone before there was an engine: the directory is made anew.
            let Ok(engine) = opened else {
                assert!(told.created.is_empty(), "call {number}, {fault:?}");
                continue;
            };
            check_keys_are_those_of_the_state(&engine);
            let root = engine.root_caller().unwrap();
            for (place, key) in told.created.iter().enumerate() {
                let usable = engine.encrypt(&root, key, b"x", &[]).is_ok();
                assert!(usable || place == 0, "call {number}, {fault:?}: an answered key is lost");
                assert!(!(usable && told.deleted && place == 0), "call {number}, {fault:?}");
            }
        }
    }
}

/// The frame that deletes a key is durable, and the process gone before its material key is erased: as if an older copy of
/// the file were put back.
#[test]
fn what_a_crash_left_unerased_is_erased_on_opening() {
    let told = tell(None);
    let data = told.folder.path();
    let open = || {
        Engine::open(data, Config::for_tests(), root_key(), environment(&told.clock, 2)).unwrap()
    };
    let engine = open();
    let root = engine.root_caller().unwrap();
    let doomed = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
    let before = std::fs::read(data.join("keys/materials")).unwrap();
    let input = format!(r#"{{"KeyId": "{doomed}", "PendingWindowInDays": 7}}"#);
    engine.call(&root, "ScheduleKeyDeletion", input.as_bytes()).unwrap();
    told.clock.0.store(14 * DAY_NS, Ordering::Relaxed);
    engine.call(&root, "ListKeys", b"{}").unwrap();
    assert_eq!(slots(data), 1);
    drop(engine);
    std::fs::write(data.join("keys/materials"), before).unwrap();
    assert_eq!(slots(data), 2);
    check_keys_are_those_of_the_state(&open());
}

#[test]
fn where_no_material_key_can_be_written_no_key_is_made_and_the_others_work() {
    let bench = Bench::new();
    let (engine, root) = (&bench.engine, &bench.root);
    let key = engine.create_key(root, &CreateKeyRequest::default()).unwrap().key_id;
    engine.material_keys.break_file();
    let refused = engine.create_key(root, &CreateKeyRequest::default()).err().unwrap();
    assert_eq!(refused.code(), ErrorCode::KMSInternalException);
    engine.encrypt(root, &key, b"x", &[]).unwrap();
    assert_eq!(engine.read_state().unwrap().keys.len(), 1);
    assert_eq!(bench.keys_after_reopening(), [key]);
}

/// Nobody is told that material is gone while it lies in the file; and what no write reaches now is erased by the next
/// opening.
#[test]
fn where_nothing_can_be_overwritten_no_deletion_is_answered() {
    let told = tell(None);
    let data = told.folder.path();
    let open = || {
        Engine::open(data, Config::for_tests(), root_key(), environment(&told.clock, 2)).unwrap()
    };
    let engine = open();
    let root = engine.root_caller().unwrap();
    let stays = &told.created[1];
    let input = format!(r#"{{"KeyId": "{stays}", "PendingWindowInDays": 7}}"#);
    engine.call(&root, "ScheduleKeyDeletion", input.as_bytes()).unwrap();
    engine.material_keys.break_file();
    told.clock.0.store(14 * DAY_NS, Ordering::Relaxed);
    let refused = engine.call(&root, "ListKeys", b"{}").err().unwrap();
    assert_eq!(refused.code(), ErrorCode::KMSInternalException);
    assert_eq!(slots(data), 1, "it is still there");
    assert!(engine.encrypt(&root, stays, b"x", &[]).is_err());
    drop(engine);
    let engine = open();
    assert_eq!(slots(data), 0);
    check_keys_are_those_of_the_state(&engine);
}

/// All rotations of a day need their keys at once; they are made in one go, and not one too many.
#[test]
fn many_rotations_at_once_get_a_key_each() {
    let told = tell(None);
    let data = told.folder.path();
    let environment = environment(&told.clock, 2);
    let engine = Engine::open(data, Config::for_tests(), root_key(), environment).unwrap();
    let root = engine.root_caller().unwrap();
    for _ in 0..10 {
        let key = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
        let input = format!(r#"{{"KeyId": "{key}", "RotationPeriodInDays": 90}}"#);
        engine.call(&root, "EnableKeyRotation", input.as_bytes()).unwrap();
    }
    assert_eq!(slots(data), 11);
    told.clock.0.fetch_add(100 * DAY_NS, Ordering::Relaxed);
    engine.call(&root, "ListKeys", b"{}").unwrap();
    assert_eq!(slots(data), 21);
    check_keys_are_those_of_the_state(&engine);
}

/// Keys that come and go under many threads: each has its own slot, and whoever encrypts meanwhile is not disturbed.
#[test]
fn many_threads_make_and_delete_keys_at_once() {
    let told = tell(None);
    let data = told.folder.path();
    let open = || {
        Engine::open(data, Config::for_tests(), root_key(), environment(&told.clock, 2)).unwrap()
    };
    let engine = open();
    let root = engine.root_caller().unwrap();
    let stays = &told.created[1];
    let come_and_go = || {
        for _ in 0..5 {
            let key = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
            engine.encrypt(&root, &key, b"x", &[]).unwrap();
            let input = format!(r#"{{"KeyId": "{key}", "PendingWindowInDays": 7}}"#);
            engine.call(&root, "ScheduleKeyDeletion", input.as_bytes()).unwrap();
            told.clock.0.fetch_add(7 * DAY_NS, Ordering::Relaxed);
            engine.encrypt(&root, stays, b"x", &[]).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(come_and_go);
        }
    });
    engine.call(&root, "ListKeys", b"{}").unwrap();
    assert_eq!(slots(data), 1, "all but one are gone");
    check_keys_are_those_of_the_state(&engine);
    drop(engine);
    check_keys_are_those_of_the_state(&open());
}
