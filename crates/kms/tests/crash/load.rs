//! The program that is killed: eight callers on one engine, who do all that changes its state, and use keys in between.
//!
//! Each tells every answer that it got, refusals too, before it makes its next call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_kms::{Caller, Clock as _, Engine, ErrorCode, KmsError};
use keytrail_testkit::SeededRandom;
use serde_json::{Value, json};

use crate::story::{DAY_SECONDS, HELLO, LaterClock, below, open, report, text, user_agent};

pub(crate) const CALLERS: u64 = 8;

/// Keys that there are at most: all of them are looked at after each round.
const KEYS_MAX: usize = 8;
/// Grants of a key, after which one is ended before another is made.
const GRANTS_MAX: usize = 4;
const ALIASES: u64 = 8;

/// What the judge orders.
pub(crate) struct Orders {
    pub(crate) data: PathBuf,
    pub(crate) seed: u64,
    pub(crate) round: u64,
    pub(crate) days: u64,
    /// Answers after which the engine is closed in an orderly way; a killed program gets that far only by chance.
    pub(crate) answers: i64,
}

/// Runs until it is killed, the answers are used up, or the disk fails. Says `open`, `closing`, `closed`, `stopped`.
pub(crate) fn run(orders: &Orders) {
    let Ok(engine) = open(&orders.data, orders.days) else { return report(&json!("stopped")) };
    report(&json!("open"));
    let shared = Shared {
        keys: Mutex::new(known_keys(&engine, orders.round)),
        answers_left: AtomicI64::new(orders.answers),
        failed: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let mut worker = Worker::new(&engine, &shared, orders, number);
            scope.spawn(move || {
                while worker.goes_on() {
                    worker.turn();
                }
            });
        }
    });
    if shared.failed.load(Ordering::Relaxed) {
        assert!(engine.close().is_err(), "an engine without a ledger says that nothing was saved");
        return report(&json!("stopped"));
    }
    report(&json!("closing"));
    engine.close().unwrap();
    report(&json!("closed"));
}

/// Opens and closes: for kills in the middle of recovery.
pub(crate) fn run_recovery(data: &Path, days: u64) {
    open(data, days).unwrap().close().unwrap();
    report(&json!("closed"));
}

struct Shared {
    keys: Mutex<Vec<Known>>,
    answers_left: AtomicI64,
    failed: AtomicBool,
}

/// What callers remember of a key.
#[derive(Clone)]
struct Known {
    id: String,
    spec: String,
    origin: String,
}

impl Known {
    fn of(metadata: &Value) -> Self {
        let member = |name| text(metadata, name).to_owned();
        Self { id: member("KeyId"), spec: member("KeySpec"), origin: member("Origin") }
    }
}

impl Known {
    fn rotates(&self) -> bool {
        self.spec == "SYMMETRIC_DEFAULT" && !self.is_external()
    }

    fn is_external(&self) -> bool {
        self.origin == "EXTERNAL"
    }
}

/// The keys there are. Asked before the callers begin, under a name of its own.
fn known_keys(engine: &Engine, round: u64) -> Vec<Known> {
    let caller = engine.root_caller().unwrap().with_user_agent(&user_agent(round, CALLERS));
    let ask = |operation: &str, input: Value| -> Value {
        // A disk that is full already shows in the first real call.
        let answer = engine.call(&caller, operation, input.to_string().as_bytes());
        answer.map_or(Value::Null, |answer| serde_json::from_str(&answer).unwrap())
    };
    let listed = ask("ListKeys", json!({}));
    let keys = listed["Keys"].as_array().into_iter().flatten();
    let described = keys.map(|key| ask("DescribeKey", json!({ "KeyId": key["KeyId"] })));
    // Nobody manages those of AWS.
    let managed = described.filter(|key| key["KeyMetadata"]["KeyManager"] == "CUSTOMER");
    managed.map(|key| Known::of(&key["KeyMetadata"])).collect()
}

struct Worker<'a> {
    engine: &'a Engine,
    shared: &'a Shared,
    number: u64,
    round: u64,
    random: SeededRandom,
    clock: LaterClock,
    root: Caller,
    turns: u64,
    /// What it encrypted last, with the encryption context.
    last: Option<(Value, Value)>,
    /// Wrapping keys and import tokens by key: making one takes long.
    parameters: BTreeMap<String, Value>,
}

type Turn = fn(&mut Worker<'_>);

/// What a caller may do next, and how often it does.
const TURNS: &[(u64, Turn)] = &[
    (30, |worker| worker.use_key()),
    (8, |worker| worker.decrypt()),
    (5, |worker| worker.create_key()),
    (2, |worker| worker.on_key("ScheduleKeyDeletion", &json!({ "PendingWindowInDays": 7 }))),
    (5, |worker| worker.on_key("CancelKeyDeletion", &json!({}))),
    (9, |worker| worker.on_key("EnableKey", &json!({}))),
    (4, |worker| worker.on_key("DisableKey", &json!({}))),
    (4, |worker| worker.alias("CreateAlias")),
    (3, |worker| worker.alias("UpdateAlias")),
    (2, |worker| worker.alias("DeleteAlias")),
    (3, |worker| worker.tag()),
    (2, |worker| worker.untag()),
    (3, |worker| worker.put_policy()),
    (3, |worker| worker.describe()),
    (9, |worker| worker.grant()),
    (3, |worker| worker.enable_rotation()),
    (3, |worker| worker.on_key_where(Known::rotates, "DisableKeyRotation", &json!({}))),
    (4, |worker| worker.on_key_where(Known::rotates, "RotateKeyOnDemand", &json!({}))),
    (8, |worker| worker.import()),
    (1, |worker| worker.on_key_where(Known::is_external, "DeleteImportedKeyMaterial", &json!({}))),
    (4, |worker| worker.user()),
    (4, |worker| worker.as_user()),
    (1, |worker| worker.look_at_aws_managed()),
    (2, |worker| worker.nonsense()),
];

impl<'a> Worker<'a> {
    fn new(engine: &'a Engine, shared: &'a Shared, orders: &Orders, number: u64) -> Self {
        let Orders { seed, round, days, .. } = *orders;
        let agent = user_agent(round, number);
        Self {
            engine,
            shared,
            number,
            round,
            random: SeededRandom::new(seed ^ (round << 8) ^ number),
            clock: LaterClock { days },
            root: engine.root_caller().unwrap().with_user_agent(&agent),
            turns: 0,
            last: None,
            parameters: BTreeMap::new(),
        }
    }

    fn goes_on(&self) -> bool {
        let Shared { answers_left, failed, .. } = self.shared;
        answers_left.load(Ordering::Relaxed) > 0 && !failed.load(Ordering::Relaxed)
    }

    fn turn(&mut self) {
        self.turns += 1;
        let mut rest = self.below(TURNS.iter().map(|(weight, _)| weight).sum());
        for (weight, turn) in TURNS {
            match rest.checked_sub(*weight) {
                Some(less) => rest = less,
                None => return turn(self),
            }
        }
    }

    fn below(&self, limit: u64) -> u64 {
        below(&self.random, limit)
    }

    fn one_of<'b, T>(&self, several: &'b [T]) -> Option<&'b T> {
        let place = self.below(several.len().max(1) as u64);
        several.get(usize::try_from(place).unwrap())
    }

    fn key(&self) -> Option<Known> {
        self.key_where(|_| true)
    }

    fn key_where(&self, wanted: impl Fn(&Known) -> bool) -> Option<Known> {
        let mut keys = self.shared.keys.lock().unwrap().clone();
        keys.retain(wanted);
        self.one_of(&keys).cloned()
    }

    /// One call of root's, told with its answer; `None` if it was refused.
    fn call(&self, operation: &str, input: &Value) -> Option<Value> {
        self.call_as(&self.root, operation, input)
    }

    fn call_as(&self, caller: &Caller, operation: &str, input: &Value) -> Option<Value> {
        match self.engine.call(caller, operation, input.to_string().as_bytes()) {
            Ok(answer) => {
                let told: Value = serde_json::from_str(&answer).unwrap();
                self.tell(json!({
                    "call": operation,
                    "request": answer.request_id().to_string(),
                    "event": answer.event_id().to_string(),
                    "sequence": answer.sequence(),
                    "context": input["EncryptionContext"],
                    "answer": told,
                }));
                Some(told)
            }
            Err(refused) => {
                self.tell_refusal(json!({ "call": operation }), &refused);
                None
            }
        }
    }

    fn tell(&self, mut line: Value) {
        line["thread"] = json!(self.number);
        report(&line);
        self.shared.answers_left.fetch_sub(1, Ordering::Relaxed);
    }

    /// An internal error is no answer: whether the call is on record is for the log to say.
    fn tell_refusal(&self, mut line: Value, refused: &KmsError) {
        if refused.code() == ErrorCode::KMSInternalException {
            self.shared.failed.store(true, Ordering::Relaxed);
            return;
        }
        line["request"] = json!(refused.request_id().to_string());
        line["error"] = json!(refused.code().to_string());
        self.tell(line);
    }

    fn on_key(&self, operation: &str, members: &Value) {
        self.on_key_where(|_| true, operation, members);
    }

    fn on_key_where(&self, wanted: impl Fn(&Known) -> bool, operation: &str, members: &Value) {
        let Some(key) = self.key_where(wanted) else { return };
        let mut input = members.clone();
        input["KeyId"] = json!(key.id);
        self.call(operation, &input);
    }

    fn use_key(&mut self) {
        let Some(Known { id, spec, .. }) = self.key() else { return self.create_key() };
        let signing = match spec.as_str() {
            "SYMMETRIC_DEFAULT" => {
                let context = json!({ "name": format!("{}-{}", self.number, self.turns) });
                let input =
                    json!({ "KeyId": id, "Plaintext": HELLO, "EncryptionContext": context });
                let sealed = self.call("Encrypt", &input);
                let sealed = sealed.map(|sealed| (sealed["CiphertextBlob"].clone(), context));
                self.last = sealed.or(self.last.take());
                return;
            }
            "HMAC_256" => {
                let input =
                    json!({ "KeyId": id, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256" });
                self.call("GenerateMac", &input);
                return;
            }
            "ECC_NIST_P256" => "ECDSA_SHA_256",
            "ECC_NIST_EDWARDS25519" => "ED25519_SHA_512",
            "ML_DSA_44" => "ML_DSA_SHAKE_256",
            _ => "RSASSA_PSS_SHA_256",
        };
        let input = json!({ "KeyId": id, "Message": HELLO, "SigningAlgorithm": signing });
        self.call("Sign", &input);
    }

    fn decrypt(&mut self) {
        if let Some((blob, context)) = &self.last {
            let input = json!({ "CiphertextBlob": blob, "EncryptionContext": context });
            self.call("Decrypt", &input);
        }
    }

    fn create_key(&mut self) {
        const KINDS: &[(&str, &str, &str)] = &[
            ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS"),
            ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL"),
            ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS"),
            ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL"),
            ("HMAC_256", "GENERATE_VERIFY_MAC", "AWS_KMS"),
            ("ECC_NIST_P256", "SIGN_VERIFY", "AWS_KMS"),
            ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "AWS_KMS"),
            ("ML_DSA_44", "SIGN_VERIFY", "AWS_KMS"),
            ("RSA_2048", "SIGN_VERIFY", "AWS_KMS"),
        ];
        if self.shared.keys.lock().unwrap().len() >= KEYS_MAX {
            return;
        }
        // There is always one that rotates, and one that is imported into.
        let missing = [Known::rotates, Known::is_external]
            .iter()
            .position(|kind| self.key_where(kind).is_none());
        let kind = match missing {
            Some(place) => &KINDS[place],
            None => self.one_of(KINDS).unwrap(),
        };
        let (spec, usage, origin) = kind;
        let mut input = json!({
            "KeySpec": spec, "KeyUsage": usage, "Origin": origin,
            "Description": format!("made by {}", self.name()),
        });
        if self.below(2) == 0 {
            input["Policy"] = json!(policy(&self.name()));
            input["Tags"] = json!([{ "TagKey": "made", "TagValue": self.name() }]);
        }
        if let Some(made) = self.call("CreateKey", &input) {
            self.shared.keys.lock().unwrap().push(Known::of(&made["KeyMetadata"]));
        }
    }

    /// A text that nobody else writes.
    fn name(&self) -> String {
        format!("{}-{}-{}", self.round, self.number, self.turns)
    }

    fn alias(&self, operation: &str) {
        let Some(key) = self.key() else { return };
        let name = format!("alias/{}", self.below(ALIASES));
        let mut input = json!({ "AliasName": name, "TargetKeyId": key.id });
        if operation == "DeleteAlias" {
            input = json!({ "AliasName": name });
        }
        self.call(operation, &input);
    }

    fn tag(&mut self) {
        let tag = json!({ "TagKey": format!("t{}", self.below(4)), "TagValue": self.name() });
        self.on_key("TagResource", &json!({ "Tags": [tag] }));
    }

    fn untag(&mut self) {
        let names = [0, 1].map(|_| format!("t{}", self.below(4)));
        self.on_key("UntagResource", &json!({ "TagKeys": names }));
    }

    fn put_policy(&mut self) {
        self.on_key("PutKeyPolicy", &json!({ "Policy": policy(&self.name()) }));
    }

    fn describe(&mut self) {
        self.on_key("UpdateKeyDescription", &json!({ "Description": self.name() }));
    }

    fn enable_rotation(&mut self) {
        let days = 90 + self.below(30);
        let period = json!({ "RotationPeriodInDays": days });
        self.on_key_where(Known::rotates, "EnableKeyRotation", &period);
    }

    /// Makes a grant, or ends one of a key that has several.
    fn grant(&mut self) {
        let Some(key) = self.key() else { return };
        let Some(listed) = self.call("ListGrants", &json!({ "KeyId": key.id })) else { return };
        let grants = listed["Grants"].as_array().unwrap();
        if grants.len() >= GRANTS_MAX || self.below(3) == 0 {
            let Some(grant) = self.one_of(grants) else { return };
            let operation = if self.below(2) == 0 { "RevokeGrant" } else { "RetireGrant" };
            self.call(operation, &json!({ "KeyId": grant["KeyId"], "GrantId": grant["GrantId"] }));
            return;
        }
        let grantee = format!("arn:aws:iam::111122223333:user/user-{}", self.below(CALLERS));
        let mut input = json!({ "KeyId": key.id, "GranteePrincipal": grantee,
            "Operations": ["DescribeKey", "GetPublicKey"] });
        if key.spec == "SYMMETRIC_DEFAULT" {
            input["Operations"] = json!(["Encrypt", "RetireGrant"]);
            input["Constraints"] = json!({ "EncryptionContextSubset": { "by": "grant" } });
            input["RetiringPrincipal"] = json!("arn:aws:iam::111122223333:root");
        } else if key.spec == "HMAC_256" {
            input["Operations"] = json!(["GenerateMac", "VerifyMac"]);
        }
        if self.below(2) == 0 {
            input["Name"] = json!(format!("n{}", self.below(2)));
        }
        self.call("CreateGrant", &input);
    }

    /// Imports one of three materials, or the same again, for good or for a day.
    fn import(&mut self) {
        let Some(key) = self.key_where(Known::is_external) else { return };
        if !self.parameters.contains_key(&key.id) {
            let input = json!({ "KeyId": key.id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048" });
            let Some(got) = self.call("GetParametersForImport", &input) else { return };
            self.parameters.insert(key.id.clone(), got);
        }
        let parameters = &self.parameters[&key.id];
        let material = [u8::try_from(self.below(3)).unwrap(); 32];
        let wrapped = wrap(text(parameters, "PublicKey"), &material);
        let mut input = json!({ "KeyId": key.id, "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": wrapped, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE" });
        if self.below(3) > 0 {
            input["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
            input["ValidTo"] = json!(self.clock.now().unix_seconds() + DAY_SECONDS);
        }
        if self.below(2) == 0 {
            input["ImportType"] = json!("NEW_KEY_MATERIAL");
            input["KeyMaterialDescription"] = json!(self.name());
        }
        self.call("ImportKeyMaterial", &input);
    }

    /// Makes the user that is this caller's to make, or deletes it with all it has. Both are several calls.
    fn user(&mut self) {
        let name = format!("user-{}", self.number);
        let deletes = self.below(2) == 0;
        let statement = r#"{"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}"#;
        let policy = format!(r#"{{"Statement": {statement}}}"#);
        let done = if deletes {
            self.engine.delete_user(&self.root, &name).map(|()| None)
        } else {
            let created = self.engine.create_user(&self.root, &name, &[("may-encrypt", &policy)]);
            created.map(|access_key| Some(access_key.id.to_string()))
        };
        let line = json!({ "user": name, "deleted": deletes });
        match done {
            Ok(access_key) => {
                let mut line = line;
                line["access_key"] = json!(access_key);
                self.tell(line);
            }
            Err(refused) => self.tell_refusal(line, &refused),
        }
    }

    /// Something that a user may do, and something that it may by a grant only.
    fn as_user(&mut self) {
        let name = format!("user-{}", self.below(CALLERS));
        let (Ok(caller), Some(key)) = (self.engine.caller_named(&name), self.key()) else {
            return;
        };
        let caller = caller.with_user_agent(self.root_agent().as_str());
        let context = json!({ "by": "grant", "name": self.name() });
        let input = json!({ "KeyId": key.id, "Plaintext": HELLO, "EncryptionContext": context });
        self.call_as(&caller, "Encrypt", &input);
        self.call_as(&caller, "DescribeKey", &json!({ "KeyId": key.id }));
    }

    fn root_agent(&self) -> String {
        user_agent(self.round, self.number)
    }

    /// The first who looks at the alias has the key made.
    fn look_at_aws_managed(&mut self) {
        let service = ["sns", "sqs"][usize::try_from(self.below(2)).unwrap()];
        self.call("DescribeKey", &json!({ "KeyId": format!("alias/aws/{service}") }));
    }

    /// Calls that cannot succeed. They are on record like all others.
    fn nonsense(&mut self) {
        self.call("NoSuchOperation", &json!({}));
        self.call("Encrypt", &json!({ "KeyId": "alias/none", "Plaintext": HELLO }));
        self.call("Encrypt", &json!([]));
    }
}

/// A policy under which root can do everything, and that differs from all others.
fn policy(name: &str) -> String {
    let root = r#""Principal": {"AWS": "arn:aws:iam::111122223333:root"}"#;
    format!(
        r#"{{"Statement": [{{"Sid": "{name}", "Effect": "Allow", {root}, "Action": "kms:*", "Resource": "*"}}]}}"#
    )
}

/// Wraps material as a client does.
fn wrap(public_key: &str, material: &[u8]) -> String {
    let key = PublicEncryptingKey::from_der(&STANDARD.decode(public_key).unwrap()).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let mut out = vec![0; key.ciphertext_size()];
    STANDARD.encode(key.encrypt(&OAEP_SHA256_MGF1SHA256, material, &mut out, None).unwrap())
}
