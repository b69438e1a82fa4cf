//! A day of traffic for the demo: four keys, six principals, two thousand calls from eight threads.
//!
//! The day is yesterday by the clock that the engine is handed: each call moves it on by a fixed step, so that the records
//! spread over 24 hours while the calls take seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use keytrail_event::{AccountId, Arn, Timestamp};
use keytrail_kms::{Caller, Clock, Engine};
use serde_json::{Value, json};

use crate::data::DEFAULT_ACCOUNT;

/// Threads that call at the same time; their records share syncs.
pub(crate) const THREADS: usize = 8;
/// The alias of the key that the demo's audits ask about.
pub(crate) const PAYMENTS: &str = "alias/payments";

const CALLS: usize = 2_000;
const KEYS: [&str; 4] = [PAYMENTS, "alias/customer-data", "alias/backups", "alias/sessions"];

/// Who may do what. `mallory` may nothing, and tries; `reports` may read keys but not use them.
const USERS: [(&str, &[&str]); 6] = [
    ("checkout", &["kms:Encrypt", "kms:GenerateDataKey"]),
    ("ledger-worker", &["kms:Decrypt"]),
    ("backup-job", &["kms:GenerateDataKey", "kms:Decrypt"]),
    ("reports", &["kms:DescribeKey", "kms:ListAliases"]),
    ("alice", &["kms:*"]),
    ("mallory", &[]),
];

/// A clock whose day passes in steps.
pub(crate) struct Day {
    first: u64,
    steps: AtomicU64,
}

impl Day {
    const STEP_NANOS: u64 = 24 * 3_600 * 1_000_000_000 / CALLS as u64;

    /// The 24 hours before `now`, and a little, so that nothing lies in the future.
    pub(crate) fn before(now: Timestamp) -> Arc<Self> {
        let first = now.unix_nanos().saturating_sub(25 * 3_600 * 1_000_000_000);
        Arc::new(Self { first, steps: AtomicU64::new(0) })
    }

    fn advance(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for Day {
    fn now(&self) -> Timestamp {
        let passed = self.steps.load(Ordering::Relaxed) * Self::STEP_NANOS;
        Timestamp::from_unix_nanos(self.first + passed)
    }
}

/// What came of the traffic.
pub(crate) struct Tally {
    pub(crate) keys: usize,
    pub(crate) principals: usize,
    pub(crate) answered: usize,
    pub(crate) refused: usize,
}

/// Makes keys and users, and lets them work for a day.
pub(crate) fn run(engine: &Engine, day: &Day) -> anyhow::Result<Tally> {
    let root = engine.root_caller()?;
    for alias in KEYS {
        let key = call(engine, &root, "CreateKey", &json!({ "Description": alias }))?;
        let id = &key["KeyMetadata"]["KeyId"];
        call(engine, &root, "CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": id }))?;
    }
    let mut callers = Vec::new();
    for (name, actions) in USERS {
        let document = policy(actions);
        let policies = [("work", document.as_str())];
        let policies = if actions.is_empty() { &[] } else { &policies[..] };
        engine.create_user(&root, name, policies)?;
        callers.push(engine.caller_named(name)?);
    }
    let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= CALLS {
                        return;
                    }
                    day.advance();
                    let tally =
                        if one_call(engine, &callers, number) { &answered } else { &refused };
                    tally.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    Ok(Tally {
        keys: KEYS.len(),
        principals: USERS.len() + 1,
        answered: answered.into_inner(),
        refused: refused.into_inner(),
    })
}

/// The call of this number: who and what follow from it, skewed so that a few do most. Whether it was answered.
fn one_call(engine: &Engine, callers: &[Caller], number: usize) -> bool {
    // A multiplicative hash spreads consecutive numbers; its high bits choose.
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let key = KEYS[[0, 0, 0, 0, 1, 1, 2, 3][spread % 8]];
    let context = json!({ "order": format!("{}", spread % 500) });
    let request = json!({ "KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context });
    let data_key = json!({ "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context });
    let asked = match spread / 8 % 20 {
        0..8 => call(engine, &callers[0], "Encrypt", &request),
        8..14 => {
            let Ok(sealed) = call(engine, &callers[0], "Encrypt", &request) else { return false };
            let blob = &sealed["CiphertextBlob"];
            let request = json!({ "CiphertextBlob": blob, "EncryptionContext": context });
            call(engine, &callers[1], "Decrypt", &request)
        }
        14..17 => call(engine, &callers[2], "GenerateDataKey", &data_key),
        17 => call(engine, &callers[3], "DescribeKey", &json!({ "KeyId": key })),
        18 => call(engine, &callers[4], "Encrypt", &request),
        _ => call(engine, &callers[5], "GenerateDataKey", &data_key),
    };
    asked.is_ok()
}

fn call(engine: &Engine, caller: &Caller, operation: &str, input: &Value) -> anyhow::Result<Value> {
    let answer = engine.call(caller, operation, input.to_string().as_bytes())?;
    Ok(serde_json::from_str(answer.json())?)
}

fn policy(actions: &[&str]) -> String {
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// Whose deeds the second tampering hides.
pub(crate) fn culprit() -> String {
    user_arn("ledger-worker")
}

/// Who gets the blame instead.
pub(crate) fn scapegoat() -> String {
    user_arn("alice")
}

fn user_arn(name: &str) -> String {
    AccountId::parse(DEFAULT_ACCOUNT)
        .map_or_else(|_| String::new(), |account| Arn::iam_user(&account, name).to_string())
}
