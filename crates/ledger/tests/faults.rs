//! Every storage call, failing in every way: what is acknowledged stays, what is there verifies.
//!
//! The story behind it: a disk may refuse a call and have done it, refuse it and have done half,
//! or the process may be gone before, after or within it. Whatever happened, the ledger stops, the
//! next opening finds every acknowledged entry and at most the ones in flight besides, and the
//! whole ledger verifies.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keytrail_ledger::{DirStorage, Ledger, LedgerError, Options, Random, Recovery};
use keytrail_testkit::{
    Fault, FaultyStorage, Image, START_NS, SeededRandom, check_ledger, origin, record, scratch,
    signing_key,
};

/// Small segments, so that the story has two rolls.
const OPTIONS: Options = Options { segment_bytes: 700, batch_entries: 4096, batch_bytes: 4 << 20 };

const FAULTS: [Fault; 10] = [
    Fault::Failed,
    Fault::FailedButPersisted,
    Fault::Torn(0),
    Fault::Torn(1),
    Fault::Torn(150),
    Fault::KilledBefore,
    Fault::KilledAfter,
    Fault::KilledAt(0),
    Fault::KilledAt(40),
    Fault::KilledAt(230),
];

/// How far a story came.
#[derive(Debug, PartialEq)]
enum Stage {
    Created,
    Opened,
    Appended,
    Closed,
}

/// Appends until something fails. Returns what was acknowledged.
fn append_all(ledger: &Ledger, storage: &FaultyStorage, label: &str) -> (Vec<String>, bool) {
    let mut acknowledged = Vec::new();
    for number in 0..8 {
        let payload = format!("{label} {number}");
        match ledger.append(record(START_NS, payload.as_str())) {
            Ok(_) => {
                assert!(!ledger.is_stopped());
                acknowledged.push(payload);
            }
            Err(error) => {
                assert!(ledger.is_stopped());
                assert!(matches!(error, LedgerError::Poisoned { .. }), "{error}");
                let calls = storage.calls().len();
                let again = ledger.append(record(START_NS, "after the failure"));
                assert!(matches!(again, Err(LedgerError::Poisoned { .. })));
                assert_eq!(storage.calls().len(), calls, "nothing is tried after a failure");
                return (acknowledged, false);
            }
        }
    }
    (acknowledged, true)
}

/// Creates a ledger, appends, closes; says how far it came and what was acknowledged.
fn first_life(storage: &FaultyStorage) -> (Option<Stage>, Vec<String>) {
    let created = Ledger::create(
        Arc::new(storage.clone()),
        origin(),
        signing_key(),
        Arc::new(SeededRandom::new(1)),
        START_NS,
        OPTIONS,
    );
    let Ok(ledger) = created else { return (None, Vec::new()) };
    rest_of_life(ledger, storage, Stage::Created, "first")
}

fn open(storage: &FaultyStorage) -> Result<(Ledger, Recovery), LedgerError> {
    let random = Arc::new(SeededRandom::new(2));
    Ledger::open(Arc::new(storage.clone()), signing_key(), random, START_NS, OPTIONS)
}

fn second_life(storage: &FaultyStorage) -> (Option<Stage>, Vec<String>) {
    let Ok((ledger, _)) = open(storage) else { return (None, Vec::new()) };
    rest_of_life(ledger, storage, Stage::Opened, "second")
}

fn rest_of_life(
    ledger: Ledger,
    storage: &FaultyStorage,
    begun: Stage,
    label: &str,
) -> (Option<Stage>, Vec<String>) {
    let (acknowledged, all) = append_all(&ledger, storage, label);
    let closed = ledger.close().is_ok();
    assert!(all || !closed, "a stopped ledger does not close well");
    let stage = match (all, closed) {
        (true, true) => Stage::Closed,
        (true, false) => Stage::Appended,
        _ => begun,
    };
    (Some(stage), acknowledged)
}

/// What a ledger has to hold after a story: everything acknowledged, in order, and besides only
/// entries that were in flight.
fn check_after(dir: &Path, acknowledged: &[String], story: &str) {
    let storage = FaultyStorage::new(DirStorage::new(dir));
    let opened = open(&storage);
    let (ledger, _) = opened.unwrap_or_else(|error| panic!("{story}: {error}"));
    ledger.append(record(START_NS, "life goes on")).unwrap();
    let checked = check_ledger(dir, ledger.verifying_key());
    let found: Vec<_> =
        checked.records().iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    let mut found = found.iter();
    for wanted in acknowledged {
        loop {
            let next = found.next().unwrap_or_else(|| panic!("{story}: lost {wanted:?}"));
            if next == wanted {
                break;
            }
            assert!(!acknowledged.iter().any(|other| next == other), "{story}: out of order");
        }
    }
    // One in flight in each of two lives, and the one from just now.
    assert!(found.count() <= 3, "{story}: entries from nowhere");
}

#[test]
fn without_faults_the_stories_end_well() {
    let dir = scratch();
    let storage = FaultyStorage::new(DirStorage::new(dir.path()));
    let (stage, acknowledged) = first_life(&storage);
    assert_eq!((stage, acknowledged.len()), (Some(Stage::Closed), 8));
    check_after(dir.path(), &acknowledged, "no fault");
    let names: std::collections::BTreeSet<_> =
        storage.calls().iter().map(|call| call.name).collect();
    let expected = ["append", "list", "lock", "open", "overwrite", "replace_durably", "sync"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn every_call_of_a_first_life_may_fail_in_every_way() {
    let counting = FaultyStorage::new(DirStorage::new(scratch().path()));
    first_life(&counting);
    let calls = counting.calls();
    for (number, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let story = format!("call {number}, {} {}: {fault:?}", call.name, call.file);
            let dir = scratch();
            let storage = FaultyStorage::new(DirStorage::new(dir.path())).with_fault(number, fault);
            let (stage, acknowledged) = first_life(&storage);
            assert_ne!(stage, Some(Stage::Closed), "{story}: the failure was not noticed");
            if stage.is_some() {
                check_after(dir.path(), &acknowledged, &story);
            } else {
                check_not_created(dir.path(), &story);
            }
        }
    }
}

/// Creating failed: either all of it is there, or opening says that it is not.
fn check_not_created(dir: &Path, story: &str) {
    match open(&FaultyStorage::new(DirStorage::new(dir))) {
        Ok((ledger, _)) => {
            check_ledger(dir, ledger.verifying_key());
        }
        Err(LedgerError::NoCheckpoint) => {}
        Err(LedgerError::Storage { action: "read", file, .. }) if file == "public-key" => {}
        Err(error) => panic!("{story}: {error}"),
    }
}

/// A ledger with a torn tail and a temporary file, as a kill within an append leaves it.
fn wrecked(dir: &Path) -> Vec<String> {
    let storage = FaultyStorage::new(DirStorage::new(dir));
    let ledger = Ledger::create(
        Arc::new(storage.clone()),
        origin(),
        signing_key(),
        Arc::new(SeededRandom::new(1)),
        START_NS,
        OPTIONS,
    )
    .unwrap();
    ledger.append(record(START_NS, "acknowledged")).unwrap();
    storage.fail_next(Fault::KilledAt(77));
    ledger.append(record(START_NS, "torn")).unwrap_err();
    drop(ledger);
    std::fs::write(dir.join("checkpoint.tmp"), "test.exa").unwrap();
    vec!["acknowledged".to_owned()]
}

#[test]
fn every_call_of_a_recovery_may_fail_in_every_way() {
    let dir = scratch();
    let acknowledged = wrecked(dir.path());
    let wreck = Image::read(dir.path());
    let counting = FaultyStorage::new(DirStorage::new(dir.path()));
    let (stage, _) = second_life(&counting);
    assert_eq!(stage, Some(Stage::Closed));
    let names: Vec<_> = counting.calls().iter().map(|call| call.name).collect();
    for name in ["read", "list", "remove", "replace_durably"] {
        assert!(names.contains(&name), "the story has no {name}");
    }
    for (number, call) in counting.calls().iter().enumerate() {
        for fault in FAULTS {
            let story = format!("call {number}, {} {}: {fault:?}", call.name, call.file);
            wreck.write(dir.path());
            let storage = FaultyStorage::new(DirStorage::new(dir.path())).with_fault(number, fault);
            let (stage, second) = second_life(&storage);
            assert_ne!(stage, Some(Stage::Closed), "{story}: the failure was not noticed");
            let acknowledged: Vec<_> = acknowledged.iter().chain(&second).cloned().collect();
            check_after(dir.path(), &acknowledged, &story);
            let kept = Image::read(dir.path());
            let torn: Vec<_> = kept.names_in("quarantine/");
            let bytes = torn.iter().map(|name| kept.files[name].as_slice());
            let batch_of_77 = bytes.filter(|bytes| bytes.len() == 77).count();
            assert_eq!(batch_of_77, 1, "{story}: the torn tail is kept once, {torn:?}");
        }
    }
}

/// Gives salts for the first batches, then panics.
struct Exhausted(AtomicUsize);

impl Random for Exhausted {
    fn fill(&self, buf: &mut [u8]) {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < 2, "no more randomness");
        buf.fill(7);
    }
}

#[test]
fn a_panic_of_whoever_commits_stops_the_ledger_and_leaves_nobody_waiting() {
    let dir = scratch();
    let storage = Arc::new(DirStorage::new(dir.path()));
    let random = Arc::new(Exhausted(AtomicUsize::new(0)));
    let ledger =
        Ledger::create(storage, origin(), signing_key(), random, START_NS, OPTIONS).unwrap();
    ledger.append(record(START_NS, "acknowledged")).unwrap();
    let pending = [0, 1, 2].map(|_| ledger.enqueue(record(START_NS, "lost")).unwrap());
    let ends = std::thread::scope(|scope| {
        let waits = pending.map(|pending| scope.spawn(|| pending.wait()));
        waits.map(std::thread::ScopedJoinHandle::join)
    });
    assert_eq!(ends.iter().filter(|end| end.is_err()).count(), 1, "one of them committed");
    for end in ends.into_iter().flatten() {
        assert!(matches!(end, Err(LedgerError::Poisoned { cause }) if cause.contains("panicked")));
    }
    let refused = ledger.append(record(START_NS, "refused"));
    assert!(matches!(refused, Err(LedgerError::Poisoned { .. })));
    drop(ledger);
    check_after(dir.path(), &["acknowledged".to_owned()], "panic");
}

/// Eight threads append over four lives, each of which ends with a kill somewhere; the seeds choose
/// the call and how much of it happened. Which entries share a batch is up to the scheduler, and
/// whatever it chooses has to be right.
#[test]
fn what_many_threads_were_told_survives_kills_at_any_moment() {
    for seed in 0..12 {
        let random = SeededRandom::new(seed);
        let dir = scratch();
        first_life(&FaultyStorage::new(DirStorage::new(dir.path())));
        let mut told = Vec::new();
        for life in 0..4 {
            let storage = FaultyStorage::new(DirStorage::new(dir.path()));
            let (ledger, _) = open(&storage).unwrap();
            let call = storage.calls().len() + usize::try_from(random.next_u64() % 40).unwrap();
            let part = usize::try_from(random.next_u64() % 1500).unwrap();
            let storage = storage.with_fault(call, Fault::KilledAt(part));
            told.extend(append_from_threads(&ledger, life));
            drop((ledger, storage));
        }
        let storage = FaultyStorage::new(DirStorage::new(dir.path()));
        let (ledger, _) = open(&storage).unwrap();
        let checked = check_ledger(dir.path(), ledger.verifying_key());
        for (sequence, payload) in told {
            let frame = &checked.frames[usize::try_from(sequence).unwrap()];
            assert_eq!(frame.payload, payload.as_bytes(), "seed {seed}: sequence {sequence}");
        }
    }
}

/// Lets threads append until the ledger stops. Returns what was acknowledged, with its sequence.
fn append_from_threads(ledger: &Ledger, life: u32) -> Vec<(u64, String)> {
    std::thread::scope(|scope| {
        let thread = |thread: u32| {
            let append = move |number: u32| {
                let payload = format!("life {life}, thread {thread}, number {number}");
                let receipt = ledger.append(record(START_NS, payload.as_str())).ok()?;
                Some((receipt.sequence, payload))
            };
            scope.spawn(move || (0..100).map_while(append).collect::<Vec<_>>())
        };
        let threads: Vec<_> = (0..8).map(thread).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_failure_while_several_wait_is_told_to_all_of_them() {
    let dir = scratch();
    let storage = FaultyStorage::new(DirStorage::new(dir.path()));
    let ledger = Ledger::create(
        Arc::new(storage.clone()),
        origin(),
        signing_key(),
        Arc::new(SeededRandom::new(1)),
        START_NS,
        OPTIONS,
    )
    .unwrap();
    let pending: Vec<_> =
        (0..50_u8).map(|number| ledger.enqueue(record(0, [number])).unwrap()).collect();
    storage.fail_next(Fault::Failed);
    std::thread::scope(|scope| {
        for pending in pending {
            scope.spawn(|| {
                let error = pending.wait().unwrap_err().to_string();
                assert!(error.contains("planted fault: append segments/0"), "{error}");
            });
        }
    });
}
