//! Every operation, every member of its request, everything that a member must not be.
//!
//! The public API model is data (`schemas/kms-api.json`: names, types, bounds, enumerations). From it this test makes a
//! request with all required members, spoils one member at a time, and expects a refusal: AWS's validation error, or a
//! serialization error where the JSON has another type. What an operation refuses in words of its own is listed here. Nothing
//! is ever a server error, and each call leaves one record.

use serde_json::{Map, Value, json};

use crate::support::Bench;

const MODEL: &str = include_str!("../../../../schemas/kms-api.json");

/// Members whose faults are refused in other words: operation (or `*`), member (or `*`), code.
const OTHER_WORDS: &[(&str, &str, &str)] = &[
    // Not here whatever they say, so only what names the store is read.
    ("CreateCustomKeyStore", "*", "UnsupportedOperationException"),
    ("UpdateCustomKeyStore", "*", "UnsupportedOperationException"),
    ("*", "Recipient", "UnsupportedOperationException"),
];

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is not there, or null.
    Missing,
    /// Another JSON type, or text that is no base64: the request cannot be read.
    Type,
    /// A length, size or word outside the constraints.
    Constraint,
}

struct Model {
    operations: Map<String, Value>,
    types: Map<String, Value>,
}

impl Model {
    fn load() -> Self {
        let model: Value = serde_json::from_str(MODEL).unwrap();
        let part = |name: &str| model[name].as_object().unwrap().clone();
        Self { operations: part("operations"), types: part("types") }
    }

    fn kind(&self, name: &str) -> (&str, &Value) {
        let name = name.trim_end_matches('!');
        let kind = self.types[name].as_object().unwrap();
        let (word, detail) = kind.iter().find(|(word, _)| *word != "length").unwrap();
        (word, detail)
    }

    /// A value that fits the type, as small as can be.
    fn good(&self, name: &str) -> Value {
        let (word, detail) = self.kind(name);
        let least = detail.get(0).and_then(Value::as_u64).unwrap_or(1).max(1);
        match word {
            "text" => json!("a".repeat(usize::try_from(least).unwrap())),
            "blob" => json!(base64(usize::try_from(least).unwrap())),
            "integer" => json!(least),
            "enum" => detail[0].clone(),
            "flag" => json!(false),
            "time" => json!(1_800_000_000),
            "list" => json!([self.good(detail.as_str().unwrap())]),
            "map" => json!({"a": "b"}),
            "object" => {
                let required =
                    detail.as_object().unwrap().iter().filter(|(_, kind)| is_required(kind));
                required
                    .map(|(name, kind)| (name.clone(), self.good(kind.as_str().unwrap())))
                    .collect()
            }
            other => panic!("unknown type {other}"),
        }
    }

    /// Values that do not fit the type.
    fn bad(&self, name: &str) -> Vec<(Value, Fault)> {
        use Fault::{Constraint, Type};
        let (word, detail) = self.kind(name);
        let bound = |place: usize| detail.get(place).and_then(Value::as_u64);
        let size = |length: u64| usize::try_from(length).unwrap();
        let mut bad = wrong_types(word).into_iter().map(|value| (value, Type)).collect::<Vec<_>>();
        match word {
            "text" => {
                let shorter = bound(0).and_then(|least| least.checked_sub(1));
                let longer = bound(1).map(|most| most + 1);
                let lengths = shorter.into_iter().chain(longer);
                bad.extend(lengths.map(|length| (json!("a".repeat(size(length))), Constraint)));
            }
            "blob" => {
                let lengths = [Some(0), bound(1).map(|most| most + 1)].into_iter().flatten();
                bad.extend(lengths.map(|length| (json!(base64(size(length))), Constraint)));
                bad.extend(["*", "YQ", "YQ=", "Y\u{0}Q="].map(|text| (json!(text), Type)));
            }
            "integer" => {
                let ends = [json!(bound(0).unwrap() - 1), json!(bound(1).unwrap() + 1), json!(-1)];
                bad.extend(ends.map(|number| (number, Constraint)));
                bad.extend([json!(1.5), json!(1e300)].map(|number| (number, Type)));
            }
            "enum" => bad.extend(
                ["", "NONSENSE", "sYMMETRIC_default"].map(|text| (json!(text), Constraint)),
            ),
            "list" => {
                let item = detail.as_str().unwrap();
                bad.extend(self.bad(item).into_iter().map(|(item, fault)| (json!([item]), fault)));
                let longest = self.types[name.trim_end_matches('!')]["length"][1].as_u64();
                let many = longest.map(|most| vec![self.good(item); size(most) + 1]);
                bad.extend(many.map(|many| (json!(many), Constraint)));
            }
            "map" => bad.extend(
                [json!({"a": 7}), json!({"a": null}), json!({"a": ["b"]})].map(|map| (map, Type)),
            ),
            "object" => {
                for (member, kind) in detail.as_object().unwrap() {
                    let mut good = self.good(name);
                    for (value, fault) in self.bad(kind.as_str().unwrap()) {
                        good[member] = value;
                        bad.push((good.clone(), fault));
                    }
                    if is_required(kind) {
                        good.as_object_mut().unwrap().remove(member);
                        bad.push((good, Fault::Missing));
                    }
                }
            }
            _ => {}
        }
        bad
    }
}

fn is_required(kind: &Value) -> bool {
    kind.as_str().unwrap().ends_with('!')
}

fn wrong_types(word: &str) -> Vec<Value> {
    let all = [
        ("text enum blob", json!("text")),
        ("integer time", json!(7)),
        ("flag", json!(true)),
        ("list", json!([])),
        ("map object", json!({})),
    ];
    let others = all.into_iter().filter(|(words, _)| !words.split(' ').any(|own| own == word));
    others.map(|(_, value)| value).collect()
}

fn base64(bytes: usize) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(vec![0; bytes])
}

/// A spoiled request that was not refused as it should be.
struct Wrong {
    operation: String,
    member: String,
    code: String,
    what: String,
}

impl Wrong {
    /// Whether this is a refusal in words of its own.
    fn is_in(&self, (operation, member, code): &(&str, &str, &str)) -> bool {
        [&*self.operation, "*"].contains(operation)
            && [&*self.member, "*"].contains(member)
            && self.code == *code
    }
}

/// Checks one spoiled request.
fn check(
    bench: &Bench,
    operation: &str,
    member: &str,
    input: &Value,
    fault: Fault,
) -> Option<Wrong> {
    let before = bench.engine().ledger().size();
    let answer = bench.call(operation, &input.to_string());
    let wrong = |code: &str, what: &str| {
        let input = input.to_string().chars().take(200).collect::<String>();
        let what = format!("{operation}.{member} ({fault:?}) {what}: {input}");
        let [operation, member, code] = [operation, member, code].map(str::to_owned);
        Some(Wrong { operation, member, code, what })
    };
    if bench.engine().ledger().size() != before + 1 {
        return wrong("", "did not leave one record");
    }
    let Err(refused) = answer else { return wrong("", "was accepted") };
    if refused.http_status() != 400 {
        return wrong("", "was a server error");
    }
    let (code, message) = (refused.code().as_str(), refused.message().unwrap_or_default());
    let place = format!("{}{}", member[..1].to_lowercase(), &member[1..]);
    let fits = match fault {
        Fault::Type => code == "SerializationException",
        Fault::Constraint | Fault::Missing => {
            code == "ValidationException" && message.contains(&format!(" at '{place}"))
        }
    };
    if fits { None } else { wrong(code, &format!("answered {refused}")) }
}

/// A request with all required members, about this key.
fn request(model: &Model, members: &Map<String, Value>, key: &str) -> Map<String, Value> {
    let required = members.iter().filter(|(_, kind)| is_required(kind));
    let value = |(name, kind): (&String, &Value)| {
        let value = match name.as_str() {
            "KeyId" | "TargetKeyId" | "DestinationKeyId" => json!(key),
            "AliasName" => json!("alias/a"),
            _ => model.good(kind.as_str().unwrap()),
        };
        (name.clone(), value)
    };
    required.map(value).collect()
}

#[test]
fn no_member_of_any_request_may_be_what_the_model_forbids() {
    let model = Model::load();
    let bench = Bench::new();
    let key = bench.key();
    let (mut calls, mut wrong) = (0, Vec::new());
    for (operation, members) in &model.operations {
        let members = members.as_object().unwrap();
        let request = request(&model, members, &key);
        for (member, kind) in members {
            let mut spoiled = model.bad(kind.as_str().unwrap());
            if is_required(kind) {
                spoiled.push((Value::Null, Fault::Missing));
                let mut input = request.clone();
                input.remove(member);
                wrong.extend(check(&bench, operation, member, &input.into(), Fault::Missing));
                calls += 1;
            }
            for (value, fault) in spoiled {
                let mut input = request.clone();
                input.insert(member.clone(), value);
                wrong.extend(check(&bench, operation, member, &input.into(), fault));
                calls += 1;
            }
        }
    }
    assert!(calls > 1500, "{calls} calls");
    for known in OTHER_WORDS {
        let before = wrong.len();
        wrong.retain(|wrong| !wrong.is_in(known));
        assert!(wrong.len() < before, "{known:?} is refused in AWS's words by now");
    }
    let wrong = wrong.into_iter().map(|wrong| wrong.what).collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} of {calls} calls:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_optional_member_that_is_null_is_no_server_error() {
    let model = Model::load();
    let bench = Bench::new();
    for (operation, members) in &model.operations {
        let members = members.as_object().unwrap();
        for (member, kind) in members {
            if is_required(kind) {
                continue;
            }
            let mut input = request(&model, members, "1234abcd-12ab-34cd-56ef-1234567890ab");
            input.insert(member.clone(), Value::Null);
            if let Err(refused) = bench.call(operation, &Value::from(input).to_string()) {
                assert_eq!(refused.http_status(), 400, "{operation}.{member}");
            }
        }
    }
}

#[test]
fn the_model_has_each_operation_that_the_engine_knows_and_no_type_too_many() {
    let model = Model::load();
    assert_eq!(model.operations.len(), 54);
    let bench = Bench::new();
    for operation in model.operations.keys() {
        let known = bench.call(operation, "[]").unwrap_err();
        assert_ne!(known.code().as_str(), "UnknownOperationException", "{operation}");
    }
    let text = MODEL.replace('!', "");
    for name in model.types.keys() {
        assert!(
            text.matches(&format!(": \"{name}\"")).count()
                + text.matches(&format!("[\"{name}")).count()
                > 0
                || text.contains(&format!(", \"{name}\"]")),
            "nothing has the type {name}"
        );
    }
}
