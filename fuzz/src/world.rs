//! The engine without HTTP: stories, and tampered secrets.
//!
//! Whatever comes in: no panic, no failure of ours, one record for each call, and nothing tampered with is taken for genuine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_kms::{Answer, Caller, Engine, KmsError};
use serde_json::{Value, json};

use super::edits::edited;
use super::fixture::{Fixture, HELLO, region};
use super::script::{Step, Who, steps};

/// A ledger of more entries than this is exchanged for a fresh one, changed or not: records are counted by reading it.
const ENTRIES_MAX: u64 = 500;

/// No refusal of the fuzzer's small inputs is longer: it may quote them, and escape what it quotes.
const REFUSAL_BYTES_MAX: usize = 256 << 10;

/// An engine, and the copy of the data directory that it runs on.
pub struct World {
    fixture: Fixture,
    /// Always there, but while it is exchanged.
    engine: Option<Engine>,
    /// Whether the state is not the fixture's any more.
    changed: bool,
}

impl Default for World {
    fn default() -> Self {
        let fixture = Fixture::new();
        let engine = Some(fixture.open());
        Self { fixture, engine, changed: false }
    }
}

impl World {
    /// Calls with any operation and any JSON, or none. The input is a story (`script`), a step's rest the request's body.
    pub fn call(&mut self, data: &[u8]) {
        let data = self.fixture.fill_in(data);
        for step in steps(&data).unwrap_or_default() {
            match step {
                Step::Wait(time) => {
                    self.fixture.advance(time);
                    self.changed = true;
                }
                Step::Call { who, operation, rest } => {
                    // What an operation says is for its caller; that it says something at all is checked.
                    let _ = self.perform(who, &operation, rest);
                }
                Step::Sts { action, rest } => {
                    let caller = self.caller(Who::Alice);
                    let answer = self.engine().call_sts(&caller, &action, rest);
                    check_answer(&action, answer.as_ref());
                }
            }
        }
        self.settle();
    }

    /// Ciphertexts, signatures, MACs. The input's first byte chooses what, its second whether the rest is edits of the
    /// genuine bytes (`edits`) or stands for itself.
    pub fn blob(&mut self, data: &[u8]) {
        let (&[kind, raw], rest) = data.split_first_chunk().unwrap_or((&[0, 0], data));
        let (name, operation, key, more) = match kind % 6 {
            0 => ("$BLOB", "Decrypt", None, json!({})),
            1 => ("$BLOB", "Decrypt", Some("alias/aes"), json!({"EncryptionContext": {}})),
            2 => ("$BLOB", "ReEncrypt", None, json!({"DestinationKeyId": "alias/other"})),
            3 => {
                let more = json!({"EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
                ("$RSA_BLOB", "Decrypt", Some("alias/rsa"), more)
            }
            4 => {
                let more = json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
                ("$SIGNATURE", "Verify", Some("alias/p256"), more)
            }
            _ => {
                let more = json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
                ("$MAC", "VerifyMac", Some("alias/hmac"), more)
            }
        };
        let member = match operation {
            "Verify" => "Signature",
            "VerifyMac" => "Mac",
            _ => "CiphertextBlob",
        };
        let genuine = STANDARD.decode(self.fixture.word(name)).expect("the engine's own base64");
        let bytes = if raw & 1 == 1 { rest.to_vec() } else { edited(&genuine, rest) };
        let mut input = more;
        input[member] = STANDARD.encode(&bytes).into();
        if let Some(key) = key {
            input["KeyId"] = key.into();
        }
        let answer = self.perform(Who::Root, operation, input.to_string().as_bytes());
        assert_eq!(answer.is_ok(), bytes == genuine, "{operation} {input}");
        if let (Ok(answer), "Decrypt") = (answer, operation) {
            assert_eq!(value(&answer)["Plaintext"], HELLO);
        }
        self.settle();
    }

    /// Grant tokens and import tokens; the input is as for [`World::blob`].
    pub fn token(&mut self, data: &[u8]) {
        let (&[kind, raw], rest) = data.split_first_chunk().unwrap_or((&[0, 0], data));
        let name = if kind % 3 == 2 { "$IMPORT_TOKEN" } else { "$GRANT_TOKEN" };
        let genuine = STANDARD.decode(self.fixture.word(name)).expect("the engine's own base64");
        let bytes = if raw & 1 == 1 { rest.to_vec() } else { edited(&genuine, rest) };
        let token = STANDARD.encode(&bytes);
        let (operation, input) = match kind % 3 {
            0 => ("RetireGrant", json!({"GrantToken": token})),
            1 => {
                let input = json!({"KeyId": self.fixture.word("$KEY"), "Plaintext": HELLO, "GrantTokens": [token]});
                ("Encrypt", input)
            }
            _ => {
                let input = json!({"KeyId": "alias/external", "ImportToken": token, "EncryptedKeyMaterial": HELLO,
                    "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
                ("ImportKeyMaterial", input)
            }
        };
        let answer = self.perform(Who::Alice, operation, input.to_string().as_bytes());
        // Alice may not import; and as root a material that was wrapped under no key at all is refused all the same.
        let good = bytes == genuine && operation != "ImportKeyMaterial";
        assert_eq!(answer.is_ok(), good, "{operation} {input}: {answer:?}", answer = answer.err());
        if operation == "ImportKeyMaterial" {
            let mut input = input;
            input["KeyId"] = self.external().into();
            let answer = self.perform(Who::Root, operation, input.to_string().as_bytes());
            assert!(answer.is_err(), "{input}");
        }
        self.settle();
    }

    fn external(&mut self) -> String {
        let answer = self.perform(Who::Root, "DescribeKey", br#"{"KeyId": "alias/external"}"#);
        let answer = answer.unwrap_or_else(|no| panic!("{no}"));
        value(&answer)["KeyMetadata"]["KeyId"].as_str().unwrap_or_default().to_owned()
    }

    /// One call, and what must hold whatever it was.
    fn perform(&mut self, who: Who, operation: &str, body: &[u8]) -> Result<Answer, KmsError> {
        let caller = self.caller(who);
        let before = self.engine().ledger().size();
        let answer = self.engine().call(&caller, operation, body);
        check_answer(operation, answer.as_ref());
        if self.engine().ledger().size() != before + 1 {
            // Something was due, and has a record of its own; or another account's log has its copy.
            assert_eq!(self.fixture.recorded_since(before).calls, 1, "records of one call");
        }
        self.changed |= answer.is_ok() && !only_looks(operation);
        answer
    }

    /// Begins anew if something changed.
    fn settle(&mut self) {
        if self.changed || self.engine().ledger().size() > ENTRIES_MAX {
            drop(self.engine.take());
            self.engine = Some(self.fixture.open());
            self.changed = false;
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("exchanged, never taken away")
    }

    fn caller(&self, who: Who) -> Caller {
        let key = match who {
            Who::Root | Who::Abroad => &self.fixture.root,
            Who::Alice => &self.fixture.alice,
            Who::Stranger => &self.fixture.stranger,
            Who::Session => return self.fixture.session_caller.clone(),
        };
        let caller = self.engine().caller_for_access_key(key.id.as_str());
        caller.expect("access keys stay").in_region(region(who))
    }
}

fn check_answer(operation: &str, answer: Result<&Answer, &KmsError>) {
    match answer {
        Ok(answer) if answer.json().is_empty() => {}
        Ok(answer) => assert!(value(answer).is_object(), "{operation}: {}", answer.json()),
        Err(refusal) => {
            assert_eq!(refusal.http_status(), 400, "{operation}: {refusal}");
            let written = refusal.to_json();
            assert!(written.len() < REFUSAL_BYTES_MAX, "{operation}: {} bytes", written.len());
            let read = serde_json::from_str::<Value>(&written).expect("JSON");
            assert_eq!(read["__type"], refusal.code().as_str());
        }
    }
}

fn value(answer: &Answer) -> Value {
    serde_json::from_str(answer.json()).expect("an answer is JSON, or nothing")
}

/// Whether an operation leaves the state as it was, by its name.
fn only_looks(operation: &str) -> bool {
    let looks = ["Get", "List", "Describe", "Generate", "Verify", "Derive"];
    looks.iter().any(|word| operation.starts_with(word))
        || ["Encrypt", "Decrypt", "ReEncrypt", "Sign"].contains(&operation)
}
