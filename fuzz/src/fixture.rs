//! The data directory that every story begins with: a key of each kind, a user, a grant, and what was made with them.
//!
//! It is made once and copied before each story that follows a change, so that a finding can be repeated from its input
//! alone. Clock and randomness are given. Keys are found by alias; what cannot be known beforehand has a name that is
//! replaced in the input:
//!
//! ```text
//! alias/aes  alias/other  alias/disabled  alias/deleted  alias/external  alias/hmac  alias/p256  alias/ecdh
//! alias/ed25519  alias/mldsa  alias/rsa (encrypts)  alias/rsasign
//! $KEY $ARN $MATERIAL of alias/aes           $BLOB of "hello" under it      $GRANT_ID $GRANT_TOKEN on it, for alice
//! $RSA_BLOB of "hello" under alias/rsa       $SIGNATURE by alias/p256       $MAC by alias/hmac, both of "hello"
//! $PUBLIC_KEY of alias/ecdh                  $IMPORT_TOKEN for alias/external
//! $SHARED, the ARN of alias/other, whose policy allows the other account, 444455556666
//! $PRIMARY, the ARN of a multi-Region key that has a replica in the other Region
//! $ABROAD, the ARN of alias/aes in the other Region; $ROLE, which alice may assume; $SESSION_TOKEN of its session
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keytrail_auth::AccessKey;
use keytrail_event::{Region, Timestamp};
use keytrail_kms::{
    AssumeRoleRequest, Caller, Clock, Config, CreateRoleRequest, Engine, Environment, RootKey,
    SessionCredentials,
};
use keytrail_ledger::{Origin, Reader};
use keytrail_testkit::{Image, START_NS, SeededRandom};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::script::Who;

/// The plaintext, message, and secret of everything that is made, in base64.
pub(crate) const HELLO: &str = "aGVsbG8=";

/// Aliases, and what the keys behind them are.
const KEYS: [(&str, &str, &str, &str); 12] = [
    ("aes", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS"),
    ("other", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS"),
    ("disabled", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS"),
    ("deleted", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS"),
    ("external", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL"),
    ("hmac", "HMAC_256", "GENERATE_VERIFY_MAC", "AWS_KMS"),
    ("p256", "ECC_NIST_P256", "SIGN_VERIFY", "AWS_KMS"),
    ("ecdh", "ECC_NIST_P256", "KEY_AGREEMENT", "AWS_KMS"),
    ("ed25519", "ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "AWS_KMS"),
    ("mldsa", "ML_DSA_44", "SIGN_VERIFY", "AWS_KMS"),
    ("rsa", "RSA_2048", "ENCRYPT_DECRYPT", "AWS_KMS"),
    ("rsasign", "RSA_2048", "SIGN_VERIFY", "AWS_KMS"),
];

/// What alice may do, beside what her grant allows.
const ALICE: &str = r#"{"Statement": {"Effect": "Allow", "Action": ["kms:List*", "kms:Describe*", "kms:Get*"],
    "Resource": "*", "Condition": {"StringNotEquals": {"kms:RequestAlias": "alias/other"}}}}"#;

/// The role, whom it trusts, and what its sessions may do.
const ROLE: &str = "arn:aws:iam::111122223333:role/app";
const TRUST: &str = r#"{"Statement": {"Effect": "Allow", "Action": "sts:*",
    "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}}"#;
const MOST: &str =
    r#"{"Statement": {"Effect": "Allow", "NotAction": "kms:PutKeyPolicy", "Resource": "*"}}"#;

/// The policy of the key that two accounts share.
const SHARED: &str = r#"{"Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS":
    ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]}}}"#;

/// A clock that stands still until it is moved.
pub(crate) struct GivenClock(AtomicU64);

impl Clock for GivenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Entries of a ledger, counted.
pub(crate) struct Recorded {
    /// A call between accounts is one, with a record in the log of each.
    pub(crate) calls: usize,
    pub(crate) changes: usize,
}

/// The data directory, and what is known about it.
pub(crate) struct Fixture {
    folder: TempDir,
    pristine: Image,
    clock: Arc<GivenClock>,
    pub(crate) root: AccessKey,
    pub(crate) alice: AccessKey,
    /// The root user of another account.
    pub(crate) stranger: AccessKey,
    /// Of a role, made when it all begins.
    pub(crate) session: SessionCredentials,
    /// As it is proven to be then. Whether it is over is found out at each call.
    pub(crate) session_caller: Caller,
    words: Vec<(&'static str, String)>,
}

impl Fixture {
    /// Makes it.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let clock = Arc::new(GivenClock(AtomicU64::new(START_NS)));
        let data = folder.path().join("data");
        let made = Engine::create(&data, config(), root_key(), environment(&clock, 1));
        let (engine, root) = made.expect("an engine");
        let caller = engine.root_caller().expect("root");
        let alice = engine.create_user(&caller, "alice", &[("few", ALICE)]).expect("alice");
        let stranger = engine.create_account(&caller, &"444455556666".parse().expect("digits"));
        let stranger = stranger.expect("an account");
        let session = assume(&engine, &alice);
        let session_caller = engine.caller_for_session(&session).expect("it has begun");
        let mut words = furnish(&engine);
        words.push(("$ROLE", ROLE.to_owned()));
        words.push(("$SESSION_TOKEN", session.session_token.to_string()));
        engine.close().expect("closed");
        let pristine = Image::read(&data);
        Self { folder, pristine, clock, root, alice, stranger, session, session_caller, words }
    }

    /// The engine over a fresh copy, at the time when it all begins. No other must be open.
    pub(crate) fn open(&self) -> Engine {
        self.pristine.write(&self.data());
        self.clock.0.store(START_NS, Ordering::Relaxed);
        Engine::open(&self.data(), config(), root_key(), self.environment())
            .expect("the copy opens")
    }

    /// Its randomness is another than what the directory was made with: what is random never comes again, and the engine
    /// relies on that.
    pub(crate) fn environment(&self) -> Environment {
        environment(&self.clock, 2)
    }

    pub(crate) fn advance(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).expect("a wait is bounded");
        self.clock.0.fetch_add(nanos, Ordering::Relaxed);
    }

    /// `20260102T030405Z`.
    pub(crate) fn date(&self) -> String {
        self.clock.now().event_time().chars().filter(|letter| !"-:".contains(*letter)).collect()
    }

    /// The input with every name replaced by what it stands for; each at most 8 times, so that it stays small.
    pub(crate) fn fill_in(&self, input: &[u8]) -> Vec<u8> {
        let mut text = input.to_vec();
        for (name, value) in &self.words {
            for _ in 0..8 {
                let Some(at) = find(&text, name.as_bytes()) else { break };
                text.splice(at..at + name.len(), value.bytes());
            }
        }
        text
    }

    /// What a name stands for.
    pub(crate) fn word(&self, name: &str) -> &str {
        let found = self.words.iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Entries that are durable and signed.
    pub(crate) fn entries(&self) -> u64 {
        self.reader().checkpoint().size
    }

    /// What is on record from this sequence on.
    pub(crate) fn recorded_since(&self, sequence: u64) -> Recorded {
        let mut changes = 0;
        let mut requests = BTreeSet::new();
        for frame in self.reader().frames(sequence) {
            let frame = frame.expect("a sound ledger");
            changes += usize::from(!frame.state.is_empty());
            let Ok(record) = serde_json::from_slice::<Value>(&frame.payload) else { continue };
            // What the engine does by itself, also in another Region because of a call, is no call.
            let by_itself = record["userIdentity"].get("invokedBy").is_some();
            if record["eventType"] == "AwsApiCall" && !by_itself {
                requests.insert(record["requestID"].to_string());
            }
        }
        Recorded { calls: requests.len(), changes }
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.data().join("ledger")).expect("a sound ledger")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// Makes the role, and a session of it.
fn assume(engine: &Engine, alice: &AccessKey) -> SessionCredentials {
    let root = engine.root_caller().expect("root");
    let request = CreateRoleRequest {
        trust_policy: TRUST,
        policies: &[("most", MOST)],
        ..CreateRoleRequest::default()
    };
    engine.create_role(&root, "app", &request).expect("a role");
    let alice = engine.caller_for_access_key(alice.id.as_str()).expect("alice");
    let request =
        AssumeRoleRequest { role_arn: ROLE, session_name: "run1", ..AssumeRoleRequest::default() };
    engine.assume_role(&alice, &request).expect("a session")
}

/// Makes the keys and what is made with them.
fn furnish(engine: &Engine) -> Vec<(&'static str, String)> {
    for (alias, spec, usage, origin) in KEYS {
        let made = ask(
            engine,
            "CreateKey",
            &json!({"KeySpec": spec, "KeyUsage": usage, "Origin": origin}),
        );
        let id = text(&made["KeyMetadata"], "KeyId");
        ask(
            engine,
            "CreateAlias",
            &json!({"AliasName": format!("alias/{alias}"), "TargetKeyId": id}),
        );
    }
    let key = ask(engine, "DescribeKey", &json!({"KeyId": "alias/aes"}));
    let key = &key["KeyMetadata"];
    let id = text(key, "KeyId");
    let id_of = |alias: &str| {
        let key = ask(engine, "DescribeKey", &json!({"KeyId": format!("alias/{alias}")}));
        text(&key["KeyMetadata"], "KeyId")
    };
    ask(engine, "DisableKey", &json!({"KeyId": id_of("disabled")}));
    ask(
        engine,
        "ScheduleKeyDeletion",
        &json!({"KeyId": id_of("deleted"), "PendingWindowInDays": 7}),
    );
    let encrypt = |key: &str, algorithm: &str| {
        let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
        text(&ask(engine, "Encrypt", &input), "CiphertextBlob")
    };
    let grant = json!({"KeyId": id, "GranteePrincipal": "arn:aws:iam::111122223333:user/alice",
        "Operations": ["Encrypt", "Decrypt", "RetireGrant"]});
    let grant = ask(engine, "CreateGrant", &grant);
    let signature =
        json!({"KeyId": "alias/p256", "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let mac = json!({"KeyId": "alias/hmac", "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
    let import = json!({"KeyId": id_of("external"), "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048"});
    let import = ask(engine, "GetParametersForImport", &import);
    ask(engine, "PutKeyPolicy", &json!({"KeyId": id_of("other"), "Policy": SHARED}));
    let shared =
        text(&ask(engine, "DescribeKey", &json!({"KeyId": "alias/other"}))["KeyMetadata"], "Arn");
    let primary = ask(engine, "CreateKey", &json!({"MultiRegion": true}));
    let primary = text(&primary["KeyMetadata"], "Arn");
    ask(engine, "ReplicateKey", &json!({"KeyId": primary, "ReplicaRegion": Who::Abroad.region()}));
    let abroad = ask_as(Who::Abroad, engine, "CreateKey", &json!({}));
    let abroad = text(&abroad["KeyMetadata"], "Arn");
    let alias = json!({"AliasName": "alias/aes", "TargetKeyId": abroad});
    ask_as(Who::Abroad, engine, "CreateAlias", &alias);
    vec![
        ("$ABROAD", abroad),
        ("$PRIMARY", primary),
        ("$SHARED", shared),
        ("$KEY", id),
        ("$ARN", text(key, "Arn")),
        ("$MATERIAL", text(key, "CurrentKeyMaterialId")),
        ("$BLOB", encrypt("alias/aes", "SYMMETRIC_DEFAULT")),
        ("$RSA_BLOB", encrypt("alias/rsa", "RSAES_OAEP_SHA_256")),
        ("$SIGNATURE", text(&ask(engine, "Sign", &signature), "Signature")),
        ("$MAC", text(&ask(engine, "GenerateMac", &mac), "Mac")),
        ("$GRANT_ID", text(&grant, "GrantId")),
        ("$GRANT_TOKEN", text(&grant, "GrantToken")),
        ("$IMPORT_TOKEN", text(&import, "ImportToken")),
        (
            "$PUBLIC_KEY",
            text(&ask(engine, "GetPublicKey", &json!({"KeyId": "alias/ecdh"})), "PublicKey"),
        ),
    ]
}

fn ask(engine: &Engine, operation: &str, input: &Value) -> Value {
    ask_as(Who::Root, engine, operation, input)
}

fn ask_as(who: Who, engine: &Engine, operation: &str, input: &Value) -> Value {
    let caller = engine.root_caller().expect("root").in_region(region(who));
    let answer = engine.call(&caller, operation, input.to_string().as_bytes());
    let answer = answer.unwrap_or_else(|no| panic!("{operation} {input}: {no}"));
    serde_json::from_str(answer.json()).expect("an answer is JSON, or nothing")
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

pub(crate) fn region(who: Who) -> Region {
    who.region().parse().expect("a Region")
}

fn config() -> Config {
    Config {
        account: "111122223333".parse().expect("an account"),
        regions: [Who::Root, Who::Abroad].map(region).to_vec(),
        origin: Origin::new("fuzz.example/keytrail").expect("an origin"),
    }
}

/// The same each time: it cannot be copied, but made again.
fn root_key() -> RootKey {
    RootKey::generate(&SeededRandom::new(0xfeed))
}

fn environment(clock: &Arc<GivenClock>, seed: u64) -> Environment {
    Environment {
        clock: Arc::<GivenClock>::clone(clock),
        random: Arc::new(SeededRandom::new(seed)),
    }
}
