//! What somebody tries who sits between a client and the endpoint, or behind a proxy that reads HTTP in another way: to slip
//! in a second request, to let a signature speak for what was not signed, to send again what was sent.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::support::{Answer, Endpoint, header};

/// The bytes of a signed call with its body framed in another way.
fn framed(endpoint: &Endpoint, operation: &str, framing: &str, body: &str) -> Vec<u8> {
    let signed = endpoint.request(operation, "{}").to_bytes(&endpoint.root);
    let text = String::from_utf8(signed).unwrap();
    text.replace("content-length: 2\r\n\r\n{}", &format!("{framing}\r\n\r\n{body}")).into_bytes()
}

/// All that comes back until the endpoint closes.
fn all_answers(endpoint: &Endpoint, bytes: &[u8]) -> String {
    let mut stream = endpoint.connect();
    stream.write_all(bytes).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    answers
}

#[test]
fn a_body_in_chunks_is_the_body_that_was_signed() {
    let endpoint = Endpoint::new();
    let chunks = "1;name=value\r\n{\r\n1\r\n}\r\n0\r\nx-amz-target: TrentService.CreateKey\r\n\r\n";
    let bytes = framed(&endpoint, "ListKeys", "transfer-encoding: chunked", chunks);
    let answer = endpoint.exchange(&bytes);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(endpoint.records()[1]["eventName"], "ListKeys", "a trailer is no header");
    let other = chunks.replace("}\r\n", "]\r\n");
    let bytes = framed(&endpoint, "ListKeys", "transfer-encoding: chunked", &other);
    assert_eq!(endpoint.exchange(&bytes).json()["__type"], "InvalidSignatureException");
}

/// A proxy that goes by the one length hands on as one request what a server that goes by the other reads as two.
#[test]
fn a_request_with_two_lengths_is_the_last_of_its_connection() {
    let endpoint = Endpoint::new();
    let smuggled = endpoint.request("CreateKey", "{}").to_bytes(&endpoint.root);
    for framing in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let mut bytes = framed(&endpoint, "ListKeys", framing, "2\r\n{}\r\n0\r\n\r\n");
        bytes.extend_from_slice(&smuggled);
        let answers = all_answers(&endpoint, &bytes);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(answers.contains("connection: close"), "{answers}");
    }
    let records = endpoint.records();
    assert_eq!(records.len(), 3);
    assert!(records[1..].iter().all(|record| record["eventName"] == "ListKeys"));
}

#[test]
fn lengths_and_headers_that_can_be_read_in_two_ways_are_refused() {
    let endpoint = Endpoint::new();
    for framing in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2, 3",
        "content-length: +2",
        "content-length: 0x2",
        "content-length: 2\r\n transfer-encoding: chunked", // a header continued on the next line
        "content-length : 2",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity",
        "transfer-encoding: xchunked",
        "x: a\rtransfer-encoding: chunked",
    ] {
        let answers = all_answers(&endpoint, &framed(&endpoint, "CreateKey", framing, "{}"));
        assert!(answers.starts_with("HTTP/1.1 400 "), "{framing:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answers}");
    }
    let old = framed(&endpoint, "CreateKey", "transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n");
    let old = String::from_utf8(old).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    assert!(all_answers(&endpoint, old.as_bytes()).contains(" 400 "));
    assert_eq!(endpoint.records().len(), 1, "nobody has called");
}

#[test]
fn what_follows_a_signed_request_is_a_request_of_its_own() {
    let endpoint = Endpoint::new();
    let mut stream = endpoint.connect();
    let mut bytes = endpoint.request("ListKeys", "{}").to_bytes(&endpoint.root);
    bytes.extend_from_slice(&endpoint.request("CreateKey", "{}").to_bytes_with(None));
    stream.write_all(&bytes).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
    let second = Answer::read(&mut stream);
    assert_eq!(second.json()["__type"], "MissingAuthenticationTokenException");
    assert_eq!(endpoint.records().len(), 2);
}

#[test]
fn a_signature_does_not_speak_for_what_it_does_not_cover() {
    let endpoint = Endpoint::new();
    let signed = endpoint.request("ListKeys", "{}").to_bytes(&endpoint.root);
    let signed = String::from_utf8(signed).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(signed.contains(from), "{from}");
        let answer = endpoint.exchange(signed.replacen(from, to, 1).as_bytes());
        assert!(answer.status != 200 && answer.body.contains(expected), "{to}: {}", answer.body);
    };
    let added = |line: &str| format!("{line}\r\ncontent-length");
    check("content-length", &added("x-amz-target-override: x"), "must be a 'SignedHeader'");
    check("content-length", &added("X-Amz-Security-Token: x"), "must be a 'SignedHeader'");
    check("content-length", &added("X-AMZ-TARGET: TrentService.CreateKey"), "more than once");
    check("POST / ", "PUT / ", "Only POST");
    check("POST / ", "POST /?x-amz-target=TrentService.CreateKey ", "Here is the KMS API");
    check("POST / ", "POST /%2f ", "Here is the KMS API");
    // Without its target it would be a call of STS, for which it is not signed.
    let form = "content-type: application/x-www-form-urlencoded";
    check("content-type: application/x-amz-json-1.1", form, "does not match");
    check("x-amz-target: TrentService.ListKeys\r\n", "", "is not in the request");
    assert_eq!(endpoint.records().len(), 1);
}

/// Within the 15 minutes a request can be sent again, as with AWS: TLS is what keeps it from being seen. It is a call of its
/// own then, with its own record, so nothing is done twice in silence.
#[test]
fn what_is_sent_again_is_another_call_with_another_record() {
    let endpoint = Endpoint::new();
    let key = endpoint.call("CreateKey", &json!({}));
    let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    let body = json!({"AliasName": "alias/once", "TargetKeyId": id}).to_string();
    let bytes = endpoint.request("CreateAlias", &body).to_bytes(&endpoint.root);
    assert_eq!(endpoint.exchange(&bytes).status, 200);
    assert_eq!(endpoint.exchange(&bytes).json()["__type"], "AlreadyExistsException");
    let records = endpoint.records();
    assert_eq!(records.len(), 4);
    assert_ne!(records[2]["requestID"], records[3]["requestID"]);
    assert_eq!(records[3]["errorCode"], "AlreadyExistsException");
}

#[test]
fn names_and_bytes_from_outside_break_no_line_and_no_markup() {
    let endpoint = Endpoint::new();
    let mut request = endpoint.request("ListKeys", "{}");
    request.headers[3] = header("x-amz-target", "TrentService.A\"}\u{7f}\u{2028}<b>");
    request.unsigned[0] = header("user-agent", "a\"},{\"b\u{1b}[31m");
    let refused = endpoint.exchange(&request.to_bytes(&endpoint.root));
    assert_eq!(refused.status, 400, "{}", refused.body);
    let mut request = endpoint.request("ListKeys", "{}");
    request.headers[3] = header("x-amz-target", "TrentService.A\"}\u{2028}<b>");
    request.unsigned[0] = header("user-agent", "a\"},{\"b\u{2028}");
    let answer = endpoint.send(&request);
    assert_eq!(answer.json(), json!({"__type": "UnknownOperationException"}));
    let record = endpoint.records().pop().unwrap();
    assert_eq!(record["eventName"], "A\"}\u{2028}<b>");
    assert_eq!(record["userAgent"], "a\"},{\"b\u{2028}");
    assert!(!endpoint.get("/metrics").body.contains("<b>"));
    let answer = endpoint.send(&endpoint.sts("Action=<script>"));
    assert!(answer.body.contains("InvalidAction") && !answer.body.contains("<script>"));
    assert_eq!(endpoint.log().len(), 2, "one line for each request, and the first was no HTTP");
}
