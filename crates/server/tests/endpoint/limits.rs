//! What a client cannot do to the process.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use keytrail_server::Limits;
use serde_json::json;

use crate::support::{Answer, Endpoint};

const SOON: Duration = Duration::from_millis(200);

#[test]
fn a_body_has_at_most_1_mib() {
    let endpoint = Endpoint::new();
    let answer = endpoint.send(&endpoint.request("ListKeys", &" ".repeat(1 << 20)));
    assert_eq!(answer.json()["__type"], "SerializationException", "just fits, and is no JSON");

    // Announced: refused without reading it. Chunked: refused once it is too much.
    let head = format!("POST / HTTP/1.1\r\nhost: {}\r\n", endpoint.address);
    let announced = format!("{head}content-length: {}\r\n\r\n", (1 << 20) + 1);
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n",
        (1 << 20) + 1,
        "x".repeat((1 << 20) + 1)
    );
    for bytes in [announced, chunked] {
        let answer = endpoint.exchange(bytes.as_bytes());
        assert_eq!(answer.status, 413);
        assert_eq!(answer.json()["__type"], "RequestEntityTooLargeException");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[test]
fn headers_have_a_limit_in_length_and_number() {
    let endpoint = Endpoint::new();
    let long = format!("GET /health HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(49 << 10));
    assert_eq!(endpoint.exchange(long.as_bytes()).status, 431);
    let many = format!("GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(64));
    assert_eq!(endpoint.exchange(many.as_bytes()).status, 431);
    assert_eq!(endpoint.get("/health").status, 200);
}

#[test]
fn a_slow_client_is_let_go() {
    let limits = Limits { header_wait: SOON, body_wait: SOON, ..Limits::default() };
    let endpoint = Endpoint::with(limits);
    let gone = |bytes: &[u8]| {
        let mut stream = endpoint.connect();
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    };
    assert_eq!(gone(b""), "", "idle");
    gone(b"POST / HTTP/1.1\r\nhost");
    let answer = gone(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhal");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("RequestTimeout"), "{answer}");
    // Also a connection that was used before.
    let idle = gone(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(idle.starts_with("HTTP/1.1 200 "), "{idle}");
}

/// It asks and asks, and reads no answer: the network has room for some megabytes, and then it is waited for in vain.
#[test]
fn a_client_that_does_not_read_is_let_go() {
    let endpoint = Endpoint::with(Limits { write_wait: SOON, ..Limits::default() });
    let mut stream = endpoint.connect();
    stream.set_write_timeout(Some(SOON)).unwrap();
    let many = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    let begun = Instant::now();
    // Writing stops where the network is full, and fails for good once the endpoint has let go.
    while begun.elapsed() < Duration::from_secs(20) {
        match stream.write(many.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
    panic!("still there");
}

/// Whoever goes away, at whatever moment, takes no connection, no turn and no record with them.
#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let endpoint =
        Endpoint::with(Limits { connections: 3, calls_in_flight: 1, ..Limits::default() });
    let call = endpoint.request("ListKeys", "{}").to_bytes(&endpoint.root);
    let body_at = call.len() - 2;
    for round in 0..30 {
        for length in [0, 1, 20, body_at - 1, body_at, body_at + 1] {
            let mut stream = endpoint.connect();
            stream.write_all(&call[..length]).unwrap();
            if round % 2 == 0 {
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            }
        }
        // A whole call whose answer nobody waits for: carried out and recorded, or neither.
        endpoint.connect().write_all(&call).unwrap();
    }
    // Taken after all of them: connections are taken in order.
    assert_eq!(endpoint.exchange(&call).status, 200, "there is a turn left");
    let is_done = |metrics: &str| {
        let calls = endpoint.records().len() - 1;
        let counted = format!(
            "keytrail_requests_total{{service=\"kms\",operation=\"ListKeys\",outcome=\"OK\"}} {calls}\n"
        );
        let expected =
            ["keytrail_connections 1\n", "keytrail_requests_in_flight 0\n", counted.as_str()];
        expected.iter().all(|line| metrics.contains(line))
    };
    let begun = Instant::now();
    while !is_done(&endpoint.get("/metrics").body) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", endpoint.get("/metrics").body);
        std::thread::sleep(SOON / 10);
    }
}

#[test]
fn connections_beyond_the_limit_wait_for_one_to_close() {
    let endpoint = Endpoint::with(Limits { connections: 2, ..Limits::default() });
    let mut first = endpoint.connect();
    let mut second = endpoint.connect();
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }
    let mut third = endpoint.connect();
    third.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    third.set_read_timeout(Some(SOON)).unwrap();
    assert!(third.read(&mut [0]).is_err(), "not taken yet");
    drop(first);
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(Answer::read(&mut third).body.contains("keytrail_connections 2"));
}

#[test]
fn a_call_that_waits_too_long_for_its_turn_is_throttled() {
    let endpoint =
        Endpoint::with(Limits { calls_in_flight: 0, turn_wait: SOON, ..Limits::default() });
    let answer = endpoint.send(&endpoint.request("ListKeys", "{}"));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json(), json!({"__type": "ThrottlingException", "message": "Rate exceeded"}));
    assert!(endpoint.get("/metrics").body.contains("keytrail_throttled_requests_total 1"));
    assert_eq!(endpoint.records().len(), 1);
}

#[test]
fn calls_beyond_the_limit_take_turns() {
    let endpoint = Endpoint::with(Limits { calls_in_flight: 1, ..Limits::default() });
    let bytes = endpoint.request("ListKeys", "{}").to_bytes(&endpoint.root);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(endpoint.exchange(&bytes).status, 200);
                }
            });
        }
    });
    assert_eq!(endpoint.records().len(), 41);
}

#[test]
fn malformed_http_is_refused_and_the_endpoint_lives() {
    let endpoint = Endpoint::new();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], // TLS
        b"POST / HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: x\r\n\r\n",
        b"GET / HTTP/1.1\r\na: \x00\r\n\r\n",
    ] {
        let mut stream = endpoint.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
    }
    assert_eq!(endpoint.get("/health").status, 200);
    assert_eq!(endpoint.records().len(), 1);
}
