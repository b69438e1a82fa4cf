//! After reopening, the state is what it was, and it is what the log says.

use std::collections::BTreeMap;

use keytrail_event::AccountId;
use keytrail_kms::{Config, EngineError, RootKey};
use keytrail_ledger::Origin;
use keytrail_testkit::SeededRandom;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::import;
use crate::support::{Bench, DAY_NS, HELLO, config, root_key, text};

/// What a test does; the number chooses among the keys there are.
#[derive(Debug, Clone)]
enum Step {
    Create,
    /// An operation that is told nothing but its key.
    Named(&'static str, usize),
    Schedule(usize),
    Alias(usize, u8),
    MoveAlias(usize, u8),
    DropAlias(u8),
    Describe(usize, u8),
    Tag(usize, u8),
    Untag(usize, u8),
    CreateExternal,
    /// Which key, which bytes, and whether they are said to be new.
    Import(usize, u8, bool),
    Policy(usize),
    Encrypt(usize),
    CreateUser(u8),
    DeleteUser(u8),
    Days(u64),
    /// The engine's clock is moved forward by so many days.
    MoveClock(u64),
    Reopen(Snapshot),
}

/// What becomes of the snapshot while the engine is closed.
#[derive(Debug, Clone, Copy)]
enum Snapshot {
    Kept,
    Removed,
    Damaged,
    /// The first one that there was: an old copy put back.
    Old,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..8_usize;
    prop_oneof![
        3 => Just(Step::Create),
        2 => which.clone().prop_map(|key| Step::Named("EnableKey", key)),
        2 => which.clone().prop_map(|key| Step::Named("DisableKey", key)),
        2 => which.clone().prop_map(Step::Schedule),
        2 => which.clone().prop_map(|key| Step::Named("CancelKeyDeletion", key)),
        2 => (which.clone(), 0..6_u8).prop_map(|(key, name)| Step::Alias(key, name)),
        1 => (which.clone(), 0..6_u8).prop_map(|(key, name)| Step::MoveAlias(key, name)),
        1 => (0..6_u8).prop_map(Step::DropAlias),
        1 => (which.clone(), 0..6_u8).prop_map(|(key, text)| Step::Describe(key, text)),
        2 => (which.clone(), 0..6_u8).prop_map(|(key, tag)| Step::Tag(key, tag)),
        1 => (which.clone(), 0..6_u8).prop_map(|(key, tag)| Step::Untag(key, tag)),
        1 => Just(Step::CreateExternal),
        4 => (which.clone(), 0..3_u8, any::<bool>())
            .prop_map(|(key, bytes, new)| Step::Import(key, bytes, new)),
        1 => which.clone().prop_map(|key| Step::Named("DeleteImportedKeyMaterial", key)),
        2 => which.clone().prop_map(|key| Step::Named("EnableKeyRotation", key)),
        1 => which.clone().prop_map(|key| Step::Named("DisableKeyRotation", key)),
        2 => which.clone().prop_map(|key| Step::Named("RotateKeyOnDemand", key)),
        1 => which.clone().prop_map(Step::Policy),
        3 => which.prop_map(Step::Encrypt),
        1 => (0..3_u8).prop_map(Step::CreateUser),
        1 => (0..3_u8).prop_map(Step::DeleteUser),
        2 => prop_oneof![1..9_u64, 100..400_u64].prop_map(Step::Days),
        1 => (1..100_u64).prop_map(Step::MoveClock),
        3 => prop_oneof![
            Just(Snapshot::Kept),
            Just(Snapshot::Removed),
            Just(Snapshot::Damaged),
            Just(Snapshot::Old)
        ].prop_map(Step::Reopen),
    ]
}

/// A bench, with what the test remembers beside it.
struct Story {
    bench: Bench,
    keys: Vec<String>,
    blobs: Vec<(String, String)>,
    old_snapshot: Option<Vec<u8>>,
}

impl Story {
    /// One step. Whether the engine permits it is its affair: the test is about what is remembered.
    fn take(&mut self, step: &Step) {
        let key =
            |which: &usize| self.keys.get(*which).cloned().unwrap_or_else(|| "none".to_owned());
        let call = |operation: &str, input: Value| self.bench.call(operation, &input.to_string());
        match step {
            Step::Named(operation, which) => drop(call(operation, json!({"KeyId": key(which)}))),
            Step::CreateExternal => self.keys.push(import::external_key(&self.bench)),
            Step::Import(which, bytes, new) => {
                let key = key(which);
                self.import(&key, *bytes, *new);
            }
            Step::Create => self.keys.push(self.bench.key()),
            Step::Schedule(which) => {
                drop(call(
                    "ScheduleKeyDeletion",
                    json!({"KeyId": key(which), "PendingWindowInDays": 7}),
                ));
            }
            Step::Alias(which, name) => {
                let alias =
                    json!({"AliasName": format!("alias/{name}"), "TargetKeyId": key(which)});
                drop(call("CreateAlias", alias));
            }
            Step::MoveAlias(which, name) => {
                let alias =
                    json!({"AliasName": format!("alias/{name}"), "TargetKeyId": key(which)});
                drop(call("UpdateAlias", alias));
            }
            Step::DropAlias(name) => {
                drop(call("DeleteAlias", json!({"AliasName": format!("alias/{name}")})));
            }
            Step::Describe(which, text) => {
                let text = json!({"KeyId": key(which), "Description": text.to_string()});
                drop(call("UpdateKeyDescription", text));
            }
            Step::Tag(which, tag) => {
                let tags = json!([{"TagKey": tag.to_string(), "TagValue": "x"}]);
                drop(call("TagResource", json!({"KeyId": key(which), "Tags": tags})));
            }
            Step::Untag(which, tag) => {
                let names = json!({"KeyId": key(which), "TagKeys": [tag.to_string()]});
                drop(call("UntagResource", names));
            }
            Step::Policy(which) => {
                let statement =
                    r#"{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}"#;
                let policy = format!(r#"{{"Statement": {statement}}}"#);
                drop(call("PutKeyPolicy", json!({"KeyId": key(which), "Policy": policy})));
            }
            Step::Encrypt(which) => {
                let key = key(which);
                if let Ok(answer) = call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})) {
                    self.blobs.push((key, text(&answer, "CiphertextBlob").to_owned()));
                }
            }
            Step::CreateUser(name) => {
                let (engine, root) = (self.bench.engine(), self.bench.root());
                drop(engine.create_user(&root, &format!("user-{name}"), &[]));
            }
            Step::DeleteUser(name) => {
                drop(self.bench.engine().delete_user(&self.bench.root(), &format!("user-{name}")));
            }
            Step::Days(days) => self.bench.advance(days * DAY_NS),
            Step::MoveClock(days) => self.bench.move_clock(*days),
            Step::Reopen(snapshot) => self.reopen(*snapshot),
        }
    }

    /// Imports material that expires in a year, if the key is made for that.
    fn import(&mut self, key: &str, bytes: u8, new: bool) {
        let described = self.bench.call("DescribeKey", &json!({"KeyId": key}).to_string());
        let takes = |key: Value| {
            let key = &key["KeyMetadata"];
            key["Origin"] == "EXTERNAL" && key["KeyState"] != "PendingDeletion"
        };
        if !described.is_ok_and(takes) {
            return;
        }
        let parameters = import::Parameters::new(&self.bench, key);
        let mut request = parameters.request(&[bytes; 32]);
        if new {
            request["ImportType"] = json!("NEW_KEY_MATERIAL");
        }
        drop(self.bench.call("ImportKeyMaterial", &request.to_string()));
    }

    fn reopen(&mut self, snapshot: Snapshot) {
        let before = view(&self.bench);
        let old = &mut self.old_snapshot;
        self.bench.reopen(|bench| {
            let path = bench.snapshot_file();
            let content = std::fs::read(&path).unwrap();
            let old = old.get_or_insert_with(|| content.clone());
            match snapshot {
                Snapshot::Kept => {}
                Snapshot::Removed => std::fs::remove_file(path).unwrap(),
                Snapshot::Damaged => {
                    let mut content = content;
                    let middle = content.len() / 2;
                    content[middle] ^= 1;
                    std::fs::write(path, content).unwrap();
                }
                Snapshot::Old => std::fs::write(path, old).unwrap(),
            }
        });
        assert_eq!(view(&self.bench), before, "after reopening with the snapshot {snapshot:?}");
    }

    /// Everything that was encrypted opens, unless its key may not be used.
    fn check_blobs(&self) {
        for (key, blob) in &self.blobs {
            let opened = self.bench.call("Decrypt", &json!({"CiphertextBlob": blob}).to_string());
            match self.bench.call("DescribeKey", &json!({"KeyId": key}).to_string()) {
                Ok(key) if key["KeyMetadata"]["Enabled"] == true => {
                    assert_eq!(opened.unwrap()["Plaintext"], HELLO);
                }
                _ => assert!(opened.is_err()),
            }
        }
    }
}

/// All that the API shows of the state.
fn view(bench: &Bench) -> Value {
    let call = |operation: &str, input: Value| bench.call(operation, &input.to_string()).unwrap();
    let keys = call("ListKeys", json!({}));
    let keys = keys["Keys"].as_array().unwrap().iter().map(|entry| {
        let key = json!({"KeyId": entry["KeyId"]});
        let all_materials =
            json!({"KeyId": entry["KeyId"], "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        json!({
            "metadata": call("DescribeKey", key.clone()),
            "policy": call("GetKeyPolicy", key.clone()),
            "tags": call("ListResourceTags", key.clone()),
            "rotation": bench.call("GetKeyRotationStatus", &key.to_string()).ok(),
            "last use": call("GetKeyLastUsage", key),
            "materials": call("ListKeyRotations", all_materials),
        })
    });
    let users = bench.engine().users(&bench.root()).unwrap();
    json!({
        "keys": keys.collect::<Vec<_>>(),
        "aliases": call("ListAliases", json!({}))["Aliases"],
        "clock": bench.engine().clock_offset().as_secs(),
        "users": users.iter().map(|user| format!("{user:?}")).collect::<Vec<_>>(),
    })
}

/// What there is to compare: states of keys, their current materials, targets of aliases.
#[derive(Debug, Default, PartialEq)]
struct Told {
    keys: BTreeMap<String, String>,
    materials: BTreeMap<String, String>,
    aliases: BTreeMap<String, String>,
}

/// The state as an auditor derives it: from the records alone.
fn told_by_the_log(bench: &Bench) -> Told {
    let mut aliases = BTreeMap::new();
    let mut keys = BTreeMap::<String, KeyStory>::new();
    for record in bench.records() {
        if record.get("errorCode").is_some() || record["eventSource"] != "kms.amazonaws.com" {
            continue;
        }
        let resources = record["resources"].as_array().into_iter().flatten();
        let mut arns = resources.map(|resource| text(resource, "ARN"));
        let key_arn = arns.find(|arn| arn.contains(":key/")).unwrap_or_default();
        let key = || key_arn.rsplit('/').next().unwrap_or_default().to_owned();
        let alias = || text(&record["requestParameters"], "aliasName").to_owned();
        match text(&record, "eventName") {
            "CreateKey" => {
                let metadata = &record["responseElements"]["keyMetadata"];
                let material = metadata["currentKeyMaterialId"].as_str();
                let lasting = material.map(|id| (id.to_owned(), true)).into_iter().collect();
                keys.insert(key(), KeyStory { state: "Enabled", lasting, waiting: None });
            }
            "RotateKey" => {
                let current = text(&record["serviceEventDetails"], "currentKeyMaterialId");
                let key = keys.get_mut(&key()).unwrap();
                key.lasting.push((current.to_owned(), true));
                key.waiting = None;
            }
            "ImportKeyMaterial" => {
                let id = text(&record["responseElements"], "keyMaterialId");
                keys.get_mut(&key()).unwrap().import(id);
            }
            "DeleteImportedKeyMaterial" | "DeleteExpiredKeyMaterial" => {
                let told = [&record["responseElements"], &record["serviceEventDetails"]];
                let id = told.iter().find_map(|told| told["keyMaterialId"].as_str());
                if let Some(id) = id {
                    keys.get_mut(&key()).unwrap().delete(id);
                }
            }
            "EnableKey" => keys.get_mut(&key()).unwrap().state = "Enabled",
            "DisableKey" | "CancelKeyDeletion" => {
                keys.get_mut(&key()).unwrap().state = "Disabled";
            }
            "ScheduleKeyDeletion" => keys.get_mut(&key()).unwrap().state = "PendingDeletion",
            "DeleteKey" => {
                keys.remove(&key());
                aliases.retain(|_, target| *target != key());
            }
            "CreateAlias" | "UpdateAlias" => drop(aliases.insert(alias(), key())),
            "DeleteAlias" => drop(aliases.remove(&alias())),
            _ => {}
        }
    }
    let current =
        |(id, key): (&String, &KeyStory)| Some((id.clone(), key.lasting.last()?.0.clone()));
    let materials = keys.iter().filter_map(current).collect();
    let keys = keys.iter().map(|(id, key)| (id.clone(), key.status().to_owned())).collect();
    Told { keys, materials, aliases }
}

/// What an auditor follows of a key.
struct KeyStory {
    state: &'static str,
    /// Materials, oldest first, and whether they are there.
    lasting: Vec<(String, bool)>,
    waiting: Option<String>,
}

impl KeyStory {
    fn is_complete(&self) -> bool {
        !self.lasting.is_empty() && self.lasting.iter().all(|(_, there)| *there)
    }

    fn status(&self) -> &'static str {
        match self.state {
            "PendingDeletion" => "PendingDeletion",
            _ if !self.is_complete() => "PendingImport",
            state => state,
        }
    }

    fn import(&mut self, id: &str) {
        let missed = !self.is_complete();
        if let Some((_, there)) = self.lasting.iter_mut().find(|(known, _)| known == id) {
            *there = true;
        } else if self.lasting.is_empty() {
            self.lasting.push((id.to_owned(), true));
        } else {
            self.waiting = Some(id.to_owned());
        }
        if missed && self.is_complete() {
            self.state = "Enabled";
        }
    }

    fn delete(&mut self, id: &str) {
        self.lasting
            .iter_mut()
            .filter(|(known, _)| known == id)
            .for_each(|(_, there)| *there = false);
        self.waiting.take_if(|waiting| waiting == id);
    }
}

fn shown_by_the_engine(bench: &Bench) -> Told {
    let view = view(bench);
    let told = |member: &str| {
        let keys =
            view["keys"].as_array().unwrap().iter().map(|key| &key["metadata"]["KeyMetadata"]);
        let told =
            |key: &Value| Some((text(key, "KeyId").to_owned(), key[member].as_str()?.to_owned()));
        keys.filter_map(told).collect()
    };
    let aliases = view["aliases"].as_array().unwrap().iter();
    let aliases = aliases.filter(|alias| alias.get("TargetKeyId").is_some());
    let aliases = aliases
        .map(|alias| (text(alias, "AliasName").to_owned(), text(alias, "TargetKeyId").to_owned()));
    Told {
        keys: told("KeyState"),
        materials: told("CurrentKeyMaterialId"),
        aliases: aliases.collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_story_is_remembered(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..30)) {
        let bench = Bench::seeded(seed);
        let mut story = Story { bench, keys: Vec::new(), blobs: Vec::new(), old_snapshot: None };
        for step in &steps {
            story.take(step);
        }
        story.reopen(Snapshot::Removed);
        story.check_blobs();
        prop_assert_eq!(shown_by_the_engine(&story.bench), told_by_the_log(&story.bench));
    }
}

#[test]
fn a_key_whose_date_passed_while_closed_is_deleted_on_opening() {
    let mut bench = Bench::new();
    let key = bench.key();
    bench
        .call("ScheduleKeyDeletion", &json!({"KeyId": key, "PendingWindowInDays": 7}).to_string())
        .unwrap();
    bench.reopen(|bench| bench.advance(8 * DAY_NS));
    let last: Value = serde_json::from_str(&bench.last_record()).unwrap();
    assert_eq!(
        (text(&last, "eventName"), text(&last, "eventType")),
        ("DeleteKey", "AwsServiceEvent")
    );
    // Nor does it come back when the whole log is replayed, or when the clock goes back.
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    assert!(bench.call("DescribeKey", &json!({"KeyId": key}).to_string()).is_err());
    assert_eq!(
        bench.records().iter().filter(|record| record["eventName"] == "DeleteKey").count(),
        1
    );
}

#[test]
fn another_configuration_or_root_key_is_refused() {
    let mut bench = Bench::new();
    bench.close();
    let check = |change: fn(&mut Config), expected: &str| {
        let mut config = config();
        change(&mut config);
        let refused = bench.open_with(config, root_key()).err().unwrap();
        assert_eq!(refused.to_string(), expected);
    };
    check(
        |config| config.origin = Origin::new("other.example").unwrap(),
        "the data directory has origin test.example/keytrail, the configuration says other.example",
    );
    check(
        |config| config.account = AccountId::parse("444455556666").unwrap(),
        "the data directory has account 111122223333, the configuration says 444455556666",
    );
    check(|config| config.regions.clear(), "there must be at least one Region");
    check(|config| config.regions.extend_from_within(..1), "us-east-1 is configured twice");
    let other = RootKey::generate(&SeededRandom::new(1));
    assert!(matches!(bench.open_with(config(), other), Err(EngineError::WrongRootKey { .. })));
    bench.open().unwrap();
}

#[test]
fn a_directory_in_use_or_made_already_is_refused() {
    let bench = Bench::new();
    assert!(matches!(bench.open(), Err(EngineError::Ledger { .. })));
    let environment = keytrail_kms::Environment::system();
    let again = keytrail_kms::Engine::create(bench.data(), config(), root_key(), environment);
    assert!(matches!(again, Err(EngineError::Ledger { .. })));
    // Refusing left the signing key alone.
    bench.call("ListKeys", "{}").unwrap();
}
