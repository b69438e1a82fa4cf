//! The AWS Encryption SDK for Python, unmodified, with its KMS keyrings through the endpoint; and files of `keytrail encrypt`
//! that it opens, and the other way round.
//!
//! It comes from PyPI, pinned, into a virtual environment of its own: its run-time library takes longer to install than the
//! other clients together, and does not change when they do.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::clients;
use crate::endpoint::{ACCOUNT, Endpoint};

const PACKAGES: [&str; 4] = [
    "aws-encryption-sdk[MPL]==4.0.7",
    "aws-cryptographic-material-providers==1.11.3",
    "boto3==1.44.5",
    "cryptography==50.0.2",
];

const REGION: &str = "us-east-1";

/// A Python process that calls the SDK for us (`encryption_sdk_client.py`).
struct Sdk {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sdk {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/encryption_sdk_client.py");
        let mut process = Command::new(clients::environment(&PACKAGES).join("python"))
            .arg(script)
            .env_clear()
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, requests, answers }
    }

    /// Its answer, or the text of what it raised.
    fn try_ask(&mut self, at: &At<'_>, mut request: Value) -> Result<Value, String> {
        let (id, secret) = &at.endpoint.credentials[at.user];
        request["endpoint"] = json!(at.endpoint.url);
        request["region"] = json!(at.region);
        request["credentials"] = json!([id, secret]);
        writeln!(self.requests, "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{request}: {line:?}"));
        match answer["error"].take() {
            Value::String(error) => Err(error),
            _ => Ok(answer["output"].take()),
        }
    }

    fn ask(&mut self, at: &At<'_>, request: Value) -> Value {
        self.try_ask(at, request).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A call of boto3; used only to make keys.
    fn call(&mut self, at: &At<'_>, method: &str, input: &Value) -> Value {
        self.ask(at, json!({"do": "call", "method": method, "input": input}))
    }

    /// A new key's ARN.
    fn key(&mut self, at: &At<'_>, input: &Value) -> String {
        let key = self.call(at, "create_key", input);
        key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    fn decrypt(&mut self, at: &At<'_>, keyring: &Value, message: &[u8]) -> Result<Vec<u8>, String> {
        let request = json!({
            "do": "decrypt", "keyring": keyring, "input": STANDARD.encode(message), "context": CONTEXT.json(),
        });
        self.try_ask(at, request).map(|answer| bytes(&answer))
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Which endpoint, and as whom in which Region.
struct At<'a> {
    endpoint: &'a Endpoint,
    user: &'a str,
    region: &'a str,
}

impl<'a> At<'a> {
    fn root(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, user: "root", region: REGION }
    }
}

/// The encryption context of all messages here.
struct Pair(&'static str, &'static str);

const CONTEXT: Pair = Pair("purpose", "interoperation");

impl Pair {
    fn json(&self) -> Value {
        json!({self.0: self.1})
    }

    fn typed(&self) -> String {
        format!("{}={}", self.0, self.1)
    }
}

fn bytes(answer: &Value) -> Vec<u8> {
    STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}

fn text(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// Encrypts with one keyring and decrypts with another; the operations that this left on record, each with whether the
/// encryption context is in it, the public key of the signature too.
fn through(
    sdk: &mut Sdk,
    at: &At<'_>,
    [one, other]: [&Value; 2],
    suite: &str,
) -> Vec<(String, bool)> {
    let (_, seen) = at.endpoint.records_from(0);
    let data = text(10_000);
    let request = json!({
        "do": "encrypt", "keyring": one, "input": STANDARD.encode(&data), "context": CONTEXT.json(), "suite": suite,
    });
    let sealed = sdk.ask(at, request);
    let opened = sdk.decrypt(at, other, &bytes(&sealed)).unwrap();
    assert_eq!(opened, data, "{one} {other}");
    let (records, _) = at.endpoint.records_from(seen);
    let told = |record: &Value| {
        assert_eq!(record["userIdentity"]["type"], "Root");
        assert!(record["userAgent"].as_str().unwrap().contains("Boto3/"), "{record}");
        let context = &record["requestParameters"]["encryptionContext"];
        let has_context = context == &sealed["context"] && context[CONTEXT.0] == CONTEXT.1;
        (record["eventName"].as_str().unwrap().to_owned(), has_context)
    };
    records.iter().map(told).filter(|(operation, _)| operation != "GetPublicKey").collect()
}

fn operations(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(name, has_context)| ((*name).to_owned(), *has_context)).collect()
}

#[test]
fn a_symmetric_key_serves_awss_encryption_sdk_and_the_context_is_on_record() {
    let (endpoint, mut sdk) = (Endpoint::start(), Sdk::start());
    let at = At::root(&endpoint);
    let key = json!({"kind": "kms", "key": sdk.key(&at, &json!({}))});
    let expected = operations(&[("GenerateDataKey", true), ("Decrypt", true)]);
    for suite in ["0x0578", "0x0478"] {
        let discovery = json!({"kind": "discovery"});
        assert_eq!(through(&mut sdk, &at, [&key, &key], suite), expected);
        assert_eq!(through(&mut sdk, &at, [&key, &discovery], suite), expected);
    }

    // Who may not decrypt is told so by the SDK, in the endpoint's words.
    let request = json!({
        "do": "encrypt", "keyring": key, "input": "aGVsbG8=", "context": CONTEXT.json(),
    });
    let message = bytes(&sdk.ask(&at, request));
    let mallory = At { user: "mallory", ..at };
    let refused = sdk.decrypt(&mallory, &key, &message).unwrap_err();
    assert!(refused.contains("not authorized to perform: kms:Decrypt"), "{refused}");
}

#[test]
fn an_rsa_key_serves_awss_encryption_sdk() {
    let (endpoint, mut sdk) = (Endpoint::start(), Sdk::start());
    let at = At::root(&endpoint);
    let key = sdk.key(&at, &json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}));
    for algorithm in ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"] {
        let keyring = json!({"kind": "rsa", "key": key, "algorithm": algorithm});
        // The SDK encrypts with the public key, without a call; and RSA has no context that a signature's key could be in.
        let made = through(&mut sdk, &at, [&keyring, &keyring], "0x0478");
        assert_eq!(made, operations(&[("Decrypt", false)]));
        let (records, _) = endpoint.records_from(0);
        let parameters = &records.last().unwrap()["requestParameters"];
        assert_eq!(
            (&parameters["keyId"], &parameters["encryptionAlgorithm"]),
            (&json!(key), &json!(algorithm))
        );
    }
}

#[test]
fn two_keys_for_key_agreement_serve_awss_encryption_sdk() {
    let (endpoint, mut sdk) = (Endpoint::start(), Sdk::start());
    let at = At::root(&endpoint);
    let spec = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"});
    let [sender, recipient] = [(); 2].map(|()| sdk.key(&at, &spec));
    let both = json!({"kind": "ecdh", "sender": sender, "recipient": recipient});
    let theirs = json!({"kind": "ecdh-discovery", "recipient": recipient});
    let expected = operations(&[("DeriveSharedSecret", false), ("DeriveSharedSecret", false)]);
    for (other, key) in [(&theirs, &recipient), (&both, &sender)] {
        assert_eq!(through(&mut sdk, &at, [&both, other], "0x0578"), expected);
        let (records, _) = endpoint.records_from(0);
        let derived = records.iter().rfind(|record| record["eventName"] == "DeriveSharedSecret");
        assert_eq!(derived.unwrap()["requestParameters"]["keyId"], json!(key));
    }
}

#[test]
fn files_of_the_command_line_open_with_awss_encryption_sdk() {
    let (mut endpoint, mut sdk) = (Endpoint::start(), Sdk::start());
    let [one, two] = [(); 2].map(|()| sdk.key(&At::root(&endpoint), &json!({})));
    endpoint.stop(); // one process at a time has the data directory
    let mut messages = Vec::new();
    for length in [0, 1, 4096, 10_000] {
        for flags in [&[][..], &["--unsigned"], &["--frame-length", "1000"]] {
            fs::write(endpoint.folder().join("file"), text(length)).unwrap();
            let (context, output) = (CONTEXT.typed(), ["--output", "message"]);
            let keys = ["--key", &one, "--key", &two];
            let arguments = ["encrypt", "file", "--context", &context];
            let made = endpoint.keytrail(&[&arguments, &keys[..], &output, flags].concat());
            assert_eq!(made["keys"], json!([one, two]));
            messages.push((length, fs::read(endpoint.folder().join("message")).unwrap()));
        }
    }
    endpoint.serve(&[]);
    let at = At::root(&endpoint);
    for (length, message) in &messages {
        for key in [&one, &two] {
            let keyring = json!({"kind": "kms", "key": key});
            let opened = sdk.decrypt(&at, &keyring, message);
            assert_eq!(opened.as_ref(), Ok(&text(*length)), "{length} bytes");
        }
    }
    let (_, whole) = messages.last().unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    let keyring = json!({"kind": "kms", "key": one});
    assert!(sdk.decrypt(&at, &keyring, &changed).is_err(), "the SDK verifies our signatures");
}

#[test]
fn messages_of_awss_encryption_sdk_open_on_the_command_line() {
    let (mut endpoint, mut sdk) = (Endpoint::start(), Sdk::start());
    let key = sdk.key(&At::root(&endpoint), &json!({}));
    let keyring = json!({"kind": "kms", "key": key});
    let mut messages = Vec::new();
    for (suite, frame_length) in
        [("0x0578", 4096), ("0x0478", 4096), ("0x0378", 4096), ("0x0178", 0)]
    {
        for length in [0, 1, 4096, 10_000] {
            let request = json!({
                "do": "encrypt", "keyring": keyring, "input": STANDARD.encode(text(length)),
                "context": CONTEXT.json(), "suite": suite, "frame_length": frame_length,
            });
            messages.push((suite, length, bytes(&sdk.ask(&At::root(&endpoint), request))));
        }
    }
    endpoint.stop();
    let (context, output) = (CONTEXT.typed(), endpoint.folder().join("file"));
    for (suite, length, message) in messages {
        fs::write(endpoint.folder().join("message"), message).unwrap();
        let mut arguments = vec!["decrypt", "message", "--output", "file", "--context", &context];
        if ["0x0378", "0x0178"].contains(&suite) {
            arguments.push("--allow-uncommitted");
        }
        let opened = endpoint.keytrail(&arguments);
        assert_eq!((&opened["suite"], fs::read(&output).unwrap()), (&json!(suite), text(length)));
    }

    // Both sides of it, afterwards: the SDK made the data key through the endpoint, the command line opened it here.
    endpoint.keytrail(&["ingest"]);
    let uses = endpoint.keytrail(&["audit", "who-used", "--key", &key]);
    for (operation, times) in [("GenerateDataKey", 16), ("Decrypt", 16)] {
        let row = uses.as_array().unwrap().iter().find(|row| row["operation"] == operation);
        let row = row.unwrap_or_else(|| panic!("{operation} is not in {uses}"));
        assert_eq!(row["actor"], format!("arn:aws:iam::{ACCOUNT}:root"));
        assert_eq!(row["uses"], times, "{row}");
    }
    assert_eq!(endpoint.keytrail(&["verify"])["verdict"], "OK");
}

#[test]
fn a_multi_region_key_opens_in_one_region_what_it_encrypted_in_another() {
    let (mut endpoint, mut sdk) = (Endpoint::in_regions(&[REGION, "eu-west-1"]), Sdk::start());
    let (here, there) = (At::root(&endpoint), At { region: "eu-west-1", ..At::root(&endpoint) });
    let primary = sdk.key(&here, &json!({"MultiRegion": true}));
    let input = json!({"KeyId": primary, "ReplicaRegion": there.region});
    let replica = sdk.call(&here, "replicate_key", &input)["ReplicaKeyMetadata"]["Arn"].clone();
    assert_eq!(replica, primary.replace(here.region, there.region));

    let data = text(10_000);
    let (_, seen) = endpoint.records_from(0);
    let sealed = sdk.ask(
        &here,
        json!({
            "do": "encrypt", "keyring": {"kind": "mrk", "key": primary}, "input": STANDARD.encode(&data),
            "context": CONTEXT.json(),
        }),
    );
    for keyring in [json!({"kind": "mrk", "key": replica}), json!({"kind": "mrk-discovery"})] {
        assert_eq!(sdk.decrypt(&there, &keyring, &bytes(&sealed)).as_ref(), Ok(&data), "{keyring}");
    }
    let (records, _) = endpoint.records_from(seen);
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            assert_eq!(record["requestParameters"]["encryptionContext"], sealed["context"]);
            [&record["eventName"], &record["awsRegion"]].map(|value| value.as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [["GenerateDataKey", REGION], ["Decrypt", "eu-west-1"], ["Decrypt", "eu-west-1"]]
    );

    // The same message on the command line, by the replica alone.
    endpoint.stop();
    fs::write(endpoint.folder().join("message"), bytes(&sealed)).unwrap();
    let replica = replica.as_str().unwrap();
    endpoint.keytrail(&["decrypt", "message", "--output", "file", "--key", replica]);
    assert_eq!(fs::read(endpoint.folder().join("file")).unwrap(), data);
}
