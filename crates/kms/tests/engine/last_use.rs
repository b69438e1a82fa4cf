//! The last use of a key: which calls count, and that a restart forgets none.

use serde_json::{Value, json};

use crate::support::{Bench, HELLO, arn, call, check_refused, text};

fn usage(bench: &Bench, key: &str) -> Value {
    call(bench, "GetKeyLastUsage", &json!({"KeyId": key}))["KeyLastUsage"].clone()
}

/// What `GetKeyLastUsage` must say if the record with this number is the last use.
fn told_by(bench: &Bench, sequence_from_end: usize) -> Value {
    let records = bench.records();
    let record = &records[records.len() - 1 - sequence_from_end];
    let time = keytrail_event::Timestamp::parse_event_time(text(record, "eventTime")).unwrap();
    let seconds = u32::try_from(time.unix_seconds()).unwrap();
    json!({"Operation": record["eventName"], "Timestamp": f64::from(seconds),
        "CloudTrailEventId": record["eventID"], "KmsRequestId": record["requestID"]})
}

#[test]
fn a_key_that_was_not_used_says_since_when_that_is_known() {
    let bench = Bench::new();
    let key = bench.key();
    let expected = json!({"KeyId": key, "KeyLastUsage": {}, "TrackingStartDate": 1_747_806_465.0,
        "KeyCreationDate": 1_747_806_465.0});
    assert_eq!(call(&bench, "GetKeyLastUsage", &json!({"KeyId": arn(&key)})), expected);
    let alias = "NotFoundException: Invalid keyId 'alias/app'";
    check_refused(&bench, "GetKeyLastUsage", &json!({"KeyId": "alias/app"}), alias);
}

#[test]
fn each_successful_use_is_the_last_one_and_nothing_else_is() {
    let bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    call(&bench, "CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}));
    let encrypt = json!({"KeyId": "alias/app", "Plaintext": HELLO});
    let blob = call(&bench, "Encrypt", &encrypt)["CiphertextBlob"].clone();
    assert_eq!(usage(&bench, &key), told_by(&bench, 1));
    bench.advance(1_500_000_000);
    for (operation, input) in [
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "NumberOfBytes": 7})),
    ] {
        call(&bench, operation, &input);
        let last = usage(&bench, &key);
        assert_eq!(last["Operation"], operation);
        assert_eq!(last, told_by(&bench, 1));
    }
    let last = usage(&bench, &key);
    call(&bench, "DescribeKey", &json!({"KeyId": key}));
    let dry = json!({"KeyId": key, "Plaintext": HELLO, "DryRun": true});
    bench.call("Encrypt", &dry.to_string()).unwrap_err();
    let foreign = json!({"KeyId": other, "CiphertextBlob": blob});
    bench.call("Decrypt", &foreign.to_string()).unwrap_err();
    call(&bench, "DisableKey", &json!({"KeyId": key}));
    bench.call("Encrypt", &encrypt.to_string()).unwrap_err();
    assert_eq!(usage(&bench, &key), last);
    assert_eq!(usage(&bench, &other), json!({}));
}

#[test]
fn a_restart_forgets_no_use_with_a_snapshot_or_without() {
    let mut bench = Bench::new();
    let key = bench.key();
    call(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
    let last = usage(&bench, &key);
    bench.reopen(|_| ());
    assert_eq!(usage(&bench, &key), last);
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    assert_eq!(usage(&bench, &key), last);
}
