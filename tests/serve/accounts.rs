//! Two accounts of one data directory, each with its own AWS CLI: what one shares, the other uses, and both can prove it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clients::{self, Printed, Setting};
use crate::endpoint::Endpoint;

const MAY_USE_KEYS: &str =
    r#"{"Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#;

/// A call of the AWS CLI.
fn aws(endpoint: &Endpoint, credentials: &Value, arguments: &[&str]) -> Printed {
    let text = |member: &str| credentials[member].as_str().unwrap().to_owned();
    let setting = Setting {
        credentials: Some(vec![text("access_key_id"), text("secret_access_key")]),
        region: "us-east-1",
        endpoint: &endpoint.url,
        folder: endpoint.folder(),
    };
    let arguments = arguments.iter().map(ToString::to_string).collect::<Vec<_>>();
    clients::aws(&setting, &arguments)
}

/// The answer of a call that succeeds.
fn answer(endpoint: &Endpoint, credentials: &Value, arguments: &[&str]) -> Value {
    let printed = aws(endpoint, credentials, arguments);
    assert_eq!(printed.exit_code, Some(0), "{arguments:?}: {}", printed.stderr);
    serde_json::from_str(&printed.stdout).unwrap()
}

#[test]
fn a_key_is_shared_with_another_account_and_each_use_is_in_both_logs() {
    let mut endpoint = Endpoint::start();
    let root = &endpoint.credentials["root"];
    let root = json!({"access_key_id": root.0, "secret_access_key": root.1});
    endpoint.stop();
    let other = endpoint.keytrail(&["account", "create", "444455556666"]);
    std::fs::write(endpoint.folder().join("kms.json"), MAY_USE_KEYS).unwrap();
    let as_root = ["--as", "444455556666:root"];
    let create = ["principal", "create", "trent", "--policy", "kms.json"];
    let trent = endpoint.keytrail(&[&create[..], &as_root].concat());
    let accounts = endpoint.keytrail(&["account", "list"]);
    assert_eq!(accounts, json!([{"account": "111122223333"}, {"account": "444455556666"}]));

    endpoint.serve(&[]);
    let who = answer(&endpoint, &other, &["sts", "get-caller-identity"]);
    assert_eq!(who["Arn"], "arn:aws:iam::444455556666:root");
    let key = answer(&endpoint, &root, &["kms", "create-key"]);
    let key = key["KeyMetadata"]["Arn"].as_str().unwrap();
    let encrypt = ["kms", "encrypt", "--key-id", key, "--plaintext", "hello"];
    let refused = aws(&endpoint, &trent, &encrypt);
    let text = format!(
        "An error occurred (AccessDeniedException) when calling the Encrypt operation: User: \
         arn:aws:iam::444455556666:user/trent is not authorized to perform: kms:Encrypt on resource: {key} because no \
         resource-based policy allows the kms:Encrypt action"
    );
    assert!(refused.stderr.contains(&text), "{}", refused.stderr);
    let policy = json!({"Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"}]});
    let policy = policy.to_string();
    let put = ["kms", "put-key-policy", "--key-id", key, "--policy", &policy];
    assert_eq!(aws(&endpoint, &root, &put).exit_code, Some(0));
    let sealed = answer(&endpoint, &trent, &encrypt);
    let blob = STANDARD.decode(sealed["CiphertextBlob"].as_str().unwrap()).unwrap();
    std::fs::write(endpoint.folder().join("sealed.bin"), blob).unwrap();
    let decrypt = ["kms", "decrypt", "--ciphertext-blob", "fileb://sealed.bin"];
    assert_eq!(answer(&endpoint, &trent, &decrypt)["Plaintext"], "aGVsbG8=");
    endpoint.stop();

    endpoint.keytrail(&["ingest"]);
    let sql = "SELECT recipient_account_id AS account, identity_type AS caller, shared_event_id AS shared FROM events \
               WHERE event_name = 'Decrypt' ORDER BY account";
    let rows = endpoint.keytrail(&["query", sql]);
    let rows = rows.as_array().unwrap();
    let told = rows.iter().map(|row| (row["account"].as_str(), row["caller"].as_str()));
    let expected =
        [(Some("111122223333"), Some("AWSAccount")), (Some("444455556666"), Some("IAMUser"))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let ids = rows.iter().map(|row| row["shared"].to_string()).collect::<BTreeSet<_>>();
    assert!(ids.len() == 1 && !ids.contains("null"), "{ids:?}");
    // Whoever has both logs counts the call once, and knows the caller by name.
    let uses = endpoint.keytrail(&["audit", "who-used", "--key", key]);
    let of_trent = uses.as_array().unwrap().iter().filter(|row| row["operation"] == "Decrypt");
    let of_trent = of_trent.map(|row| (row["actor"].as_str().unwrap(), row["uses"].as_i64()));
    let expected = [("arn:aws:iam::444455556666:user/trent", Some(1))];
    assert_eq!(of_trent.collect::<Vec<_>>(), expected);
    let check = ["policy", "check", "--principal", "444455556666:trent", "--action", "Encrypt"];
    let checked = endpoint.keytrail(&[&check[..], &["--key", key]].concat());
    assert_eq!(checked["decision"], "allowed", "{checked}");
    assert_eq!(endpoint.keytrail(&["verify"])["verdict"], "OK");
}
