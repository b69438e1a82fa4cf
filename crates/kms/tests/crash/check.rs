//! The judge: opens the engine after a crash and holds it to the log, and the log to every answer that was given.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter::Peekable;
use std::path::Path;
use std::slice::Iter;

use keytrail_kms::{Caller, Engine};
use keytrail_ledger::{EntryKind, Hash};
use serde_json::{Value, json};

use crate::load::CALLERS;
use crate::model::{Key, Model, key_id};
use crate::story::{HELLO, text, user_agent};

const JUDGE: &str = "crash/judge";

/// What was read so far, and what follows from it.
#[derive(Default)]
pub(crate) struct Judge {
    model: Model,
    /// Entries read, and the leaf hash of the last: it hangs on all before it.
    seen: u64,
    last: Option<Hash>,
    ids: HashSet<String>,
    /// Calls that the judge made itself since it last read the log.
    own_calls: u64,
    probes: Vec<Probe>,
    /// The first ciphertext under each material, by key and material.
    kept: BTreeMap<(String, String), usize>,
    /// How often each operation succeeded, over all rounds.
    pub(crate) successes: BTreeMap<String, u64>,
    pub(crate) answers: u64,
    pub(crate) refusals: u64,
}

/// What an answer gave that must be good as long as its key is.
struct Probe {
    key: String,
    operation: &'static str,
    input: Value,
}

/// The engine as the judge asks it; each question is one more record.
struct Questions<'a> {
    engine: &'a Engine,
    caller: Caller,
    asked: u64,
}

impl Judge {
    /// Everything that must hold after a round whose answers these are.
    pub(crate) fn check(&mut self, data: &Path, engine: &Engine, round: u64, answers: &[Value]) {
        let records = self.read_log(&data.join("ledger"), engine);
        match_answers(round, answers, &records);
        let new = self.probes.len();
        self.note(answers);
        let mut ask = Questions::new(engine);
        compare(&self.model, &mut ask);
        self.try_probes(&mut ask, new);
        self.own_calls = ask.asked;
    }

    /// All that was ever encrypted, signed and authenticated.
    pub(crate) fn check_all_probes(&mut self, engine: &Engine) {
        let mut ask = Questions::new(engine);
        self.try_probes(&mut ask, 0);
        self.own_calls += ask.asked;
    }

    pub(crate) fn probes(&self) -> usize {
        self.probes.len()
    }

    pub(crate) fn records(&self) -> usize {
        self.ids.len() / 2
    }

    /// Verifies the ledger, and feeds the model with what is new in it.
    fn read_log(&mut self, ledger: &Path, engine: &Engine) -> Vec<Value> {
        let (mut records, mut size) = (Vec::new(), 0);
        let (seen, mut last) = (self.seen, None);
        let key = engine.ledger().verifying_key();
        let report = keytrail_ledger::verify_frames(ledger, key, &mut |frame| {
            size += 1;
            last = Some(frame.entry.leaf_hash());
            if size == seen {
                assert_eq!(last, self.last, "what was read before is not what is there");
            }
            if size > seen && frame.entry.kind == EntryKind::Record {
                let mut record: Value = serde_json::from_slice(&frame.payload).unwrap();
                record["sequence"] = json!(frame.entry.sequence);
                records.push(record);
            }
        });
        assert!(report.is_ok(), "{report}");
        assert!(size >= seen, "the ledger lost entries");
        (self.seen, self.last) = (size, last);
        for record in &records {
            for id in ["eventID", "requestID"].iter().filter_map(|id| record[*id].as_str()) {
                assert!(self.ids.insert(id.to_owned()), "twice: {record}");
            }
            self.model.take(record);
            if record.get("errorCode").is_none() && record["userAgent"] != JUDGE {
                *self.successes.entry(text(record, "eventName").to_owned()).or_default() += 1;
            }
        }
        let own = records.iter().filter(|record| record["userAgent"] == JUDGE).count() as u64;
        assert_eq!(own, self.own_calls, "records of the judge's own calls");
        records
    }

    /// Counts answers, and keeps what can be tried later.
    fn note(&mut self, answers: &[Value]) {
        for line in answers {
            self.answers += 1;
            self.refusals += u64::from(line.get("error").is_some());
            let answer = &line["answer"];
            let key = || text(answer, "KeyId").rsplit('/').next().unwrap().to_owned();
            let (operation, input) = match line["call"].as_str() {
                Some("Encrypt") if answer.is_object() => {
                    let (blob, context) = (&answer["CiphertextBlob"], &line["context"]);
                    ("Decrypt", json!({ "CiphertextBlob": blob, "EncryptionContext": context }))
                }
                Some("Sign") if answer.is_object() => {
                    let (signature, algorithm) =
                        (&answer["Signature"], &answer["SigningAlgorithm"]);
                    (
                        "Verify",
                        json!({ "KeyId": key(), "Message": HELLO, "Signature": signature, "SigningAlgorithm": algorithm }),
                    )
                }
                Some("GenerateMac") if answer.is_object() => {
                    let (mac, algorithm) = (&answer["Mac"], &answer["MacAlgorithm"]);
                    (
                        "VerifyMac",
                        json!({ "KeyId": key(), "Message": HELLO, "Mac": mac, "MacAlgorithm": algorithm }),
                    )
                }
                _ => continue,
            };
            self.probes.push(Probe { key: key(), operation, input });
        }
    }

    /// Tries the probes from this one on, and one of every material that is older.
    fn try_probes(&mut self, ask: &mut Questions<'_>, from: usize) {
        let older = self.kept.values().copied().filter(|number| *number < from);
        let numbers = older.chain(from..self.probes.len()).collect::<BTreeSet<_>>();
        for number in numbers {
            let Probe { key, operation, input } = &self.probes[number];
            let answer = ask.call(operation, input);
            let state = self.model.keys.get(key).map(Key::state);
            if state != Some("Enabled") {
                assert!(answer.is_err(), "{operation} by a key that is {state:?}: {input}");
                continue;
            }
            let answer = answer.unwrap_or_else(|no| panic!("{operation} {input}: {no}"));
            if *operation == "Decrypt" {
                assert_eq!(answer["Plaintext"], HELLO, "{input}");
            }
            let material = answer["KeyMaterialId"].as_str().unwrap_or_default().to_owned();
            self.kept.entry((key.clone(), material)).or_insert(number);
        }
    }
}

impl<'a> Questions<'a> {
    fn new(engine: &'a Engine) -> Self {
        let caller = engine.root_caller().unwrap().with_user_agent(JUDGE);
        Self { engine, caller, asked: 0 }
    }

    /// The answer, times cut to seconds; or the refusal.
    fn call(&mut self, operation: &str, input: &Value) -> Result<Value, String> {
        self.asked += 1;
        let answer = self.engine.call(&self.caller, operation, input.to_string().as_bytes());
        let answer = answer.map_err(|refused| refused.to_string())?;
        Ok(in_seconds(serde_json::from_str(&answer).unwrap()))
    }

    fn list(&mut self, operation: &str, input: &Value, member: &str) -> Vec<Value> {
        let mut answer = self.call(operation, input).unwrap();
        assert_eq!(answer["Truncated"], false, "{operation}: more than one page");
        let Value::Array(items) = answer[member].take() else { panic!("{operation}: {answer}") };
        items
    }
}

/// Each answer of each caller has its record, in order, and a caller has no others but of the one call that was under way.
fn match_answers(round: u64, answers: &[Value], records: &[Value]) {
    for thread in 0..CALLERS {
        let agent = user_agent(round, thread);
        let records =
            records.iter().filter(|record| record["userAgent"] == agent).collect::<Vec<_>>();
        let mut records = records.iter().peekable();
        for answer in answers.iter().filter(|answer| answer["thread"] == thread) {
            if answer.get("user").is_some() {
                match_user(answer, &mut records);
            } else {
                let record = records.next();
                match_call(answer, record.unwrap_or_else(|| panic!("no record of {answer}")));
            }
        }
        let under_way = records.collect::<Vec<_>>();
        let of_users = under_way.iter().all(|record| record["eventSource"] == "iam.amazonaws.com");
        assert!(under_way.len() <= 1 || of_users, "calls that {agent} did not make: {under_way:?}");
    }
    let known = |agent: &str| {
        let mut callers = (0..=CALLERS).map(|thread| user_agent(round, thread));
        [JUDGE, "AWS Internal"].contains(&agent) || callers.any(|known| known == agent)
    };
    let stranger = records.iter().find(|record| !known(text(record, "userAgent")));
    assert!(stranger.is_none() || round == 0, "{stranger:?}");
}

fn match_call(answer: &Value, record: &Value) {
    assert_eq!(record["requestID"], answer["request"], "{answer} and {record}");
    assert_eq!(record["eventName"], answer["call"], "{answer} and {record}");
    let refused = answer["error"].as_str().map(|code| match code {
        "AccessDeniedException" => "AccessDenied",
        code => code,
    });
    assert_eq!(record["errorCode"].as_str(), refused, "{answer} and {record}");
    if refused.is_some() {
        return;
    }
    assert_eq!(record["eventID"], answer["event"], "{answer} and {record}");
    assert_eq!(record["sequence"], answer["sequence"], "{answer} and {record}");
    // What the answer made known is what the record says was made.
    let (told, recorded) = (&answer["answer"], &record["responseElements"]);
    if answer["call"] == "CreateKey" {
        assert_eq!(recorded["keyMetadata"]["keyId"], told["KeyMetadata"]["KeyId"], "{record}");
        assert_eq!(key_id(record).as_deref(), told["KeyMetadata"]["KeyId"].as_str(), "{record}");
    }
    for (member, name) in [("GrantId", "grantId"), ("KeyMaterialId", "keyMaterialId")] {
        if let (Some(told), Some(recorded)) = (told.get(member), recorded.get(name)) {
            assert_eq!(told, recorded, "{record}");
        }
    }
}

/// Making and deleting a user are several calls; the last of them is what the answer is about.
fn match_user(answer: &Value, records: &mut Peekable<Iter<'_, &Value>>) {
    let deleted = answer["deleted"] == true;
    loop {
        let record = records.next().unwrap_or_else(|| panic!("no record of {answer}"));
        assert_eq!(record["eventSource"], "iam.amazonaws.com", "{answer} and {record}");
        let refused = record.get("errorCode").is_some();
        assert_eq!(refused, refused && record["requestID"] == answer["request"], "{record}");
        if refused {
            return assert_eq!(record["errorCode"], answer["error"], "{answer} and {record}");
        }
        assert_eq!(record["requestParameters"]["userName"], answer["user"], "{record}");
        match text(record, "eventName") {
            "DeleteUser" if deleted => return,
            "CreateAccessKey" if !deleted => {
                let id = &record["responseElements"]["accessKey"]["accessKeyId"];
                return assert_eq!(*id, answer["access_key"], "{record}");
            }
            _ => {}
        }
    }
}

/// Asks for all there is, and compares it with what the log says.
fn compare(model: &Model, ask: &mut Questions<'_>) {
    let listed = ask.list("ListKeys", &json!({}), "Keys");
    let ids = listed.iter().map(|key| text(key, "KeyId").to_owned()).collect::<Vec<_>>();
    assert_eq!(ids, model.keys.keys().cloned().collect::<Vec<_>>(), "keys");
    for (id, key) in &model.keys {
        compare_key(id, key, ask);
    }
    let mut aliases = ask.list("ListAliases", &json!({}), "Aliases");
    // Those of AWS managed keys are there from the beginning.
    aliases.retain(|alias| alias.get("TargetKeyId").is_some());
    assert_eq!(aliases, model.aliases(), "aliases");
    ask.asked += 1;
    let users = ask.engine.users(&ask.caller).unwrap();
    let users = users.into_iter().map(|mut user| {
        user.access_key_ids.sort();
        user.policy_names.sort();
        json!({
            "name": user.user_name,
            "id": user.user_id,
            "created": user.create_date.unix_seconds(),
            "access keys": user.access_key_ids,
            "policies": user.policy_names,
        })
    });
    assert_eq!(users.collect::<Vec<_>>(), model.users(), "users");
}

fn compare_key(id: &str, key: &Key, ask: &mut Questions<'_>) {
    let named = json!({ "KeyId": id });
    let all = json!({ "KeyId": id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL" });
    // First: the other questions are no uses, but the probes are.
    assert_eq!(ask.call("GetKeyLastUsage", &named), Ok(key.last_usage()), "{id}");
    assert_eq!(ask.call("DescribeKey", &named), Ok(key.described()), "{id}");
    assert_eq!(ask.call("GetKeyPolicy", &named), Ok(key.policy()), "{id}");
    let tags = ask.list("ListResourceTags", &named, "Tags");
    let tags = tags.iter().map(|tag| (text(tag, "TagKey"), text(tag, "TagValue")));
    let expected = key.tags().iter().map(|(name, value)| (&**name, &**value));
    assert_eq!(tags.collect::<BTreeMap<_, _>>(), expected.collect(), "tags of {id}");
    assert_eq!(ask.list("ListGrants", &named, "Grants"), key.grants(), "grants of {id}");
    let rotation = ask.call("GetKeyRotationStatus", &named);
    if key.rotates_by_itself() {
        assert_eq!(rotation, Ok(key.rotation()), "{id}");
    } else {
        assert!(rotation.unwrap_err().starts_with("UnsupportedOperationException"), "{id}");
    }
    if key.is_symmetric() {
        let rotations = ask.list("ListKeyRotations", &all, "Rotations");
        assert_eq!(rotations, key.rotations(), "materials of {id}");
    }
}

/// Numbers with a fraction are times in every answer that is compared.
fn in_seconds(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let number = number.to_string();
            let (seconds, _fraction) = number.split_once('.').unwrap();
            json!(seconds.parse::<u64>().unwrap())
        }
        Value::Array(items) => items.into_iter().map(in_seconds).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, in_seconds(value))).collect()
        }
        other => other,
    }
}
