//! The clock that can be moved forward: what was to come is there at once, for good, and it is on record who was in a hurry.

use std::time::Duration;

use keytrail_kms::EngineError;
use keytrail_ledger::EntryKind;
use keytrail_testkit::START_NS;
use serde_json::{Value, json};

use crate::import::{Parameters, external_key};
use crate::records::check_text;
use crate::support::{Bench, DAY_NS, HELLO, arn, call, check_refused, text};

const DAY: u64 = 86_400;

fn days(number: u64) -> Duration {
    Duration::from_secs(number * DAY)
}

/// Names and times of the records since the one at this place.
fn events_since(bench: &Bench, from: usize) -> Vec<(String, String)> {
    let member = |record: &Value, name: &str| text(record, name).to_owned();
    let records = bench.records();
    let since = records[from..].iter();
    since.map(|record| (member(record, "eventName"), member(record, "eventTime"))).collect()
}

fn pair(name: &str, time: &str) -> (String, String) {
    (name.to_owned(), time.to_owned())
}

#[test]
fn a_key_that_was_to_be_deleted_in_30_days_is_gone_at_once_and_the_move_is_on_record() {
    let mut bench = Bench::new();
    let key = bench.key();
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": key}));
    let before = bench.records().len();
    bench.move_clock(29);
    assert_eq!(
        call(&bench, "DescribeKey", &json!({"KeyId": key}))["KeyMetadata"]["KeyState"],
        "PendingDeletion"
    );
    bench.move_clock(1);
    let expected = [
        pair("MoveClock", "2025-05-21T05:47:45Z"),
        pair("DescribeKey", "2025-06-19T05:47:45Z"),
        pair("MoveClock", "2025-06-19T05:47:45Z"),
        pair("DeleteKey", "2025-06-20T05:47:45Z"),
    ];
    assert_eq!(events_since(&bench, before), expected);
    let gone = format!("NotFoundException: Key '{}' does not exist", arn(&key));
    check_refused(&bench, "DescribeKey", &json!({"KeyId": key}), &gone);
    let ledger = bench.ledger();
    let moved = ledger.records()[before + 2];
    check_text(std::str::from_utf8(moved).unwrap(), "move-clock");
    // Whoever is given entries without contents sees that the clock moved, right before its record.
    let offsets = ["clock\noffset-seconds 2505600\n", "clock\noffset-seconds 2592000\n"];
    assert_eq!(ledger.texts(EntryKind::Clock), offsets);
    for pair in ledger.frames.windows(2) {
        assert_eq!(
            pair[0].entry.kind == EntryKind::Clock,
            pair[1].payload.windows(9).any(|word| word == b"MoveClock")
        );
    }
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    check_refused(&bench, "DescribeKey", &json!({"KeyId": key}), &gone);
}

#[test]
fn a_year_later_a_key_has_a_new_material_and_old_ciphertexts_still_open() {
    let bench = Bench::new();
    let key = bench.key();
    call(&bench, "EnableKeyRotation", &json!({"KeyId": key}));
    let sealed = call(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
    let before = bench.records().len();
    bench.move_clock(365);
    let time = "2026-05-21T05:47:45Z";
    let expected = [pair("MoveClock", "2025-05-21T05:47:45Z"), pair("RotateKey", time)];
    assert_eq!(events_since(&bench, before), expected);
    let opened = call(&bench, "Decrypt", &json!({"CiphertextBlob": sealed["CiphertextBlob"]}));
    assert_eq!(opened["Plaintext"], HELLO);
    let current = call(&bench, "DescribeKey", &json!({"KeyId": key}));
    assert_ne!(current["KeyMetadata"]["CurrentKeyMaterialId"], opened["KeyMaterialId"]);
}

#[test]
fn imported_material_expires_at_once() {
    let bench = Bench::new();
    let key = external_key(&bench);
    let mut request = Parameters::new(&bench, &key).request(&[7; 32]);
    request["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    request["ValidTo"] = json!(START_NS / 1_000_000_000 + 10 * DAY);
    call(&bench, "ImportKeyMaterial", &request);
    bench.move_clock(10);
    let last: Value = serde_json::from_str(&bench.last_record()).unwrap();
    assert_eq!(last["eventName"], "DeleteExpiredKeyMaterial");
    let described = call(&bench, "DescribeKey", &json!({"KeyId": key}));
    assert_eq!(described["KeyMetadata"]["KeyState"], "PendingImport");
}

#[test]
fn the_clock_stays_where_it_was_moved_and_goes_on_from_there() {
    let mut bench = Bench::new();
    bench.move_clock(30);
    bench.reopen(|_| ());
    let offset = |bench: &Bench| (bench.engine().clock_offset(), bench.engine().now().unix_nanos());
    assert_eq!(offset(&bench), (days(30), START_NS + 30 * DAY_NS));
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    bench.advance(DAY_NS);
    assert_eq!(offset(&bench), (days(30), START_NS + 31 * DAY_NS));
    let key = call(&bench, "CreateKey", &json!({}));
    assert_eq!(key["KeyMetadata"]["CreationDate"], json!(1_747_806_465.0 + 31.0 * 86_400.0));
    bench.ledger();
}

#[test]
fn it_never_goes_back_and_the_same_offset_again_leaves_no_trace() {
    let bench = Bench::new();
    bench.move_clock(30);
    let size = bench.engine().ledger().size();
    bench.engine().set_clock_offset(days(30)).unwrap();
    for (asked, expected) in [
        (days(0), "the clock is 2592000 seconds ahead already and cannot go back to 0"),
        (days(29), "the clock is 2592000 seconds ahead already and cannot go back to 2505600"),
        (
            days(36_526),
            "the clock cannot be moved 3155846400 seconds ahead: the most is 3155760000, a hundred years",
        ),
        (
            Duration::MAX,
            "the clock cannot be moved 18446744073709551615 seconds ahead: the most is 3155760000, a hundred years",
        ),
    ] {
        let refused: EngineError = bench.engine().set_clock_offset(asked).unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
    bench.engine().set_clock_offset(days(30) + Duration::from_millis(999)).unwrap();
    assert_eq!((bench.engine().ledger().size(), bench.engine().clock_offset()), (size, days(30)));
    bench.engine().set_clock_offset(days(36_525)).unwrap();
    bench.ledger();
}
