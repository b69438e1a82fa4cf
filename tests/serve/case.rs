//! How a case is written. Whoever reads a file of cases needs to know this, and nothing else of this test.
//!
//! ```toml
//! init = ["--region", "eu-west-1"]                # further flags of `keytrail init`, and of `serve`; seldom needed
//! serve = ["--tls"]
//!
//! [files]                                         # files that lie in the clients' folder from the start
//! "file.txt" = "attack at dawn\n"
//!
//! [users]                                         # users beside root, alice (uses keys) and mallory (may nothing),
//! carol = '{"Statement": …}'                      # each with an identity policy, or "" for none
//!
//! [roles.app]                                     # roles
//! trust = '{"Statement": …}'                      # who may assume them, and what their sessions may do
//! policy = '{"Statement": …}'
//!
//! [[case]]
//! name = "alice encrypts"
//! as = "alice"                                    # a user; root if it is not said; anonymous, wrong-secret, unknown-key;
//!                                                 # "session NAME" of an earlier case, or "damaged NAME": its token is
//! region = "us-east-1"                            # that is called, by its signature; this one if it is not said
//! clock_seconds = -840                            # how wrong the client's clock goes
//! run = ["kms", "encrypt", "--key-id", "${key}"]  # arguments of `aws`, or …
//! serve = ["--clock-offset", "30d"]               # … or the endpoint is started again with these flags, or …
//! call = "kms.encrypt"                            # … a method of boto3 (or of the judge, see offline.py), with
//! input = { KeyId = "${key}" }                    # its members; bytes are { base64 = "…" }, a number of letters "${A x 8193}"
//! unchecked = true                                # boto3 sends what it can tell itself to be wrong
//! repeat = 25                                     # so many times, and all the same; ${n} counts from 1
//!
//! answer = { KeyId = "${arn}" }                   # members that the answer has at least, see below
//! text = "…"                                      # what `aws` prints, whole
//! error = "DisabledException: ${arn} is disabled." # instead: the error, whole; a code alone comes without a message
//! client_error = "SSL validation failed for …"    # instead: what the client says by itself, without an answer
//! save = { key = "KeyMetadata.KeyId" }            # ${key} from here on; items of lists by number: Keys.0.KeyId
//! save_bytes = { "sealed.bin" = "CiphertextBlob" } # base64 of the answer, into a file
//! save_session = "run1"                           # the credentials of the answer, for `as` from here on
//! record = { resources = [{ ARN = "${arn}" }] }   # members that the record has besides what every record has (record.rs)
//! records = 2                                     # as many as there are calls, where a client turns pages or tries again
//! also = [{ awsRegion = "eu-west-1" }]            # what the call leaves besides: its records in other Regions
//! events = [{ eventName = "RotateKey" }]          # what the engine then does by itself, each a record of its own
//! save_record = { event = "eventID" }             # ${event} from here on
//! record = "none"                                 # instead: it leaves none
//! ```
//!
//! Expected values are the values themselves, or one of these:
//!
//! | written | means |
//! |---|---|
//! | `"*"` | any text that is not empty |
//! | `"null"` | null or absent, since TOML has no null |
//! | `"start…"` | a text that begins so |
//! | `"<uuid>"`, `"<hex64>"`, `"<bytes 32>"`, `"<number>"`, `"<time>"` | a UUID, 64 hexadecimal digits, base64 of so many bytes, … |
//! | `"<not …>"` | something else than this |
//! | `{ contains = […] }` | a list in which each of these is found |
//! | `{ length = 3 }` | a list so long |

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A file of cases: one session on one data directory, from top to bottom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    #[serde(default)]
    pub(crate) init: Vec<String>,
    #[serde(default)]
    pub(crate) serve: Vec<String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) users: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) roles: BTreeMap<String, Role>,
    #[serde(rename = "case")]
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) trust: String,
    pub(crate) policy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default = "root")]
    pub(crate) r#as: String,
    #[serde(default = "us_east_1")]
    pub(crate) region: String,
    #[serde(default)]
    pub(crate) clock_seconds: i64,
    #[serde(default)]
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) serve: Vec<String>,
    #[serde(default)]
    pub(crate) call: String,
    #[serde(default)]
    pub(crate) input: Map<String, Value>,
    #[serde(default)]
    pub(crate) unchecked: bool,
    #[serde(default = "once")]
    pub(crate) repeat: u32,
    pub(crate) answer: Option<Value>,
    pub(crate) text: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) client_error: Option<String>,
    #[serde(default)]
    pub(crate) save: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) save_bytes: BTreeMap<String, String>,
    pub(crate) save_session: Option<String>,
    pub(crate) record: Option<Value>,
    #[serde(default = "one")]
    pub(crate) records: usize,
    #[serde(default)]
    pub(crate) also: Vec<Value>,
    #[serde(default)]
    pub(crate) events: Vec<Value>,
    #[serde(default)]
    pub(crate) save_record: BTreeMap<String, String>,
}

fn root() -> String {
    "root".to_owned()
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

const fn once() -> u32 {
    1
}

const fn one() -> usize {
    1
}

impl Session {
    /// Reads a file of cases.
    pub(crate) fn parse(text: &str) -> Self {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Case {
    /// The service that is called and its operation by AWS's name: `("kms", "ReEncrypt")`. A call of the judge is none.
    pub(crate) fn operation(&self) -> Option<(&str, String)> {
        if !self.serve.is_empty() {
            return None;
        }
        if !self.call.is_empty() {
            let (service, method) = self.call.split_once('.').unwrap();
            return (service != "offline").then(|| (service, in_capitals(method, '_')));
        }
        let place = self.run.iter().position(|word| word == "kms" || word == "sts");
        let place = place.unwrap_or_else(|| panic!("{}: neither run nor call", self.name));
        Some((&self.run[place], in_capitals(&self.run[place + 1], '-')))
    }

    /// The code of the expected error, and its message.
    pub(crate) fn refusal(&self) -> Option<(&str, &str)> {
        let error = self.error.as_deref()?;
        Some(error.split_once(": ").unwrap_or((error, "")))
    }
}

/// `re_encrypt` as `ReEncrypt`.
fn in_capitals(name: &str, separator: char) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split(separator).map(capital).collect()
}
