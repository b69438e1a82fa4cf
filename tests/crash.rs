//! `kill -9`, twenty times, of a process that runs eight concurrent callers on one engine.
//!
//! The story: whoever got an answer was promised that the record of it is durable. So the child prints a line for every
//! answer it got; the parent kills it after some of them, opens the engine again, and holds it to its word: every
//! acknowledged call is in the ledger, exactly once, every acknowledged key is there and works, the ledger verifies, and
//! nothing half-written is visible. The rounds go on in one data directory, so that recovery meets its own leftovers.
//!
//! This test has a `main` of its own, because it is also the program that it kills.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the child reports its answers, the parent its result")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use keytrail_event::{AccountId, Region};
use keytrail_kms::{Config, Engine, Environment, OsRandom, RootKey, SystemClock};
use keytrail_ledger::{EntryKind, Origin, Reader};
use serde_json::{Value, json};

const ROUNDS: usize = 20;
const CALLERS: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, data, round] = &arguments[..]
        && flag == "--be-killed"
    {
        return be_killed(Path::new(data), round);
    }
    every_acknowledged_call_survives();
    println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
}

fn open(data: &Path) -> Engine {
    let root_key = RootKey::load(&data.join("root.key")).unwrap();
    Engine::open(data, config(), root_key, environment()).unwrap()
}

fn config() -> Config {
    Config {
        account: AccountId::parse("111122223333").unwrap(),
        regions: vec![Region::parse("eu-central-1").unwrap()],
        origin: Origin::new("example.org/crash").unwrap(),
    }
}

fn environment() -> Environment {
    Environment { clock: Arc::new(SystemClock), random: Arc::new(OsRandom) }
}

fn call(engine: &Engine, operation: &str, input: &Value) -> Value {
    let caller = engine.root_caller().unwrap();
    let answer = engine.call(&caller, operation, input.to_string().as_bytes()).unwrap();
    serde_json::from_str(answer.json()).unwrap()
}

/// The child: eight callers that never stop, each printing what was acknowledged, and only then.
fn be_killed(data: &Path, round: &str) {
    let engine = open(data);
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let engine = &engine;
            scope.spawn(move || {
                for turn in 0.. {
                    let name = format!("{round}-{number}-{turn}");
                    let line = one_turn(engine, &name);
                    // One write for one line: lines of several threads must not mix.
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

/// A key with its alias, or some use of a key; each call carries its `name`, and the line says what was acknowledged.
fn one_turn(engine: &Engine, name: &str) -> String {
    if name.ends_with('0') {
        let key = call(engine, "CreateKey", &json!({ "Description": name }));
        let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
        let alias = format!("alias/{name}");
        call(engine, "CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": id }));
        return format!("key {name} {id}\n");
    }
    let context = json!({ "name": name });
    let sealed = call(
        engine,
        "Encrypt",
        &json!({ "KeyId": "alias/first", "Plaintext": "aGVsbG8=", "EncryptionContext": context }),
    );
    format!("use {name} {}\n", sealed["CiphertextBlob"].as_str().unwrap())
}

fn every_acknowledged_call_survives() {
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path();
    let root_key = RootKey::generate(&OsRandom);
    root_key.save(&data.join("root.key")).unwrap();
    let (engine, _) = Engine::create(data, config(), root_key, environment()).unwrap();
    let key = call(&engine, "CreateKey", &json!({}));
    let id = &key["KeyMetadata"]["KeyId"];
    call(&engine, "CreateAlias", &json!({ "AliasName": "alias/first", "TargetKeyId": id }));
    drop(engine);

    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // Another number of answers each round, so that the kill meets another moment.
        let lines = answers_until_killed(data, round, 20 + round * 17);
        assert!(!lines.is_empty());
        acknowledged.extend(lines);
        check(data, &acknowledged);
    }
    println!("{ROUNDS} kills, {} acknowledged calls, none lost", acknowledged.len());
}

/// Starts the child, kills it after `count` answers, and returns every answer that it gave.
fn answers_until_killed(data: &Path, round: usize, count: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([PathBuf::from("--be-killed"), data.to_owned(), round.to_string().into()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut answers = Vec::new();
    let mut line = String::new();
    // What lies in the pipe after the kill was acknowledged too; only an unfinished line was not.
    while reader.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        answers.push(line.trim_end().to_owned());
        line.clear();
        if answers.len() == count {
            child.kill().unwrap(); // SIGKILL
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success() && answers.len() >= count, "the child ended by itself: {status}");
    answers
}

/// Opens the engine again and holds it to every answer that was ever given.
fn check(data: &Path, acknowledged: &[String]) {
    let engine = open(data);
    let ledger = data.join("ledger");
    let report = keytrail_ledger::verify(&ledger, engine.ledger().verifying_key());
    assert!(report.is_ok(), "{report}");
    let recorded = recorded_names(&ledger);
    for answer in acknowledged {
        let [kind, name, value] = answer.split(' ').collect::<Vec<_>>()[..] else {
            panic!("no answer of the child's: {answer}")
        };
        assert_eq!(recorded.get(name), Some(&1), "records of {answer}");
        if kind == "key" {
            let described =
                call(&engine, "DescribeKey", &json!({ "KeyId": format!("alias/{name}") }));
            assert_eq!(described["KeyMetadata"]["KeyId"], value, "{answer}");
            assert_eq!(described["KeyMetadata"]["Description"], name, "{answer}");
        }
    }
    // One ciphertext a round is enough to show that material outlives the crash.
    if let Some(answer) = acknowledged.iter().rfind(|answer| answer.starts_with("use ")) {
        let [_, name, blob] = answer.split(' ').collect::<Vec<_>>()[..] else { unreachable!() };
        let input = json!({ "CiphertextBlob": blob, "EncryptionContext": { "name": name } });
        assert_eq!(call(&engine, "Decrypt", &input)["Plaintext"], "aGVsbG8=");
    }
}

/// How many records of a successful `CreateKey` or `Encrypt` bear each name. Every record must be whole JSON.
fn recorded_names(ledger: &Path) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for frame in Reader::open(ledger).unwrap().frames(0) {
        let frame = frame.unwrap();
        if frame.entry.kind != EntryKind::Record {
            continue;
        }
        let record: Value = serde_json::from_slice(&frame.payload).unwrap();
        let parameters = &record["requestParameters"];
        let name = match record["eventName"].as_str().unwrap() {
            "CreateKey" => &parameters["description"],
            "Encrypt" => &parameters["encryptionContext"]["name"],
            _ => continue,
        };
        if let (Some(name), None) = (name.as_str(), record.get("errorCode")) {
            *names.entry(name.to_owned()).or_default() += 1;
        }
    }
    names
}
