//! The key engine from the command line: answers, refusals, and the records they leave.

use serde_json::json;

use crate::support::Home;

#[test]
fn a_key_encrypts_and_decrypts_and_its_use_is_on_record() {
    let home = Home::new();
    let key = home.kms("create-key", &json!({"Description": "payments"}));
    let arn = key["KeyMetadata"]["Arn"].as_str().unwrap();
    home.kms("create-alias", &json!({"AliasName": "alias/payments", "TargetKeyId": arn}));
    let sealed = home.kms(
        "encrypt",
        &json!({"KeyId": "alias/payments", "Plaintext": "aGVsbG8=", "EncryptionContext": {"order": "7"}}),
    );
    let opened = home.kms(
        "decrypt",
        &json!({"CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": {"order": "7"}}),
    );
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
    assert_eq!(opened["KeyId"], arn);

    let report = home.json(&["ingest"]);
    assert_eq!(report["records"], 5, "the root access key of `init`, and four calls");
    let uses = home.json(&["audit", "who-used", "--key", "alias/payments"]);
    let operations: Vec<_> =
        uses.as_array().unwrap().iter().map(|row| row["operation"].as_str().unwrap()).collect();
    assert!(operations.contains(&"Encrypt") && operations.contains(&"Decrypt"), "{uses}");
    assert_eq!(home.json(&["verify"])["verdict"], "OK");
}

#[test]
fn a_refused_call_is_an_error_and_a_record() {
    let home = Home::new();
    let key = home.kms("create-key", &json!({}));
    let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    home.ok(&["principal", "create", "mallory"]);

    let input = json!({"KeyId": id, "Plaintext": "aGVsbG8="}).to_string();
    let ran = home.run(&["kms", "encrypt", "--principal", "mallory", "--input", &input]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("(AccessDeniedException)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("not authorized to perform: kms:Encrypt"), "{}", ran.stderr);

    home.ok(&["ingest"]);
    let denied = home.json(&["audit", "denied"]);
    assert_eq!(denied.as_array().unwrap().len(), 1, "{denied}");
    assert_eq!(denied[0]["operation"], "Encrypt");
    assert!(denied[0]["actor"].as_str().unwrap().ends_with("user/mallory"), "{denied}");
    assert!(denied[0]["key"].as_str().unwrap().ends_with(id), "{denied}");
}

#[test]
fn an_operation_that_is_not_there_is_refused_and_recorded() {
    let home = Home::new();
    let ran = home.run(&["kms", "sign", "--input", "{}"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("when calling the Sign operation"), "{}", ran.stderr);
    home.ok(&["ingest"]);
    let rows = home.rows(
        "select event_name, error_code is not null as failed from events \
         where event_source = 'kms.amazonaws.com'",
    );
    assert_eq!(rows, [json!({"event_name": "Sign", "failed": true})]);
}
