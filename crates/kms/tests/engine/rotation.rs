//! Rotation: by the period, by hand, and what stays as it was: every ciphertext opens with the material that made it.

use serde_json::{Value, json};

use crate::support::{Bench, DAY_NS, HELLO, arn, call, check_refused, text};

const START: f64 = 1_747_806_465.0;
const DAY: f64 = 86_400.0;

fn material_of(bench: &Bench, key: &str) -> String {
    let described = call(bench, "DescribeKey", &json!({"KeyId": key}));
    text(&described["KeyMetadata"], "CurrentKeyMaterialId").to_owned()
}

fn encrypt(bench: &Bench, key: &str) -> Value {
    call(bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}))["CiphertextBlob"].clone()
}

/// The material that a ciphertext opens with.
fn opens_with(bench: &Bench, blob: &Value) -> String {
    let opened = call(bench, "Decrypt", &json!({"CiphertextBlob": blob}));
    assert_eq!(opened["Plaintext"], HELLO);
    text(&opened, "KeyMaterialId").to_owned()
}

fn rotations(bench: &Bench, key: &str) -> Vec<Value> {
    let input = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    call(bench, "ListKeyRotations", &input)["Rotations"].as_array().unwrap().clone()
}

fn rotate_events(bench: &Bench) -> usize {
    bench.records().iter().filter(|record| record["eventName"] == "RotateKey").count()
}

#[test]
fn old_ciphertexts_open_with_their_own_material_for_ever() {
    let mut bench = Bench::new();
    let key = bench.key();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push((encrypt(&bench, &key), material_of(&bench, &key)));
        let answer = call(&bench, "RotateKeyOnDemand", &json!({"KeyId": key}));
        assert_eq!(answer, json!({"KeyId": arn(&key)}));
    }
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    for (blob, material) in &made {
        assert_eq!(opens_with(&bench, blob), *material);
    }
    let mut materials = made.into_iter().map(|(_, material)| material).collect::<Vec<_>>();
    materials.push(material_of(&bench, &key));
    let listed = rotations(&bench, &key);
    let ids = listed.iter().map(|entry| text(entry, "KeyMaterialId")).collect::<Vec<_>>();
    assert_eq!(ids, materials);
    materials.sort();
    materials.dedup();
    assert_eq!(materials.len(), 6);
    let data_key = call(&bench, "GenerateDataKey", &json!({"KeyId": key, "KeySpec": "AES_256"}));
    assert_eq!(data_key["KeyMaterialId"], material_of(&bench, &key));
}

#[test]
fn a_key_rotates_when_its_period_is_over_and_keeps_its_days() {
    let mut bench = Bench::new();
    let key = bench.key();
    let named = json!({"KeyId": key});
    let status = |bench: &Bench| call(bench, "GetKeyRotationStatus", &json!({"KeyId": key}));
    let off = json!({"KeyId": arn(&key), "KeyRotationEnabled": false});
    assert_eq!(status(&bench), off);
    call(&bench, "EnableKeyRotation", &json!({"KeyId": key, "RotationPeriodInDays": 90}));
    let on = |days: f64| {
        json!({"KeyId": arn(&key), "KeyRotationEnabled": true, "RotationPeriodInDays": 90,
            "NextRotationDate": START + days * DAY})
    };
    assert_eq!(status(&bench), on(90.0));
    let (first, blob) = (material_of(&bench, &key), encrypt(&bench, &key));
    bench.advance(90 * DAY_NS - 1);
    assert_eq!(material_of(&bench, &key), first);
    bench.advance(1);
    let second = material_of(&bench, &key);
    assert_ne!(second, first);
    assert_eq!(status(&bench), on(180.0));
    // Closed through three dates: one rotation at opening, and the days stay.
    bench.reopen(|bench| bench.advance(280 * DAY_NS));
    assert_eq!(rotate_events(&bench), 2);
    assert_eq!(status(&bench), on(450.0));
    assert_eq!(opens_with(&bench, &blob), first);
    let listed = rotations(&bench, &key);
    let entry = |place: usize, state: &str, days: f64| {
        json!({"KeyId": key, "KeyMaterialId": listed[place]["KeyMaterialId"], "KeyMaterialState": state,
            "RotationDate": START + days * DAY, "RotationType": "AUTOMATIC"})
    };
    let original = json!({"KeyId": key, "KeyMaterialId": first, "KeyMaterialState": "NON_CURRENT"});
    assert_eq!(listed, [original, entry(1, "NON_CURRENT", 90.0), entry(2, "CURRENT", 370.0)]);
    let default = call(&bench, "ListKeyRotations", &named);
    assert_eq!(default["Rotations"].as_array().unwrap(), &listed[1..]);
    call(&bench, "DisableKeyRotation", &named);
    assert_eq!(status(&bench), off);
    bench.advance(1000 * DAY_NS);
    assert_eq!(rotations(&bench, &key).len(), 3);
}

#[test]
fn a_rotation_by_hand_leaves_the_schedule_alone() {
    let bench = Bench::new();
    let key = bench.key();
    let named = json!({"KeyId": key});
    call(&bench, "EnableKeyRotation", &named);
    bench.advance(DAY_NS);
    call(&bench, "RotateKeyOnDemand", &named);
    let status = call(&bench, "GetKeyRotationStatus", &named);
    assert_eq!(status["NextRotationDate"], START + 365.0 * DAY);
    assert!(status.get("OnDemandRotationStartDate").is_none());
    let listed = rotations(&bench, &key);
    assert_eq!(listed[1]["RotationType"], "ON_DEMAND");
    assert_eq!(listed[1]["RotationDate"], START + DAY);
    bench.advance(364 * DAY_NS - 20 * 60 * 1_000_000_000);
    let near = format!(
        "ConflictException: {} cannot be rotated on demand: its automatic rotation begins within 20 minutes.",
        arn(&key)
    );
    check_refused(&bench, "RotateKeyOnDemand", &named, &near);
}

#[test]
fn the_rotation_that_was_asked_for_is_recorded_right_behind_the_call() {
    let bench = Bench::new();
    let key = bench.key();
    let before = material_of(&bench, &key);
    call(&bench, "RotateKeyOnDemand", &json!({"KeyId": key}));
    let records = bench.records();
    let [.., asked, done] = records.as_slice() else { panic!("two records") };
    assert_eq!(
        (&asked["eventName"], &done["eventName"]),
        (&json!("RotateKeyOnDemand"), &json!("RotateKey"))
    );
    let details = &done["serviceEventDetails"];
    assert_eq!(text(details, "previousKeyMaterialId"), before);
    assert_eq!(text(details, "currentKeyMaterialId"), material_of(&bench, &key));
}

#[test]
fn twenty_five_rotations_by_hand_are_the_limit() {
    let bench = Bench::new();
    let key = bench.key();
    let named = json!({"KeyId": key});
    for _ in 0..25 {
        call(&bench, "RotateKeyOnDemand", &named);
    }
    let limit = format!(
        "LimitExceededException: The on-demand rotations limit has been reached for the given keyId. No more on-demand \
         rotations can be performed for this key: {}",
        arn(&key)
    );
    check_refused(&bench, "RotateKeyOnDemand", &named, &limit);
    // The schedule is not bound by it.
    call(&bench, "EnableKeyRotation", &json!({"KeyId": key, "RotationPeriodInDays": 90}));
    bench.advance(90 * DAY_NS);
    assert_eq!(rotations(&bench, &key).len(), 27);

    let (mut found, mut input) = (Vec::new(), json!({"KeyId": key, "Limit": 10}));
    loop {
        let page = call(&bench, "ListKeyRotations", &input);
        found.extend(page["Rotations"].as_array().unwrap().clone());
        let Some(marker) = page.get("NextMarker") else { break };
        input["Marker"] = marker.clone();
    }
    assert_eq!(found, rotations(&bench, &key)[1..]);
    input["Marker"] = json!("YWZ0ZXI6eA");
    check_refused(&bench, "ListKeyRotations", &input, "InvalidMarkerException: Invalid marker");
}

#[test]
fn a_key_that_may_not_be_used_is_not_rotated_until_it_may() {
    let bench = Bench::new();
    let key = bench.key();
    let named = json!({"KeyId": key});
    call(&bench, "EnableKeyRotation", &json!({"KeyId": key, "RotationPeriodInDays": 90}));
    call(&bench, "DisableKey", &named);
    let disabled = format!("DisabledException: {} is disabled.", arn(&key));
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        check_refused(&bench, operation, &named, &disabled);
    }
    bench.advance(100 * DAY_NS);
    assert_eq!(call(&bench, "GetKeyRotationStatus", &named)["KeyRotationEnabled"], true);
    assert_eq!(rotations(&bench, &key).len(), 1);
    call(&bench, "ScheduleKeyDeletion", &named);
    let pending = format!("KMSInvalidStateException: {} is pending deletion.", arn(&key));
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        check_refused(&bench, operation, &named, &pending);
    }
    assert_eq!(call(&bench, "GetKeyRotationStatus", &named)["KeyRotationEnabled"], false);
    call(&bench, "CancelKeyDeletion", &named);
    assert_eq!(call(&bench, "GetKeyRotationStatus", &named)["KeyRotationEnabled"], true);
    assert_eq!(rotate_events(&bench), 0);
    // Overdue, so enabling it is what rotates it, at once.
    call(&bench, "EnableKey", &named);
    assert_eq!(rotate_events(&bench), 1);
}

#[test]
fn parameters_of_rotation_are_bounded() {
    let bench = Bench::new();
    for days in [89, 2561] {
        let input = json!({"KeyId": "k", "RotationPeriodInDays": days});
        let refused = bench.call("EnableKeyRotation", &input.to_string()).unwrap_err().to_string();
        assert!(refused.contains("at 'rotationPeriodInDays' failed"), "{refused}");
    }
    let input = json!({"KeyId": "k", "IncludeKeyMaterial": "SOME"});
    let enumerated = "ValidationException: 1 validation error detected: Value 'SOME' at 'includeKeyMaterial' failed to \
                      satisfy constraint: Member must satisfy enum value set: [ALL_KEY_MATERIAL, ROTATIONS_ONLY]";
    check_refused(&bench, "ListKeyRotations", &input, enumerated);
}
