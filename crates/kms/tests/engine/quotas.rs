//! Quotas that can be set, and the count of what each material encrypted.

use keytrail_kms::Quotas;
use serde_json::json;

use crate::support::{Bench, HELLO, arn, call, check_refused};

/// Encryptions with each material of a key, oldest first.
fn counts(bench: &Bench, key: &str) -> Vec<u64> {
    let uses = bench.engine().material_uses(&arn(key)).unwrap();
    uses.iter().map(|material| material.encryptions).collect()
}

#[test]
fn each_message_is_counted_for_the_material_that_encrypted_it() {
    let mut bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    let mac_key = crate::support::key_of(&bench, "HMAC_256", "GENERATE_VERIFY_MAC");
    assert_eq!(counts(&bench, &key), [0]);
    let sealed = call(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
    let blob = &sealed["CiphertextBlob"];
    for (operation, more) in [
        ("GenerateDataKey", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyPairSpec": "ECC_NIST_P256"})),
    ] {
        call(&bench, operation, &crate::support::with(&more, json!({"KeyId": key})));
    }
    // None of these encrypts with it.
    call(&bench, "Decrypt", &json!({"CiphertextBlob": blob}));
    call(
        &bench,
        "GenerateMac",
        &json!({"KeyId": mac_key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"}),
    );
    let rehearsal = json!({"KeyId": key, "Plaintext": HELLO, "DryRun": true});
    bench.call("Encrypt", &rehearsal.to_string()).unwrap_err();
    call(&bench, "ReEncrypt", &json!({"CiphertextBlob": blob, "DestinationKeyId": other}));
    assert_eq!((counts(&bench, &key), counts(&bench, &other)), (vec![4], vec![1]));
    assert!(counts(&bench, &mac_key).is_empty());
    call(&bench, "RotateKeyOnDemand", &json!({"KeyId": key}));
    call(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
    let check = |bench: &Bench| {
        assert_eq!((counts(bench, &key), counts(bench, &other)), (vec![4, 1], vec![1]));
        assert_eq!(bench.engine().material_encryptions_max(), 4);
    };
    check(&bench);
    bench.reopen(|_| ());
    check(&bench);
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    check(&bench);
    assert_eq!(bench.engine().material_uses(&arn("none")).unwrap(), []);
}

#[test]
fn a_material_is_worn_once_it_has_encrypted_as_much_as_the_quota_says() {
    let quotas = Quotas { material_encryptions: 3, ..Quotas::default() };
    let mut bench = Bench::new().with_quotas(quotas);
    let key = bench.key();
    let encrypt = |bench: &Bench| {
        call(bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
    };
    let worn = |bench: &Bench| {
        let worn = bench.engine().worn_materials().unwrap();
        assert_eq!(bench.engine().worn_material_count(), u64::try_from(worn.len()).unwrap());
        worn.into_iter().map(|worn| (worn.key_arn, worn.encryptions)).collect::<Vec<_>>()
    };
    encrypt(&bench);
    encrypt(&bench);
    assert_eq!(worn(&bench), []);
    encrypt(&bench);
    encrypt(&bench);
    assert_eq!(worn(&bench), [(arn(&key), 4)]);
    bench.reopen(|_| ());
    assert_eq!(worn(&bench), [], "under the default quota");
    let bench = bench.with_quotas(quotas);
    assert_eq!(worn(&bench), [(arn(&key), 4)]);
}

#[test]
fn rotations_on_demand_end_where_the_quota_says() {
    let bench = Bench::new().with_quotas(Quotas { on_demand_rotations: 2, ..Quotas::default() });
    let key = bench.key();
    for _ in 0..2 {
        call(&bench, "RotateKeyOnDemand", &json!({"KeyId": key}));
    }
    let text = format!(
        "LimitExceededException: The on-demand rotations limit has been reached for the given keyId. No more on-demand \
         rotations can be performed for this key: {}",
        arn(&key)
    );
    check_refused(&bench, "RotateKeyOnDemand", &json!({"KeyId": key}), &text);
}
