//! What callers get when the ledger fails: an error and nothing else, from the failed call on until the engine is opened
//! again; and then the state is what the log says.

use std::sync::Arc;

use keytrail_ledger::{DirStorage, Origin};
use keytrail_testkit::{Fault, FaultyStorage};

use super::bench::{Bench, environment, root_key};
use super::{Config, Engine};
use crate::{CreateKeyRequest, ErrorCode, KmsError};

#[track_caller]
fn assert_told_nothing<T>(answer: Result<T, KmsError>) {
    let refused = answer.err().unwrap();
    assert_eq!((refused.code(), refused.message()), (ErrorCode::KMSInternalException, None));
    assert_eq!(refused.http_status(), 500);
}

#[test]
fn without_a_durable_record_there_is_no_answer() {
    for fault in [Fault::Failed, Fault::FailedButPersisted, Fault::Torn(100)] {
        let bench = Bench::new();
        let key =
            bench.engine.create_key(&bench.root, &CreateKeyRequest::default()).unwrap().key_id;
        bench.storage.fail_next(fault);
        assert!(!bench.engine.is_stopped());
        assert_told_nothing(bench.engine.encrypt(&bench.root, &key, b"x", &[]));
        assert!(bench.engine.is_stopped());
        // Nothing is answered any more, by no operation, though the disk works again.
        assert_told_nothing(bench.engine.describe_key(&bench.root, &key));
        assert_told_nothing(bench.engine.create_key(&bench.root, &CreateKeyRequest::default()));
        assert_told_nothing(bench.engine.call(&bench.root, "NoSuchOperation", b""));
        assert_told_nothing(bench.engine.users(&bench.root));
        assert_eq!(bench.keys_after_reopening(), [key], "{fault:?}");
    }
}

#[test]
fn a_change_that_was_not_answered_is_in_the_state_exactly_if_it_is_in_the_log() {
    for (fault, kept) in [(Fault::Failed, 1), (Fault::Torn(200), 1), (Fault::FailedButPersisted, 2)]
    {
        let bench = Bench::new();
        bench.engine.create_key(&bench.root, &CreateKeyRequest::default()).unwrap();
        bench.storage.fail_next(fault);
        assert_told_nothing(bench.engine.create_key(&bench.root, &CreateKeyRequest::default()));
        assert_eq!(bench.keys_after_reopening().len(), kept, "{fault:?}");
    }
}

/// Rotating on demand is two entries: the call, and the rotation that it makes due. A crash between them must not lose the
/// second, nor do it twice.
#[test]
fn a_rotation_that_was_answered_takes_place_whenever_the_crash_comes() {
    let story = |fault: Option<usize>| {
        let folder = tempfile::tempdir().unwrap();
        let storage = FaultyStorage::new(DirStorage::new(folder.path().join("ledger")));
        let storage = match fault {
            Some(number) => storage.with_fault(number, Fault::KilledBefore),
            None => storage,
        };
        let on = Arc::new(storage.clone());
        let config = Config::for_tests();
        let engine = Engine::create_on(on, folder.path(), config, root_key(), environment());
        let engine = engine.ok().unwrap().0;
        let root = engine.root_caller().unwrap();
        let key = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
        let before = storage.calls().len();
        let named = format!(r#"{{"KeyId": "{key}"}}"#);
        let answered = engine.call(&root, "RotateKeyOnDemand", named.as_bytes()).is_ok();
        (folder, key, answered, before..storage.calls().len())
    };
    let (.., calls) = story(None);
    assert!(calls.len() >= 4, "two entries, each written and synced: {calls:?}");
    for number in calls {
        let (folder, key, answered, _) = story(Some(number));
        let config = Config::for_tests();
        let engine = Engine::open(folder.path(), config, root_key(), environment()).unwrap();
        let root = engine.root_caller().unwrap();
        let all = format!(r#"{{"KeyId": "{key}", "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}}"#);
        let listed = engine.call(&root, "ListKeyRotations", all.as_bytes()).ok().unwrap();
        let materials = listed.matches("KeyMaterialState").count();
        assert!(materials == 2 || (materials == 1 && !answered), "call {number}: {materials}");
    }
}

#[test]
fn a_creation_that_was_cut_short_is_told_from_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let environment = environment();
    let config = Config { origin: Origin::new("test.example/x").unwrap(), ..Config::for_tests() };
    let count = |fault: Option<usize>| {
        let storage = FaultyStorage::new(DirStorage::new(folder.path().join("ledger")));
        let storage = match fault {
            Some(number) => storage.with_fault(number, Fault::KilledBefore),
            None => storage,
        };
        let on = Arc::new(storage.clone());
        let created =
            Engine::create_on(on, folder.path(), config.clone(), root_key(), environment.clone());
        (created.is_ok(), storage.calls().len())
    };
    let (_, calls) = count(None);
    for number in 0..calls {
        std::fs::remove_dir_all(folder.path().join("ledger")).unwrap();
        let (created, _) = count(Some(number));
        let opened = Engine::open(folder.path(), config.clone(), root_key(), environment.clone());
        // What was answered is there; what was not may be there, but then it is whole.
        match opened {
            Ok(engine) => {
                drop(engine.call(&engine.root_caller().unwrap(), "ListKeys", b"{}").ok().unwrap());
            }
            Err(refused) => assert!(!created, "call {number}: {refused}"),
        }
    }
}
