//! Where the root key comes from, and how it is changed for another one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Home, Ran};

const DIGITS: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";
const OTHER_DIGITS: &str = "ff112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

/// Writes a passphrase's file, as a careful operator does.
fn passphrase_file(home: &Home, name: &str, passphrase: &str) -> String {
    let file = home.path().join(name);
    std::fs::write(&file, format!("{passphrase}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[track_caller]
fn fine(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "stdout: {}\nstderr: {}", ran.stdout, ran.stderr);
    ran.stdout
}

#[track_caller]
fn refused(ran: &Ran, text: &str) {
    assert_eq!(ran.code, 3, "stdout: {}\nstderr: {}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(text), "{}", ran.stderr);
}

fn root_key_text(home: &Home) -> String {
    std::fs::read_to_string(home.data().join("root.key")).unwrap()
}

#[test]
fn a_data_directory_opens_with_its_passphrase_only() {
    let home = Home::empty();
    let right = passphrase_file(&home, "right", "correct horse battery staple");
    let wrong = passphrase_file(&home, "wrong", "correct horse battery stable");
    home.ok(&["--passphrase-file", &right, "init", "--root-key", "passphrase"]);
    let text = root_key_text(&home);
    assert!(text.starts_with("keytrail-passphrase-1 argon2id m=65536 t=3 p=4 "), "{text}");
    assert!(!text.contains("horse"));

    let list = ["kms", "list-keys"];
    fine(home.run(&["--passphrase-file", &right, "kms", "create-key"]));
    let listed = fine(home.run_with(&[("KEYTRAIL_PASSPHRASE_FILE", &right)], &list));
    assert!(listed.contains("KeyArn"), "{listed}");
    refused(
        &home.run_with(&[("KEYTRAIL_PASSPHRASE_FILE", &wrong)], &list),
        "give the root key or the passphrase that is in force",
    );
    refused(&home.run(&list), "--passphrase-file");
    // The lake's catalog is signed by a key that is sealed as well.
    fine(home.run(&["--passphrase-file", &right, "ingest"]));
    refused(&home.run(&["--passphrase-file", &wrong, "ingest"]), "store-key does not open");
    // Reading and verifying need no secret.
    assert_eq!(home.json(&["verify"])["verdict"], "OK");

    std::fs::set_permissions(&right, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&home.run(&["--passphrase-file", &right, "kms", "list-keys"]), "set its mode to 0600");
    let short = passphrase_file(&home, "short", "1234567");
    refused(&home.run(&["--passphrase-file", &short, "kms", "list-keys"]), "8 bytes");
}

#[test]
fn a_root_key_in_the_environment_lies_in_no_file() {
    let home = Home::empty();
    let init = ["init", "--root-key", "environment"];
    refused(&home.run(&init), "set KEYTRAIL_ROOT_KEY");
    refused(&home.run_with(&[("KEYTRAIL_ROOT_KEY", "1234")], &init), "64 hexadecimal digits");
    assert!(!home.data().exists(), "nothing is made before there is a root key");
    fine(home.run_with(&[("KEYTRAIL_ROOT_KEY", DIGITS)], &init));
    assert_eq!(root_key_text(&home), "keytrail-environment-1\n");
    let list = ["kms", "list-keys"];
    fine(home.run_with(&[("KEYTRAIL_ROOT_KEY", DIGITS)], &list));
    refused(&home.run(&list), "set KEYTRAIL_ROOT_KEY to its 64 hexadecimal digits");
    let other = home.run_with(&[("KEYTRAIL_ROOT_KEY", OTHER_DIGITS)], &list);
    refused(&other, "store-key does not open with this root key");
    assert!(!other.stderr.contains(OTHER_DIGITS));
}

#[test]
fn the_root_key_may_lie_outside_the_data_directory() {
    let home = Home::empty();
    std::fs::create_dir(home.path().join("etc")).unwrap();
    home.ok(&["init", "--root-key-file", "etc/root.key"]);
    assert!(!home.data().join("root.key").exists());
    let file = home.path().join("etc/root.key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    home.kms("create-key", &json!({}));
    home.ok(&["root-key", "rewrap", "--to", "file"]);
    home.kms("list-keys", &json!({}));
    std::fs::remove_file(&file).unwrap();
    refused(&home.run(&["kms", "list-keys"]), "etc/root.key");
}

/// Through all sources, and back to a file; what was encrypted before opens after each, and the old root key no more.
#[test]
fn rewrapping_changes_the_root_key_and_nothing_else() {
    let home = Home::new();
    let passphrase = passphrase_file(&home, "passphrase", "correct horse battery staple");
    let key = home.kms("create-key", &json!({}))["KeyMetadata"]["KeyId"].clone();
    let sealed = home.kms("encrypt", &json!({"KeyId": key, "Plaintext": "aGVsbG8="}));
    let input = json!({"CiphertextBlob": sealed["CiphertextBlob"]}).to_string();
    let decrypt = ["kms", "decrypt", "--input", &input];
    let opens = |variables: &[(&str, &str)]| {
        let answer = fine(home.run_with(variables, &decrypt));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["Plaintext"], "aGVsbG8=");
    };
    let public_key = || std::fs::read(home.data().join("ledger/public-key")).unwrap();
    let (public_key_before, old) = (public_key(), root_key_text(&home));
    let file: PathBuf = home.data().join("root.key");

    let to_passphrase = ["root-key", "rewrap", "--to", "passphrase", "--new-passphrase-file"];
    fine(home.run(&[&to_passphrase[..], &[&passphrase]].concat()));
    opens(&[("KEYTRAIL_PASSPHRASE_FILE", &passphrase)]);

    let new = ("KEYTRAIL_NEW_ROOT_KEY", DIGITS);
    let to_environment = ["root-key", "rewrap", "--to", "environment"];
    refused(&home.run_with(&[new], &to_environment), "--passphrase-file");
    let both = [new, ("KEYTRAIL_PASSPHRASE_FILE", passphrase.as_str())];
    let said = home.run_with(&both, &to_environment);
    assert!(said.stderr.contains("KEYTRAIL_ROOT_KEY"), "{}", said.stderr);
    fine(said);
    opens(&[("KEYTRAIL_ROOT_KEY", DIGITS)]);

    fine(home.run_with(&[("KEYTRAIL_ROOT_KEY", DIGITS)], &["root-key", "rewrap", "--to", "file"]));
    opens(&[]);
    assert_eq!(public_key(), public_key_before);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let newest = root_key_text(&home);
    assert_ne!(newest, old);
    std::fs::write(&file, &old).unwrap();
    refused(&home.run(&decrypt), "does not open with this root key");
    std::fs::write(&file, &newest).unwrap();

    home.ok(&["ingest"]);
    let rows = home.rows(
        "select service_event_details from events where event_name = 'RewrapStoreKey' order by event_time",
    );
    let told = serde_json::to_string(&rows).unwrap();
    for source in ["passphrase", "environment", "file"] {
        assert!(told.contains(source), "{told}");
    }
    assert_eq!(home.json(&["verify"])["verdict"], "OK");
}
