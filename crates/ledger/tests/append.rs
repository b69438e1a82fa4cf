//! Appending: order, receipts, batches, limits, segments, reopening.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use keytrail_ledger::{
    Append, Checkpoint, DirStorage, EntryKind, Hash, Ledger, LedgerError, Options, Origin, Reader,
    Recovery, SigningKey,
};
use keytrail_testkit::{
    Call, FaultyStorage, Image, START_NS, SeededRandom, Ticks, check_ledger, origin, record,
    scratch, signing_key,
};

fn create(dir: &Path, options: Options) -> Ledger {
    create_on(Arc::new(FaultyStorage::new(DirStorage::new(dir))), options)
}

fn create_on(storage: Arc<FaultyStorage>, options: Options) -> Ledger {
    let random = Arc::new(SeededRandom::new(1));
    Ledger::create(storage, origin(), signing_key(), random, START_NS, options).unwrap()
}

fn open_with(dir: &Path, key: SigningKey) -> Result<(Ledger, Recovery), LedgerError> {
    let storage = Arc::new(DirStorage::new(dir));
    let random = Arc::new(SeededRandom::new(2));
    Ledger::open(storage, key, random, START_NS, Options::default())
}

#[test]
fn a_ledger_keeps_what_it_acknowledged_over_reopening() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    let key = ledger.verifying_key().clone();
    let mut times = Ticks::default();
    for (text, sequence) in [("one", 1), ("two", 2)] {
        let receipt = ledger.append(record(times.next().unwrap(), text)).unwrap();
        assert_eq!(receipt.sequence, sequence);
    }
    assert_eq!(check_ledger(dir.path(), &key).records(), [b"one", b"two"]);
    ledger.close().unwrap();

    let (ledger, recovery) = open_with(dir.path(), signing_key()).unwrap();
    assert_eq!(recovery, Recovery::default());
    let append = Append {
        kind: EntryKind::Clock,
        time_ns: 5,
        payload: b"three".to_vec(),
        state: b"sealed".to_vec(),
    };
    let receipt = ledger.append(append).unwrap();
    assert_eq!((receipt.sequence, ledger.size()), (4, 5));
    let checked = check_ledger(dir.path(), &key);
    let last = checked.frames.last().unwrap();
    assert_eq!((last.payload.as_slice(), last.state.as_slice()), (&b"three"[..], &b"sealed"[..]));
    assert_eq!(last.entry.leaf_hash(), receipt.leaf_hash);
    assert_eq!(last.entry.time_ns, checked.frames[3].entry.time_ns, "time never runs backwards");
    assert_eq!(checked.texts(EntryKind::Start).len(), 2);
    assert_eq!(ledger.signed_checkpoint(), *Reader::open(dir.path()).unwrap().signed_checkpoint());
}

#[test]
fn the_order_of_enqueueing_is_the_order_of_the_log() {
    // Each thread draws a number and enqueues it under one lock, as a key store does with its
    // state changes, and waits outside of it.
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    let (counter, barrier) = (Mutex::new(0_u64), Barrier::new(16));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..25 {
                    let mut number = counter.lock().unwrap();
                    let pending = ledger.enqueue(record(0, number.to_be_bytes())).unwrap();
                    *number += 1;
                    assert_eq!(pending.sequence(), *number, "behind the start entry");
                    drop(number);
                    let sequence = pending.sequence();
                    assert_eq!(pending.wait().unwrap().sequence, sequence);
                    assert!(ledger.size() > sequence);
                }
            });
        }
    });
    let checked = check_ledger(dir.path(), ledger.verifying_key());
    let numbers: Vec<_> = (0..400_u64).map(u64::to_be_bytes).collect();
    assert_eq!(checked.records(), numbers.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>());
}

/// Syncs of segments so far: one per batch.
fn batches(storage: &FaultyStorage) -> usize {
    let of_segment = |call: &&Call| call.name == "sync" && call.file.starts_with("segments/");
    storage.calls().iter().filter(of_segment).count()
}

#[test]
fn what_is_queued_together_shares_one_sync() {
    let dir = scratch();
    let storage = Arc::new(FaultyStorage::new(DirStorage::new(dir.path())));
    let ledger = create_on(Arc::clone(&storage), Options::default());
    let before = batches(&storage);
    let pending: Vec<_> =
        (0..100_u8).map(|number| ledger.enqueue(record(0, [number])).unwrap()).collect();
    assert_eq!(batches(&storage), before, "enqueueing does no I/O");
    for (pending, sequence) in pending.into_iter().rev().zip((1..=100).rev()) {
        assert_eq!(pending.wait().unwrap().sequence, sequence);
    }
    assert_eq!(batches(&storage), before + 1);
    check_ledger(dir.path(), ledger.verifying_key());
}

#[test]
fn batches_are_limited_in_entries_and_bytes() {
    for (options, expected) in [
        (Options { batch_entries: 4, ..Options::default() }, 3),
        (Options { batch_bytes: 500, ..Options::default() }, 5), // two frames of 211 bytes each
        (Options { batch_bytes: 1, ..Options::default() }, 10),
        (Options { batch_entries: 0, ..Options::default() }, 10),
    ] {
        let dir = scratch();
        let storage = Arc::new(FaultyStorage::new(DirStorage::new(dir.path())));
        let ledger = create_on(Arc::clone(&storage), options);
        let before = batches(&storage);
        let pending: Vec<_> =
            (0..10_u8).map(|number| ledger.enqueue(record(0, [number; 101])).unwrap()).collect();
        for pending in pending {
            pending.wait().unwrap();
        }
        assert_eq!(batches(&storage) - before, expected, "{options:?}");
        check_ledger(dir.path(), ledger.verifying_key());
    }
}

#[test]
fn what_belongs_together_is_never_split_between_batches() {
    for (options, expected) in [
        (Options { batch_entries: 4, ..Options::default() }, 3), // two pairs, two pairs, one
        (Options { batch_entries: 3, ..Options::default() }, 5),
        (Options { batch_entries: 1, ..Options::default() }, 5),
        (Options { batch_bytes: 700, ..Options::default() }, 5), // three frames of 211 bytes each
        (Options { batch_bytes: 1, ..Options::default() }, 5),
    ] {
        let dir = scratch();
        let storage = Arc::new(FaultyStorage::new(DirStorage::new(dir.path())));
        let ledger = create_on(Arc::clone(&storage), options);
        let before = batches(&storage);
        let pair = |number| vec![record(0, [number; 101]), record(0, [number + 1; 101])];
        let pending: Vec<_> = (0..5_u8)
            .flat_map(|number| ledger.enqueue_together(pair(2 * number)).unwrap())
            .collect();
        for (pending, sequence) in pending.into_iter().zip(1..) {
            assert_eq!(pending.sequence(), sequence);
            assert_eq!(pending.wait().unwrap().sequence, sequence);
            assert_eq!(ledger.size() % 2, 1, "the start entry and pairs: {options:?}");
        }
        assert_eq!(batches(&storage) - before, expected, "{options:?}");
        let checked = check_ledger(dir.path(), ledger.verifying_key());
        let numbers = (0..10_u8).map(|number| vec![number; 101]).collect::<Vec<_>>();
        assert_eq!(checked.records(), numbers);
    }
}

#[test]
fn what_belongs_together_is_taken_or_refused_together() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    let half = || record(0, vec![0; (32 << 20) + 1]);
    let refused = ledger.enqueue_together(vec![half(), half()]).err().unwrap();
    assert!(matches!(refused, LedgerError::TooLarge { what: "payload", .. }), "{refused}");
    let start = Append { kind: EntryKind::Start, ..record(0, "x") };
    let refused = ledger.enqueue_together(vec![record(0, "x"), start]).err().unwrap();
    assert!(matches!(refused, LedgerError::ReservedKind { .. }), "{refused}");
    let receipt = ledger.append(record(0, "next")).unwrap();
    assert_eq!(receipt.sequence, 1, "neither left anything behind");
    check_ledger(dir.path(), ledger.verifying_key());
}

#[test]
fn a_full_segment_is_followed_by_the_next_one() {
    let dir = scratch();
    let ledger = create(dir.path(), Options { segment_bytes: 1000, ..Options::default() });
    for number in 0..20_u8 {
        ledger.append(record(0, [number; 50])).unwrap();
    }
    let key = ledger.verifying_key().clone();
    ledger.close().unwrap();
    let segments = Image::read(dir.path()).names_in("segments/");
    assert_eq!(segments.len(), 6, "four records in each: {segments:?}");
    let (ledger, _) = open_with(dir.path(), signing_key()).unwrap();
    ledger.append(record(0, "more")).unwrap();
    let checked = check_ledger(dir.path(), &key);
    assert_eq!(checked.records().len(), 21);

    let reader = Reader::open(dir.path()).unwrap();
    for from in 0..=25 {
        let frames: Vec<_> = reader.frames(from).map(Result::unwrap).collect();
        let first = usize::try_from(from).unwrap().min(checked.frames.len());
        assert_eq!(frames, checked.frames[first..], "from {from}");
    }
}

#[test]
fn a_reader_stops_at_the_checkpoint_that_stood_when_it_was_opened() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    ledger.append(record(0, "before")).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    ledger.append(record(0, "after")).unwrap();
    assert_eq!(reader.frames(0).map(Result::unwrap).count(), 2);
    assert_eq!(Reader::open(dir.path()).unwrap().frames(0).count(), 3);
}

#[test]
fn what_nobody_waits_for_is_committed_when_the_ledger_is_closed() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    let key = ledger.verifying_key().clone();
    drop(ledger.enqueue(record(0, "nobody waits")).unwrap());
    ledger.close().unwrap();
    assert_eq!(check_ledger(dir.path(), &key).records(), [b"nobody waits"]);
}

#[test]
fn the_newest_checkpoint_is_durable_after_opening_and_closing() {
    let dir = scratch();
    let storage = Arc::new(FaultyStorage::new(DirStorage::new(dir.path())));
    let ledger = create_on(Arc::clone(&storage), Options::default());
    let checkpoint = |call: &&Call| call.file == "checkpoint";
    let names =
        || -> Vec<_> { storage.calls().iter().filter(checkpoint).map(|call| call.name).collect() };
    assert_eq!(names(), ["replace_durably", "open"]);
    ledger.append(record(0, "one")).unwrap();
    ledger.append(record(0, "two")).unwrap();
    ledger.close().unwrap();
    assert_eq!(names()[2..], ["overwrite", "overwrite", "sync"]);
}

#[test]
fn the_signed_checkpoint_of_the_longest_name_fits_into_a_sector() {
    let origin = Origin::new(&"o".repeat(160)).unwrap();
    let checkpoint = Checkpoint { origin, size: u64::MAX, root: Hash::of(b"") };
    assert!(checkpoint.sign(&signing_key()).unwrap().to_string().len() <= 512);
}

#[test]
fn reserved_kinds_and_oversize_parts_are_refused_and_nothing_is_logged() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    let with = |kind, payload, state| Append {
        kind,
        time_ns: 0,
        payload: vec![0; payload],
        state: vec![0; state],
    };
    for kind in [EntryKind::Start, EntryKind::Recovery] {
        let refused = ledger.append(with(kind, 0, 0)).unwrap_err();
        assert!(matches!(refused, LedgerError::ReservedKind { .. }));
    }
    let refused = ledger.append(with(EntryKind::Record, (64 << 20) + 1, 0)).unwrap_err();
    assert!(matches!(refused, LedgerError::TooLarge { what: "payload", .. }));
    let refused = ledger.append(with(EntryKind::Record, 0, (1 << 20) + 1)).unwrap_err();
    assert!(matches!(refused, LedgerError::TooLarge { what: "state", .. }));
    assert_eq!(ledger.size(), 1);
    ledger.append(with(EntryKind::Record, 5 << 20, 1 << 20)).unwrap();
    check_ledger(dir.path(), ledger.verifying_key());
}

#[test]
fn a_queue_that_the_disk_does_not_empty_refuses_more() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    let large = || record(0, vec![0; 60 << 20]);
    for _ in 0..4 {
        drop(ledger.enqueue(large()).unwrap());
    }
    let refused = ledger.enqueue(large()).err().unwrap();
    assert!(matches!(refused, LedgerError::QueueFull { entries: 4 }), "{refused}");
    std::mem::forget(ledger); // committing 240 MB would only cost time
}

#[test]
fn there_is_one_writer_and_it_needs_the_right_key_and_an_empty_directory() {
    let dir = scratch();
    let ledger = create(dir.path(), Options::default());
    assert!(matches!(open_with(dir.path(), signing_key()), Err(LedgerError::Locked)));
    ledger.close().unwrap();
    let other = SigningKey::from_seed(&[9; 32]);
    assert!(matches!(open_with(dir.path(), other), Err(LedgerError::WrongKey { .. })));
    let again = Ledger::create(
        Arc::new(DirStorage::new(dir.path())),
        origin(),
        signing_key(),
        Arc::new(SeededRandom::new(1)),
        START_NS,
        Options::default(),
    );
    assert!(matches!(again, Err(LedgerError::AlreadyExists { .. })));
    assert!(open_with(dir.path(), signing_key()).is_ok());
}

#[test]
fn a_segment_that_is_unlinked_or_moved_under_the_writer_stops_it() {
    for moved in [false, true] {
        let dir = scratch();
        let ledger = create(dir.path(), Options::default());
        let segment = dir.path().join("segments/00000000000000000000.seg");
        let aside = dir.path().join("aside");
        std::fs::rename(&segment, &aside).unwrap();
        if moved {
            std::fs::copy(&aside, &segment).unwrap();
        }
        let refused = ledger.append(record(0, "into nothing")).unwrap_err();
        assert!(matches!(refused, LedgerError::Poisoned { .. }), "{refused}");
        assert!(matches!(ledger.append(record(0, "x")), Err(LedgerError::Poisoned { .. })));
    }
}
