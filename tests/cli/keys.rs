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
fn a_region_that_is_added_later_takes_replicas() {
    let home = Home::empty();
    home.ok(&["init", "--region", "us-east-1"]);
    let key = home.kms("create-key", &json!({"MultiRegion": true}));
    let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    let sealed = home.kms("encrypt", &json!({"KeyId": id, "Plaintext": "aGVsbG8="}));
    let replicate = json!({"KeyId": id, "ReplicaRegion": "eu-central-1"}).to_string();
    let refused = home.run(&["kms", "replicate-key", "--input", &replicate]);
    assert!(
        refused.stderr.contains("There are no keys in eu-central-1 here."),
        "{}",
        refused.stderr
    );

    let file = home.data().join("keytrail.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let two = settings.replace(r#"["us-east-1"]"#, r#"["us-east-1", "eu-central-1"]"#);
    std::fs::write(&file, &two).unwrap();
    home.ok(&["kms", "replicate-key", "--input", &replicate]);
    let blob = json!({"CiphertextBlob": sealed["CiphertextBlob"]}).to_string();
    let decrypt = ["kms", "decrypt", "--region", "eu-central-1", "--input", &blob];
    assert!(home.ok(&decrypt).contains(":eu-central-1:"));
    let variable = [("KEYTRAIL_REGION", "eu-central-1")];
    let listed = home.run_with(&variable, &["kms", "list-keys"]);
    assert!(listed.stdout.contains(":eu-central-1:"), "{}{}", listed.stdout, listed.stderr);
    let absent = home.run(&["kms", "list-keys", "--region", "mars-north-1"]);
    let known = "no keys can be in mars-north-1 here, only in us-east-1, eu-central-1";
    assert!(absent.stderr.contains(known), "{}", absent.stderr);

    std::fs::write(&file, &settings).unwrap();
    let missing = home.run(&["kms", "list-keys"]);
    assert!(
        missing.stderr.contains("eu-central-1 has keys, and is not configured"),
        "{}",
        missing.stderr
    );
    std::fs::write(&file, &two).unwrap();
    home.ok(&["ingest"]);
    let regions =
        home.rows("select event_name, aws_region from events where event_name = 'CreateKey'");
    assert_eq!(regions.len(), 2, "{regions:?}");
    assert_eq!(home.json(&["verify"])["verdict"], "OK");
}

#[test]
fn policy_check_says_what_a_call_would_be_told_and_why() {
    let home = Home::new();
    let key = home.kms("create-key", &json!({}));
    let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    let policy = r#"{"Version": "2012-10-17", "Statement": {"Sid": "Orders", "Effect": "Allow", "Action": "kms:Encrypt",
        "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:order": "7"}}}}"#;
    std::fs::write(home.path().join("orders.json"), policy).unwrap();
    home.ok(&["principal", "create", "alice", "--policy", "orders.json"]);
    let check = |context: &str| {
        home.run(&[
            "policy",
            "check",
            "--principal",
            "alice",
            "--action",
            "Encrypt",
            "--key",
            id,
            "--context",
            context,
        ])
    };
    let allowed = check("kms:EncryptionContext:order=7");
    assert_eq!(allowed.code, 0, "{}{}", allowed.stdout, allowed.stderr);
    let by = "decided_by  statement 1 \"Orders\" of the identity policy \"orders\"";
    assert!(allowed.stdout.contains(by), "{}", allowed.stdout);
    let denied = check("kms:EncryptionContext:order=8");
    assert_eq!(denied.code, 1, "{}{}", denied.stdout, denied.stderr);
    assert!(denied.stdout.contains("decision    denied"), "{}", denied.stdout);
    let why = "condition StringEquals kms:EncryptionContext:order does not hold";
    assert!(denied.stdout.contains(why), "{}", denied.stdout);
    let misspelt = check("kms:EncryptionContex:order=7");
    assert_eq!(misspelt.code, 3);
    assert!(misspelt.stderr.contains("is no condition key"), "{}", misspelt.stderr);
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
