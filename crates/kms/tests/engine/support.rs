//! An engine in a temporary directory, with a given clock and given randomness.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_event::Timestamp;
use keytrail_kms::{
    Answer, Caller, Clock, Config, CreateKeyRequest, Engine, EngineError, Environment, KmsError,
    Quotas, RootKey,
};
use keytrail_ledger::{Origin, Reader, VerifyingKey};
use keytrail_testkit::{CheckedLedger, START_NS, SeededRandom, check_ledger};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The root key is the first 32 bytes that this seed gives.
pub(crate) const ROOT_KEY_SEED: u64 = 0xfeed;

pub(crate) const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// A clock that stands still until it is moved.
pub(crate) struct GivenClock(AtomicU64);

impl Clock for GivenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A data directory with an engine that can be closed and opened again.
pub(crate) struct Bench {
    folder: TempDir,
    clock: Arc<GivenClock>,
    random: Arc<SeededRandom>,
    key: VerifyingKey,
    engine: Option<Engine>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::seeded(1)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(GivenClock(AtomicU64::new(START_NS)));
        let random = Arc::new(SeededRandom::new(seed));
        let environment = environment(&clock, &random);
        let (engine, _) = Engine::create(folder.path(), config(), root_key(), environment).unwrap();
        let key = engine.ledger().verifying_key().clone();
        Self { folder, clock, random, key, engine: Some(engine) }
    }

    pub(crate) fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.engine = self.engine.take().map(|engine| engine.with_quotas(quotas));
        self
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn root(&self) -> Caller {
        self.engine().root_caller().unwrap()
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn snapshot_file(&self) -> PathBuf {
        self.data().join("keys/snapshot")
    }

    pub(crate) fn set_time(&self, nanos: u64) {
        self.clock.0.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, nanos: u64) {
        self.clock.0.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Moves the engine's own clock forward by so many days.
    pub(crate) fn move_clock(&self, days: u64) {
        let offset = self.engine().clock_offset() + Duration::from_secs(days * 86_400);
        self.engine().set_clock_offset(offset).unwrap();
    }

    /// Closes the engine, changes the directory, and opens it again.
    pub(crate) fn reopen(&mut self, change: impl FnOnce(&Self)) {
        self.engine.take().unwrap().close().unwrap();
        change(self);
        self.engine = Some(self.open().unwrap());
    }

    /// Opens the directory; the engine of the bench must be closed.
    pub(crate) fn open(&self) -> Result<Engine, EngineError> {
        self.open_with(config(), root_key())
    }

    pub(crate) fn open_with(
        &self,
        config: Config,
        root_key: RootKey,
    ) -> Result<Engine, EngineError> {
        Engine::open(self.data(), config, root_key, environment(&self.clock, &self.random))
    }

    pub(crate) fn close(&mut self) {
        self.engine.take().unwrap().close().unwrap();
    }

    /// A key under the default policy; its id.
    pub(crate) fn key(&self) -> String {
        self.engine().create_key(&self.root(), &CreateKeyRequest::default()).unwrap().key_id
    }

    /// Calls as root.
    pub(crate) fn call(&self, operation: &str, input: &str) -> Result<Value, KmsError> {
        self.call_as(&self.root(), operation, input)
    }

    pub(crate) fn call_as(
        &self,
        caller: &Caller,
        operation: &str,
        input: &str,
    ) -> Result<Value, KmsError> {
        self.engine().call(caller, operation, input.as_bytes()).map(|answer| value(&answer))
    }

    /// A user with one identity policy of these statements.
    pub(crate) fn user(&self, name: &str, statements: &str) -> Caller {
        let document = format!(r#"{{"Statement": [{statements}]}}"#);
        let access_key =
            self.engine().create_user(&self.root(), name, &[("p", &document)]).unwrap();
        self.engine().caller_for_access_key(access_key.id.as_str()).unwrap()
    }

    /// The last record.
    pub(crate) fn last_record(&self) -> String {
        let reader = Reader::open(&self.data().join("ledger")).unwrap();
        let last = reader.checkpoint().size - 1;
        String::from_utf8(reader.frames(last).next().unwrap().unwrap().payload).unwrap()
    }

    /// The whole ledger, after it passed every check there is.
    pub(crate) fn ledger(&self) -> CheckedLedger {
        check_ledger(&self.data().join("ledger"), &self.key)
    }

    /// All records, parsed.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.ledger()
            .records()
            .into_iter()
            .map(|record| serde_json::from_slice(record).unwrap())
            .collect()
    }
}

pub(crate) fn config() -> Config {
    Config {
        account: "111122223333".parse().unwrap(),
        regions: ["us-east-1", "eu-west-1", "ap-southeast-2"]
            .map(|it| it.parse().unwrap())
            .to_vec(),
        origin: Origin::new("test.example/keytrail").unwrap(),
    }
}

/// The same root key each time: it cannot be copied, but made again.
pub(crate) fn root_key() -> RootKey {
    RootKey::generate(&SeededRandom::new(ROOT_KEY_SEED))
}

fn environment(clock: &Arc<GivenClock>, random: &Arc<SeededRandom>) -> Environment {
    Environment {
        clock: Arc::<GivenClock>::clone(clock),
        random: Arc::<SeededRandom>::clone(random),
    }
}

pub(crate) fn value(answer: &Answer) -> Value {
    serde_json::from_str(answer.json()).unwrap()
}

pub(crate) fn arn(key: &str) -> String {
    format!("arn:aws:kms:us-east-1:111122223333:key/{key}")
}

/// `b"hello"` in base64.
pub(crate) const HELLO: &str = "aGVsbG8=";

/// A member that is a string.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no string {name} in {value}"))
}

/// One call that must succeed.
#[track_caller]
pub(crate) fn call(bench: &Bench, operation: &str, input: &Value) -> Value {
    bench
        .call(operation, &input.to_string())
        .unwrap_or_else(|no| panic!("{operation} {input}: {no}"))
}

/// One call, and its refusal as `Code: message` (or `Code` alone).
#[track_caller]
pub(crate) fn check_refused(bench: &Bench, operation: &str, input: &Value, expected: &str) {
    let refused = bench.call(operation, &input.to_string()).unwrap_err();
    assert_eq!(refused.to_string(), expected, "{operation} {input}");
    assert_eq!(refused.http_status(), 400);
}

/// A key of a kind; its id.
pub(crate) fn key_of(bench: &Bench, spec: &str, usage: &str) -> String {
    let created = call(bench, "CreateKey", &json!({"KeySpec": spec, "KeyUsage": usage}));
    text(&created["KeyMetadata"], "KeyId").to_owned()
}

/// Base64 of so many bytes.
pub(crate) fn base64(length: usize) -> String {
    STANDARD.encode(vec![0x5a; length])
}

/// The input with some members replaced.
pub(crate) fn with(input: &Value, members: Value) -> Value {
    let mut input = input.clone();
    let Value::Object(members) = members else { panic!("no object: {members}") };
    input.as_object_mut().unwrap().extend(members);
    input
}
