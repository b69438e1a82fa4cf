//! Requests that nobody is proven to have made: refused in AWS's words, counted, logged, and not recorded.

use std::time::Duration;

use keytrail_auth::SecretAccessKey;
use keytrail_auth::{AccessKey, AccessKeyId};

use crate::support::{Answer, Endpoint, header};

#[track_caller]
fn check(endpoint: &Endpoint, answer: &Answer, code: &str, text: &str) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["__type"], code);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(text), "{message}");
    assert_eq!(endpoint.records().len(), 1, "only the founding");
    let log = endpoint.log();
    let line = log.last().unwrap();
    assert_eq!(line["event"], "unauthenticated request");
    assert_eq!((&line["outcome"], &line["source"]), (&code.into(), &"127.0.0.1".into()));
    assert_eq!(line["requestId"], answer.header("x-amzn-requestid").unwrap());
    let counted = format!("keytrail_unauthenticated_requests_total{{reason=\"{code}\"}} ");
    assert!(endpoint.get("/metrics").body.contains(&counted), "{counted}");
}

#[test]
fn nobody_calls_anonymously() {
    let endpoint = Endpoint::new();
    let answer = endpoint.exchange(&endpoint.request("ListKeys", "{}").to_bytes_with(None));
    let text = "Request is missing Authentication Token";
    check(&endpoint, &answer, "MissingAuthenticationTokenException", text);
    let basic = endpoint.request("ListKeys", "{}").to_bytes_with(Some("Basic cm9vdDpyb290"));
    let answer = endpoint.exchange(&basic);
    check(&endpoint, &answer, "IncompleteSignatureException", "Authorization header requires");
}

#[test]
fn the_secret_must_be_right_and_the_key_known() {
    let endpoint = Endpoint::new();
    let other_secret = || SecretAccessKey::from_random(&[7; 30].into());
    let request = endpoint.request("ListKeys", "{}");
    let wrong = AccessKey { id: endpoint.root.id.clone(), secret: other_secret() };
    let answer = endpoint.exchange(&request.to_bytes(&wrong));
    let text = "The request signature we calculated does not match the signature you provided.";
    check(&endpoint, &answer, "InvalidSignatureException", text);
    let unknown = AccessKey { id: AccessKeyId::from_random([7; 10]), secret: other_secret() };
    let answer = endpoint.exchange(&request.to_bytes(&unknown));
    let text = "The security token included in the request is invalid.";
    check(&endpoint, &answer, "UnrecognizedClientException", text);
}

#[test]
fn a_signature_is_for_this_request_at_this_time_here() {
    let endpoint = Endpoint::new();
    let good = endpoint.request("ListKeys", "{}");
    let invalid = "InvalidSignatureException";
    let mismatch = "The request signature we calculated";

    let bytes = String::from_utf8(good.to_bytes(&endpoint.root)).unwrap();
    for (from, to) in
        [("ListKeys", "Decrypts"), ("\r\n\r\n{}", "\r\n\r\n[]"), ("json-1.1", "json-1.0")]
    {
        let answer = endpoint.exchange(bytes.replace(from, to).as_bytes());
        check(&endpoint, &answer, invalid, mismatch);
    }
    let mut elsewhere = endpoint.request("ListKeys", "{}");
    elsewhere.region = "eu-west-1";
    let text = "Credential should be scoped to a valid region, not 'eu-west-1'.";
    check(&endpoint, &endpoint.send(&elsewhere), invalid, text);
    let mut other_service = endpoint.request("ListKeys", "{}");
    other_service.service = "sts";
    let text = "Credential should be scoped to correct service: 'kms'.";
    check(&endpoint, &endpoint.send(&other_service), invalid, text);

    endpoint.advance(Duration::from_mins(15));
    assert_eq!(endpoint.send(&good).status, 200, "just in time");
    endpoint.advance(Duration::from_secs(1));
    let answer = endpoint.send(&good);
    assert!(answer.body.contains("Signature expired: 20250521T054745Z is now earlier than"));
}

#[test]
fn a_header_that_is_there_twice_is_refused() {
    let endpoint = Endpoint::new();
    for (name, value) in [
        ("x-amz-target", "TrentService.Decrypt"),
        ("host", "other"),
        ("x-amz-date", "20250521T054745Z"),
        ("authorization", "x"),
    ] {
        let mut request = endpoint.request("ListKeys", "{}");
        request.unsigned.push(header(name, value));
        let answer = endpoint.send(&request);
        let text = format!("'{name}' must not be sent more than once.");
        check(&endpoint, &answer, "InvalidSignatureException", &text);
    }
}

#[test]
fn sts_refuses_in_xml() {
    let endpoint = Endpoint::new();
    let request = endpoint.sts("Action=GetCallerIdentity&Version=2011-06-15");
    let answer = endpoint.exchange(&request.to_bytes_with(None));
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("<Code>MissingAuthenticationToken</Code>"), "{}", answer.body);
    let tampered = String::from_utf8(request.to_bytes(&endpoint.root)).unwrap();
    let answer = endpoint.exchange(tampered.replace("2011-06-15", "2011-06-16").as_bytes());
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("<Code>SignatureDoesNotMatch</Code>"), "{}", answer.body);
    assert_eq!(endpoint.records().len(), 1);
}
