//! What the program that is killed and the one that judges have in common.

use std::io;
use std::path::Path;
use std::sync::Arc;

use keytrail_event::Timestamp;
use keytrail_kms::{
    Clock, Config, Engine, EngineError, Environment, OsRandom, RootKey, SystemClock,
};
use keytrail_ledger::Origin;
use keytrail_testkit::SeededRandom;
use serde_json::Value;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "eu-central-1";
/// `b"hello"` in base64: every plaintext and every message.
pub(crate) const HELLO: &str = "aGVsbG8=";

pub(crate) const DAY_SECONDS: u64 = 86_400;

/// Today, and so many days: each round is at a later date, so that waiting times end, imports expire and keys rotate.
/// Whole days, so that nothing becomes due while a round is looked at.
pub(crate) struct LaterClock {
    pub(crate) days: u64,
}

impl Clock for LaterClock {
    fn now(&self) -> Timestamp {
        let later = self.days * DAY_SECONDS * 1_000_000_000;
        Timestamp::from_unix_nanos(SystemClock.now().unix_nanos() + later)
    }
}

pub(crate) fn create(data: &Path) -> Engine {
    let root_key = RootKey::generate(&OsRandom);
    root_key.save(&data.join("root.key")).unwrap();
    Engine::create(data, config(), root_key, environment(0)).unwrap().0
}

pub(crate) fn open(data: &Path, days: u64) -> Result<Engine, EngineError> {
    let root_key = RootKey::load(&data.join("root.key")).unwrap();
    Engine::open(data, config(), root_key, environment(days))
}

fn config() -> Config {
    Config {
        account: ACCOUNT.parse().unwrap(),
        regions: vec![REGION.parse().unwrap()],
        origin: Origin::new("example.org/crash").unwrap(),
    }
}

fn environment(days: u64) -> Environment {
    Environment { clock: Arc::new(LaterClock { days }), random: Arc::new(OsRandom) }
}

/// What a caller calls itself; its records are found by it.
pub(crate) fn user_agent(round: u64, thread: u64) -> String {
    format!("crash/{round}/{thread}")
}

/// A number below `limit`.
pub(crate) fn below(random: &SeededRandom, limit: u64) -> u64 {
    random.next_u64() % limit
}

/// A member that is a string.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no string {name} in {value}"))
}

/// Writes one line for the judge, whole or not at all: lines of several threads must not mix.
pub(crate) fn report(line: &Value) {
    use io::Write as _;
    let line = format!("{line}\n");
    io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
