//! Health, metrics, log lines, stopping.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use keytrail_kms::{Engine, Environment, Quotas, RootKey};
use keytrail_server::Limits;
use serde_json::{Value, json};

use crate::support::{Endpoint, config};

#[test]
fn the_state_of_the_process_is_shown_to_anybody_and_nothing_else_is() {
    let endpoint = Endpoint::new();
    assert_eq!(
        (endpoint.get("/health").status, endpoint.get("/health").body.as_str()),
        (200, "OK\n")
    );
    assert_eq!(
        (endpoint.get("/ready").status, endpoint.get("/ready").body.as_str()),
        (200, "READY\n")
    );
    for (request, status) in [
        ("GET / HTTP/1.1", 405),
        ("PUT / HTTP/1.1", 405),
        ("POST /health HTTP/1.1", 405),
        ("GET /other HTTP/1.1", 404),
        ("POST /other HTTP/1.1", 404),
        ("POST /?Action=Decrypt HTTP/1.1", 404),
        ("GET //health HTTP/1.1", 404),
        ("GET /health/../metrics HTTP/1.1", 404),
    ] {
        let answer = endpoint
            .exchange(format!("{request}\r\nhost: x\r\ncontent-length: 0\r\n\r\n").as_bytes());
        assert_eq!(answer.status, status, "{request}");
    }
    assert_eq!(endpoint.records().len(), 1);
}

#[test]
fn metrics_count_calls_by_operation_and_outcome() {
    let endpoint = Endpoint::new();
    endpoint.call("CreateKey", &json!({}));
    endpoint.call("ListKeys", &json!({}));
    endpoint.send(&endpoint.request("Encrypt", "{}"));
    endpoint.send(&endpoint.request("Nonsense", "{}"));
    let metrics = endpoint.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4"));
    for line in [
        "keytrail_requests_total{service=\"kms\",operation=\"CreateKey\",outcome=\"OK\"} 1",
        "keytrail_requests_total{service=\"kms\",operation=\"Encrypt\",outcome=\"ValidationException\"} 1",
        "keytrail_requests_total{service=\"kms\",operation=\"unknown\",outcome=\"UnknownOperationException\"} 1",
        "keytrail_request_seconds_count{service=\"kms\",operation=\"ListKeys\"} 1",
        "keytrail_requests_in_flight 0",
        "keytrail_ledger_entries 6", // the start, the founding, four calls
        "keytrail_ready 1",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}\n{}", metrics.body);
    }
}

#[test]
fn a_key_material_that_encrypted_more_than_is_set_is_warned_of_once() {
    let quotas = Quotas { material_encryptions: 2, ..Quotas::default() };
    let endpoint = Endpoint::of(Limits::default(), None, quotas);
    let key = endpoint.call("CreateKey", &json!({}));
    let encrypt = || {
        let id = &key["KeyMetadata"]["KeyId"];
        endpoint.call("Encrypt", &json!({"KeyId": id, "Plaintext": "aGVsbG8="}));
    };
    let warnings = || {
        let worn = |line: &Value| line["event"] == "key material is worn: rotate the key";
        endpoint.log().into_iter().filter(worn).collect::<Vec<_>>()
    };
    encrypt();
    assert!(warnings().is_empty());
    encrypt();
    encrypt();
    let [warning] = &*warnings() else { panic!("{:?}", warnings()) };
    assert_eq!(
        (&warning["level"], &warning["keyArn"], &warning["encryptions"]),
        (&json!("warning"), &key["KeyMetadata"]["Arn"], &json!(2))
    );
    let metrics = endpoint.get("/metrics").body;
    for line in ["keytrail_material_encryptions_max 3", "keytrail_worn_materials 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

/// Canaries in everything that is secret: none of them is ever logged, recorded, or shown.
#[test]
fn log_lines_say_who_did_what_and_hold_no_secret() {
    let endpoint = Endpoint::new();
    let key = endpoint.call("CreateKey", &json!({}));
    let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    let canary = "Y2FuYXJ5LWNhbmFyeQ==";
    let sealed = endpoint.call("Encrypt", &json!({"KeyId": id, "Plaintext": canary}));
    endpoint.call("Decrypt", &json!({"CiphertextBlob": sealed["CiphertextBlob"]}));
    let data_key = endpoint.call("GenerateDataKey", &json!({"KeyId": id, "KeySpec": "AES_256"}));
    let mut unsigned = endpoint.request("Encrypt", &format!("{{\"Plaintext\":\"{canary}\"}}"));
    unsigned.unsigned.push(("cookie".to_owned(), canary.to_owned()));
    endpoint.exchange(&unsigned.to_bytes_with(Some("AWS4-HMAC-SHA256 Signature=Y2FuYXJ5")));
    let log = endpoint.log();
    let line = &log[1];
    assert_eq!((&line["operation"], &line["outcome"]), (&json!("Encrypt"), &json!("OK")));
    assert_eq!((&line["level"], &line["status"]), (&json!("info"), &json!(200)));
    assert_eq!(line["principal"], "arn:aws:iam::111122223333:root");
    assert_eq!(line["accessKeyId"], endpoint.root.id.as_str());
    assert_eq!(log.len(), 5, "one line for each request");
    let all = format!("{log:?} {:?} {}", endpoint.records(), endpoint.get("/metrics").body);
    let secrets = [
        canary,
        "Y2FuYXJ5",
        data_key["Plaintext"].as_str().unwrap(),
        endpoint.root.secret.expose(),
    ];
    for secret in secrets {
        assert!(!all.contains(secret), "{secret}");
    }
}

/// A request that is half sent when the endpoint is asked to stop is still carried out; then nobody listens any more, and
/// the data directory opens again.
#[test]
fn stopping_finishes_what_is_under_way() {
    let mut endpoint = Endpoint::new();
    let mut idle = endpoint.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let bytes = endpoint.request("CreateKey", "{}").to_bytes(&endpoint.root);
    let mut half = endpoint.connect();
    half.write_all(&bytes[..bytes.len() - 1]).unwrap();
    while !endpoint.get("/metrics").body.contains("keytrail_connections 3") {}

    let address = endpoint.address;
    std::thread::scope(|scope| {
        scope.spawn(|| endpoint.stop());
        while TcpStream::connect(address).is_ok() {}
        half.write_all(&bytes[bytes.len() - 1..]).unwrap();
        let answer = crate::support::Answer::read(&mut half);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("connection"), Some("close"));
    });
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();

    let root_key = RootKey::load(&endpoint.data().join("root.key")).unwrap();
    let engine = Engine::open(&endpoint.data(), config(), root_key, Environment::system()).unwrap();
    let root = engine.root_caller().unwrap();
    let keys = engine.call(&root, "ListKeys", b"{}").unwrap();
    assert!(keys.contains("KeyArn"), "{}", keys.json());
}

/// The disk fails under a running endpoint: the segment is taken away, so that its next sync is refused. Nothing is told to
/// the caller whose record it was, nobody is answered any more, monitoring sees it, and what was acknowledged is there when
/// the directory is opened again.
#[test]
fn a_ledger_that_fails_is_told_to_monitoring_and_nothing_else_is_told_to_anybody() {
    let mut endpoint = Endpoint::new();
    let acknowledged = endpoint.call("CreateKey", &json!({"Description": "acknowledged"}));
    let acknowledged = acknowledged["KeyMetadata"]["KeyId"].as_str().unwrap();
    let ledger = endpoint.data().join("ledger");
    let segments = std::fs::read_dir(ledger.join("segments")).unwrap();
    let segment = segments.map(|entry| entry.unwrap().path()).max().unwrap();
    let aside = endpoint.data().join("taken-away");
    std::fs::rename(&segment, &aside).unwrap();

    let told_nothing = |operation: &str, body: &str| {
        let answer = endpoint.send(&endpoint.request(operation, body));
        assert_eq!(answer.status, 500, "{}", answer.body);
        assert_eq!(answer.json(), json!({"__type": "KMSInternalException"}));
    };
    assert_eq!(endpoint.get("/ready").status, 200, "nothing has failed yet");
    told_nothing("CreateKey", "{}");
    let ready = endpoint.get("/ready");
    assert_eq!((ready.status, ready.body.as_str()), (503, "NOT READY\n"));
    std::fs::rename(&aside, &segment).unwrap();
    // Also when the disk works again: what it has is unknown until somebody looks.
    told_nothing("DescribeKey", &json!({"KeyId": acknowledged}).to_string());
    told_nothing("Made\"}up{", "{}");
    assert_eq!(endpoint.get("/ready").status, 503);
    assert_eq!(endpoint.get("/health").status, 200, "the process answers");
    let metrics = endpoint.get("/metrics").body;
    for line in [
        "keytrail_ready 0",
        "keytrail_requests_total{service=\"kms\",operation=\"CreateKey\",outcome=\"KMSInternalException\"} 1",
        "keytrail_requests_total{service=\"kms\",operation=\"unknown\",outcome=\"KMSInternalException\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("Made"), "{metrics}");
    assert!(endpoint.stop_and_say().is_err(), "it does not close well, and says so");

    let root_key = RootKey::load(&endpoint.data().join("root.key")).unwrap();
    let engine = Engine::open(&endpoint.data(), config(), root_key, Environment::system()).unwrap();
    let root = engine.root_caller().unwrap();
    let key = engine.describe_key(&root, acknowledged).unwrap();
    assert_eq!(key.description, "acknowledged");
}
