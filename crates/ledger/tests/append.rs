//! Appending: order, receipts, batches, limits, reopening.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;

use keytrail_ledger::{Append, DirStorage, EntryKind, Ledger, LedgerError, Options, SigningKey};
use keytrail_testkit::{START_NS, SeededRandom, Ticks, check_ledger, origin, record, signing_key};

fn create(dir: &Path, options: Options) -> Ledger {
    let storage = Arc::new(DirStorage::new(dir));
    let random = Arc::new(SeededRandom::new(1));
    Ledger::create(storage, origin(), signing_key(), random, START_NS, options).unwrap()
}

fn try_open(dir: &Path, key: SigningKey) -> Result<Ledger, LedgerError> {
    let storage = Arc::new(DirStorage::new(dir));
    let random = Arc::new(SeededRandom::new(2));
    Ledger::open(storage, key, random, START_NS, Options::default()).map(|(ledger, recovery)| {
        assert_eq!(recovery, keytrail_ledger::Recovery::default());
        ledger
    })
}

#[test]
fn a_ledger_keeps_what_it_acknowledged_over_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path(), Options::default());
    let key = ledger.verifying_key().clone();
    let mut times = Ticks::default();
    for (text, sequence) in [("one", 1), ("two", 2)] {
        let receipt = ledger.append(record(times.next().unwrap(), text)).unwrap();
        assert_eq!(receipt.sequence, sequence);
    }
    assert_eq!(check_ledger(dir.path(), &key).records(), [b"one", b"two"]);
    ledger.close().unwrap();

    let ledger = try_open(dir.path(), signing_key()).unwrap();
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
}
