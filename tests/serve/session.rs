//! The cases of a file: reading, running, comparing.
//!
//! ```toml
//! [[case]]
//! name = "alice encrypts a file"
//! as = "alice"                                   # root, alice, mallory, anonymous, wrong-secret, unknown-key
//! run = ["kms", "encrypt", "--key-id", "${key}"]  # arguments of `aws`, or …
//! call = "kms.encrypt"                           # … a method of boto3, with
//! input = { KeyId = "${key}" }
//! answer = { KeyId = "*" }                       # members that the answer has at least; "*" is any text
//! text = "…"                                     # instead: exactly what `aws` prints
//! error = "An error occurred (…) when calling the … operation: …"   # instead: what both clients say; a last … is any end
//! save = { key = "KeyMetadata.KeyId" }           # ${key} from here on
//! save_bytes = { "sealed.bin" = "CiphertextBlob" }  # base64 of the answer, into a file
//! record = { eventName = "Encrypt" }             # members of the one record it leaves; without it, it leaves none
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clients::{self, Boto3, Setting};
use crate::endpoint::Endpoint;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Files that are there from the start.
    #[serde(default)]
    files: BTreeMap<String, String>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "root")]
    r#as: String,
    #[serde(default = "us_east_1")]
    region: String,
    #[serde(default)]
    clock_seconds: i64,
    run: Option<Vec<String>>,
    call: Option<String>,
    #[serde(default)]
    input: Map<String, Value>,
    answer: Option<Value>,
    text: Option<String>,
    error: Option<String>,
    #[serde(default)]
    save: BTreeMap<String, String>,
    #[serde(default)]
    save_bytes: BTreeMap<String, String>,
    record: Option<Value>,
}

fn root() -> String {
    "root".to_owned()
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

/// What a client said, in either client's case.
struct Said {
    answer: Value,
    text: String,
    error: Option<String>,
    /// Only boto3 tells.
    request_id: Option<String>,
}

/// Runs a file of cases; what they saved.
pub(crate) fn run(endpoint: &Endpoint, text: &str) -> BTreeMap<String, String> {
    let file: File = toml::from_str(text).unwrap();
    for (name, content) in &file.files {
        std::fs::write(endpoint.folder().join(name), content).unwrap();
    }
    let mut saved = BTreeMap::new();
    let mut boto3 = None;
    let mut seen = endpoint.records().len();
    for case in &file.case {
        let said = say(endpoint, case, &saved, &mut boto3);
        compare(case, &said, &saved);
        for (name, path) in &case.save {
            saved.insert(name.clone(), member(&said.answer, path).to_owned());
        }
        for (name, path) in &case.save_bytes {
            let bytes = STANDARD.decode(member(&said.answer, path)).unwrap();
            std::fs::write(endpoint.folder().join(name), bytes).unwrap();
        }
        let records = endpoint.records();
        compare_records(case, &said, &saved, &records[seen..]);
        seen = records.len();
    }
    saved
}

fn say(
    endpoint: &Endpoint,
    case: &Case,
    saved: &BTreeMap<String, String>,
    boto3: &mut Option<Boto3>,
) -> Said {
    let setting = Setting {
        credentials: credentials(endpoint, &case.r#as),
        region: &case.region,
        endpoint: &endpoint.url,
        folder: endpoint.folder(),
    };
    if let Some(arguments) = &case.run {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| filled_in(argument, saved)).collect();
        let printed = clients::aws(&setting, &arguments);
        let answer = serde_json::from_str(&printed.stdout).unwrap_or_default();
        let error = (!printed.succeeded).then(|| printed.stderr.trim().to_owned());
        return Said { answer, text: printed.stdout, error, request_id: None };
    }
    let method =
        case.call.as_deref().unwrap_or_else(|| panic!("{}: neither run nor call", case.name));
    let input = replaced(&Value::Object(case.input.clone()), saved);
    let boto3 = boto3.get_or_insert_with(Boto3::start);
    let mut said = boto3.call(&setting, method, &input, case.clock_seconds);
    let text = |member: &Value| member.as_str().map(str::to_owned);
    let (error, request_id) = (text(&said["error"]), text(&said["request_id"]));
    Said { answer: said["answer"].take(), text: String::new(), error, request_id }
}

fn credentials(endpoint: &Endpoint, name: &str) -> Option<(String, String)> {
    let root = &endpoint.credentials["root"];
    match name {
        "anonymous" => None,
        "wrong-secret" => Some((root.0.clone(), "wrong".to_owned())),
        "unknown-key" => Some(("AKIAAAAAAAAAAAAAAAAA".to_owned(), root.1.clone())),
        name => Some(endpoint.credentials[name].clone()),
    }
}

fn compare(case: &Case, said: &Said, saved: &BTreeMap<String, String>) {
    let name = &case.name;
    match (&case.error, &said.error) {
        (Some(expected), Some(error)) => {
            let expected = filled_in(expected, saved);
            match expected.strip_suffix('…') {
                Some(start) => assert!(error.starts_with(start), "{name}: {error}"),
                None => assert_eq!(*error, expected, "{name}"),
            }
        }
        (None, Some(error)) => panic!("{name}: {error}"),
        (Some(expected), None) => panic!("{name}: no error, but {expected:?} was expected"),
        (None, None) => {}
    }
    if let Some(text) = &case.text {
        assert_eq!(said.text, filled_in(text, saved), "{name}");
    }
    if let Some(expected) = &case.answer {
        require(name, "answer", &replaced(expected, saved), &said.answer);
    }
}

fn compare_records(case: &Case, said: &Said, saved: &BTreeMap<String, String>, records: &[Value]) {
    let name = &case.name;
    let Some(expected) = &case.record else {
        assert!(records.is_empty(), "{name}: leaves {records:?}");
        return;
    };
    assert_eq!(records.len(), 1, "{name}: leaves {records:?}");
    require(name, "record", &replaced(expected, saved), &records[0]);
    assert_eq!(records[0]["sourceIPAddress"], "127.0.0.1", "{name}");
    if let Some(request_id) = &said.request_id {
        assert_eq!(records[0]["requestID"], **request_id, "{name}");
    }
}

/// Whether a value has at least the expected members; lists have the same length.
fn require(case: &str, place: &str, expected: &Value, found: &Value) {
    match (expected, found) {
        (Value::Object(members), Value::Object(_)) => {
            for (name, member) in members {
                require(case, &format!("{place}.{name}"), member, &found[name]);
            }
        }
        (Value::Array(items), Value::Array(others)) => {
            assert_eq!(items.len(), others.len(), "{case}: {place} is {found}");
            for (position, (item, other)) in items.iter().zip(others).enumerate() {
                require(case, &format!("{place}[{position}]"), item, other);
            }
        }
        // TOML has no null.
        (Value::String(text), _) if text == "null" => {
            assert!(found.is_null(), "{case}: {place} is {found}");
        }
        (Value::String(any), Value::String(_)) if any == "*" => {}
        _ => assert_eq!(found, expected, "{case}: {place}"),
    }
}

fn member<'a>(answer: &'a Value, path: &str) -> &'a str {
    let found = path.split('.').fold(answer, |value, name| &value[name]);
    found.as_str().unwrap_or_else(|| panic!("{path} is no text in {answer}"))
}

fn replaced(value: &Value, saved: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => filled_in(text, saved).into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, saved)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (filled_in(name, saved), replaced(member, saved)))
            .collect(),
        other => other.clone(),
    }
}

fn filled_in(text: &str, saved: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in saved {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    assert!(!text.contains("${"), "{text}: not saved by an earlier case");
    text
}
