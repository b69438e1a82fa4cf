//! Many callers at once. Whatever the threads do, the log is a sequence in which every record is true where it stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Bench, call, key_of, text};

const THREADS: usize = 12;
const ROUNDS: usize = 25;

#[test]
fn the_order_of_records_is_the_order_of_what_was_true() {
    let bench = Bench::new();
    let keys = [bench.key(), bench.key()];
    let (engine, root) = (bench.engine(), bench.root());
    let before = engine.ledger().size();
    let calls = std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            let (keys, root) = (&keys, &root);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let key = &keys[(thread + round) % 2];
                    match (thread, round % 2) {
                        (0, 0) => engine.disable_key(root, key).unwrap(),
                        (0, _) => {
                            engine.enable_key(root, &keys[round % 2]).unwrap();
                            engine.enable_key(root, &keys[(round + 1) % 2]).unwrap();
                        }
                        (1, _) => {
                            let alias = format!("alias/{round}");
                            engine.create_alias(root, &alias, key).unwrap();
                        }
                        // Whether the key is enabled just now is the other threads' affair.
                        _ => drop(engine.encrypt(root, key, b"x", &[])),
                    }
                }
                if thread == 0 { ROUNDS + ROUNDS / 2 } else { ROUNDS }
            })
        });
        threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(engine.ledger().size(), before + calls as u64, "one record for each call");

    let mut enabled: BTreeMap<String, bool> = BTreeMap::new();
    let mut uses = [0, 0];
    for record in bench.records() {
        let Some(arn) = record["resources"][0]["ARN"].as_str() else { continue };
        let state = enabled.entry(arn.to_owned()).or_insert(true);
        match (text(&record, "eventName"), record.get("errorCode").and_then(Value::as_str)) {
            ("EnableKey", None) => *state = true,
            ("DisableKey", None) => *state = false,
            ("Encrypt", None) => {
                assert!(*state, "used while it was disabled: {record}");
                uses[0] += 1;
            }
            ("Encrypt", Some("DisabledException")) => {
                assert!(!*state, "refused while it was enabled: {record}");
                uses[1] += 1;
            }
            _ => {}
        }
    }
    assert_eq!(uses[0] + uses[1], (THREADS - 2) * ROUNDS);
}

/// RSA keys are made while nobody holds the state, and the operation runs again with them. Whoever is at it at the same time
/// gets a key of its own, and one record.
#[test]
fn a_call_that_runs_twice_leaves_one_record_and_one_key() {
    let bench = Bench::new();
    let symmetric = bench.key();
    let before = bench.engine().ledger().size();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                key_of(&bench, "RSA_2048", "SIGN_VERIFY");
                let input = json!({"KeyId": symmetric, "KeyPairSpec": "RSA_2048"});
                call(&bench, "GenerateDataKeyPair", &input);
            });
        }
    });
    assert_eq!(bench.engine().ledger().size(), before + 8);
    let keys = call(&bench, "ListKeys", &json!({}))["Keys"].clone();
    let keys = keys.as_array().unwrap().iter().map(|key| text(key, "KeyId").to_owned());
    let asymmetric = keys.filter(|key| *key != symmetric);
    let public_keys = asymmetric
        .map(|key| call(&bench, "GetPublicKey", &json!({"KeyId": key}))["PublicKey"].to_string());
    assert_eq!(public_keys.collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn what_is_encrypted_while_a_key_rotates_names_the_material_of_that_moment_and_opens() {
    const ROTATIONS: usize = 20;
    let bench = Bench::new();
    let key = bench.key();
    let (engine, root) = (bench.engine(), bench.root());
    let encrypt = || (0..ROUNDS).map(|_| engine.encrypt(&root, &key, b"x", &[]).unwrap());
    let blobs = std::thread::scope(|scope| {
        let threads = (0..4).map(|_| scope.spawn(|| encrypt().collect::<Vec<_>>()));
        let threads = threads.collect::<Vec<_>>();
        let named = json!({"KeyId": key}).to_string();
        for _ in 0..ROTATIONS {
            // A rotation that another thread's call is about to do is still in progress.
            drop(engine.call(&root, "RotateKeyOnDemand", named.as_bytes()));
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for blob in &blobs {
        assert!(engine.decrypt(&root, &blob.ciphertext_blob, &[]).is_ok());
    }
    let described = bench.call("DescribeKey", &json!({"KeyId": key}).to_string()).unwrap();

    let (mut current, mut last) = (String::new(), Value::Null);
    for record in bench.records() {
        match (text(&record, "eventName"), record.get("errorCode").is_some()) {
            ("CreateKey", _) => {
                let metadata = &record["responseElements"]["keyMetadata"];
                text(metadata, "currentKeyMaterialId").clone_into(&mut current);
            }
            ("RotateKey", _) => {
                let details = &record["serviceEventDetails"];
                assert_eq!(text(details, "previousKeyMaterialId"), current);
                text(details, "currentKeyMaterialId").clone_into(&mut current);
            }
            ("Encrypt", false) => {
                assert_eq!(text(&record["additionalEventData"], "keyMaterialId"), current);
            }
            _ => {}
        }
        if ["Encrypt", "Decrypt"].contains(&text(&record, "eventName")) {
            last = record;
        }
    }
    assert_eq!(text(&described["KeyMetadata"], "CurrentKeyMaterialId"), current);
    // Many threads noted their uses; the one that the log has last is the last.
    let usage = bench.call("GetKeyLastUsage", &json!({"KeyId": key}).to_string()).unwrap();
    assert_eq!(usage["KeyLastUsage"]["CloudTrailEventId"], last["eventID"]);
}
