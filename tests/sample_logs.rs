//! `sample-logs/` is made here, by the engine and the corpus generator, and compared byte for byte with what is committed.
//!
//! Two parts in AWS's key layout: a week of a made-up company (generator), and an hour of this project's own engine, whose
//! records were taken out of its ledger. Everything ambient is given, so the files never change by themselves:
//! `UPDATE_SAMPLE_LOGS=1 cargo test --test sample_logs` writes them anew after a deliberate change.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_event::{AccountId, Region, Timestamp};
use keytrail_kms::{Caller, Config, Engine, Environment, RootKey};
use keytrail_ledger::{EntryKind, Origin, Reader};
use keytrail_testkit::{SeededRandom, SteppingClock};
use keytrail_trail::corpus::{self, CorpusOptions};
use keytrail_trail::{Unique, log_file_key, write_log};
use serde_json::{Value, json};
use tempfile::TempDir;

const ENGINE_ACCOUNT: &str = "000000000000";
const ENGINE_REGION: &str = "us-east-1";

#[test]
fn sample_logs_are_what_the_project_makes() {
    let made = TempDir::new().unwrap();
    generated_week(made.path());
    engine_hour(made.path());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-logs");
    #[expect(clippy::disallowed_methods, reason = "the switch that writes goldens is a variable")]
    let update = std::env::var_os("UPDATE_SAMPLE_LOGS");
    if update.is_some() {
        let _ = fs::remove_dir_all(committed.join("AWSLogs"));
        for (name, bytes) in files(made.path(), made.path()) {
            let path = committed.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let (made, mut committed) = (files(made.path(), made.path()), files(&committed, &committed));
    committed.remove(Path::new("README.md"));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&made));
    for (name, bytes) in &made {
        assert!(committed[name] == *bytes, "{} differs: see this file's head", name.display());
    }
    let size: usize = made.values().map(Vec::len).sum();
    assert!(size < 200_000, "a sample of {size} bytes is no sample");
}

fn generated_week(out: &Path) {
    corpus::generate(&CorpusOptions::sample(), out, &mut |_| ()).unwrap();
}

/// Keys made, used, misused, disabled and scheduled for deletion: one of everything that the engine writes.
fn engine_hour(out: &Path) {
    let data = TempDir::new().unwrap();
    let random = Arc::new(SeededRandom::new(2026));
    let clock = Arc::new(SteppingClock::new("2026-01-02T09:00:00Z", 45));
    let config = Config {
        account: AccountId::parse(ENGINE_ACCOUNT).unwrap(),
        regions: vec![Region::parse(ENGINE_REGION).unwrap()],
        origin: Origin::new("keytrail.local/sample").unwrap(),
    };
    let root_key = RootKey::generate(random.as_ref());
    let environment = Environment { clock, random };
    let (engine, _) = Engine::create(data.path(), config, root_key, environment).unwrap();
    use_engine(&engine);
    drop(engine);
    let frames = Reader::open(&data.path().join("ledger")).unwrap().frames(0);
    let records: Vec<Vec<u8>> = frames
        .map(Result::unwrap)
        .filter(|frame| frame.entry.kind == EntryKind::Record)
        .map(|frame| frame.payload)
        .collect();
    let name = log_file_key(
        &AccountId::parse(ENGINE_ACCOUNT).unwrap(),
        &Region::parse(ENGINE_REGION).unwrap(),
        Timestamp::parse_event_time("2026-01-02T10:05:00Z").unwrap(),
        Unique::from_random([7; 16]),
    );
    let path = out.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, write_log(records.iter().map(Vec::as_slice))).unwrap();
}

fn use_engine(engine: &Engine) {
    let root = engine.root_caller().unwrap();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*" }],
    });
    let policy = policy.to_string();
    engine.create_user(&root, "alice", &[("invoices", policy.as_str())]).unwrap();
    engine.create_user(&root, "mallory", &[]).unwrap();
    let alice = engine.caller_named("alice").unwrap();
    let mallory = engine.caller_named("mallory").unwrap();
    let key = call(engine, &root, "CreateKey", &json!({ "Description": "invoices" })).unwrap();
    let id = &key["KeyMetadata"]["KeyId"];
    let alias = json!({ "AliasName": "alias/invoices", "TargetKeyId": id });
    call(engine, &root, "CreateAlias", &alias).unwrap();
    for number in 0..12 {
        let context = json!({ "invoice": number.to_string() });
        let request = json!({
            "KeyId": "alias/invoices", "Plaintext": "aGVsbG8=", "EncryptionContext": context,
        });
        let sealed = call(engine, &alice, "Encrypt", &request).unwrap();
        let request =
            json!({ "CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": context });
        call(engine, &alice, "Decrypt", &request).unwrap();
        call(engine, &mallory, "Decrypt", &request).unwrap_err();
    }
    call(engine, &root, "DisableKey", &json!({ "KeyId": id })).unwrap();
    let request = json!({ "KeyId": id, "Plaintext": "aGVsbG8=" });
    call(engine, &alice, "Encrypt", &request).unwrap_err();
    call(engine, &root, "EnableKey", &json!({ "KeyId": id })).unwrap();
    let data_key = json!({ "KeyId": id, "KeySpec": "AES_256" });
    call(engine, &root, "GenerateDataKey", &data_key).unwrap();
    let deletion = json!({ "KeyId": id, "PendingWindowInDays": 7 });
    call(engine, &root, "ScheduleKeyDeletion", &deletion).unwrap();
    call(engine, &alice, "Encrypt", &request).unwrap_err();
    call(engine, &root, "CancelKeyDeletion", &json!({ "KeyId": id })).unwrap();
    for read in ["ListKeys", "ListAliases"] {
        call(engine, &root, read, &json!({})).unwrap();
    }
    call(engine, &root, "DescribeKey", &json!({ "KeyId": id })).unwrap();
}

fn call(engine: &Engine, caller: &Caller, operation: &str, input: &Value) -> Result<Value, String> {
    let answer = engine.call(caller, operation, input.to_string().as_bytes());
    let answer = answer.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(answer.json()).unwrap())
}

/// The files below a folder by their relative names.
fn files(root: &Path, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(root, &path));
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
    found
}
