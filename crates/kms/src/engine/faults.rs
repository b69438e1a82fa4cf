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
        assert_told_nothing(bench.engine.encrypt(&bench.root, &key, b"x", &[]));
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
