//! Authenticated calls: answers, errors, and one record for each.

use serde_json::json;

use crate::support::{Answer, Endpoint, header};

#[test]
fn a_signed_call_is_answered_and_recorded_with_its_source() {
    let endpoint = Endpoint::new();
    let key = endpoint.call("CreateKey", &json!({}));
    let arn = key["KeyMetadata"]["Arn"].as_str().unwrap();
    let sealed = endpoint.call("Encrypt", &json!({"KeyId": arn, "Plaintext": "aGVsbG8="}));
    let request = endpoint
        .request("Decrypt", &json!({"CiphertextBlob": sealed["CiphertextBlob"]}).to_string());
    let answer = endpoint.send(&request);
    assert_eq!(answer.json()["Plaintext"], "aGVsbG8=");
    assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));

    let records = endpoint.records();
    assert_eq!(records.len(), 4, "the founding, and one for each call");
    let record = &records[3];
    assert_eq!(record["requestID"], answer.header("x-amzn-requestid").unwrap());
    assert_eq!(record["eventName"], "Decrypt");
    assert_eq!(record["sourceIPAddress"], "127.0.0.1");
    assert_eq!(record["userAgent"], "test-client/1.0");
    assert_eq!(record["userIdentity"]["accessKeyId"], endpoint.root.id.as_str());
    assert_eq!(record["resources"][0]["ARN"], arn);
    assert_eq!(record["tlsDetails"], json!(null), "no TLS, no details");
}

#[test]
fn the_region_that_a_request_is_signed_for_is_where_it_looks() {
    let endpoint = Endpoint::new();
    let in_region = |region, operation: &str| {
        let mut request = endpoint.request(operation, "{}");
        request.region = region;
        let answer = endpoint.send(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(endpoint.records().pop().unwrap()["awsRegion"], region);
        answer.json()
    };
    let key = in_region("eu-central-1", "CreateKey")["KeyMetadata"].clone();
    assert!(key["Arn"].as_str().unwrap().starts_with("arn:aws:kms:eu-central-1:"), "{key}");
    assert_eq!(in_region("eu-central-1", "ListKeys")["Keys"][0]["KeyId"], key["KeyId"]);
    assert_eq!(in_region("us-east-1", "ListKeys")["Keys"], json!([]));
    let mut sts = endpoint.sts("Action=GetCallerIdentity&Version=2011-06-15");
    sts.region = "eu-central-1";
    assert_eq!(endpoint.send(&sts).status, 200);
    assert_eq!(endpoint.records().pop().unwrap()["awsRegion"], "eu-central-1");
}

#[test]
fn a_refused_call_has_the_error_of_aws_and_a_record() {
    let endpoint = Endpoint::new();
    let key = endpoint.call("CreateKey", &json!({}));
    let arn = key["KeyMetadata"]["Arn"].as_str().unwrap();
    endpoint.call("DisableKey", &json!({"KeyId": arn}));
    let check = |operation: &str, body: &str, code: &str, message: Option<&str>| {
        let answer = endpoint.send(&endpoint.request(operation, body));
        assert_eq!(answer.status, 400, "{}", answer.body);
        let expected = match message {
            Some(message) => json!({"__type": code, "message": message}),
            None => json!({"__type": code}),
        };
        assert_eq!(answer.json(), expected);
        let record = endpoint.records().pop().unwrap();
        assert_eq!(record["requestID"], answer.header("x-amzn-requestid").unwrap());
        assert_eq!(record["errorCode"], code);
    };
    let encrypt = json!({"KeyId": arn, "Plaintext": "aGVsbG8="}).to_string();
    check("Encrypt", &encrypt, "DisabledException", Some(&format!("{arn} is disabled.")));
    check("Bogus", "{}", "UnknownOperationException", None);
    let answer = endpoint.send(&endpoint.request("Encrypt", "no json"));
    assert_eq!(answer.json()["__type"], "SerializationException");
    assert_eq!(endpoint.records().len(), 6);
}

#[test]
fn a_target_of_another_service_is_an_unknown_operation() {
    let endpoint = Endpoint::new();
    for target in ["DynamoDB_20120810.GetItem", "TrentService", "trentservice.Encrypt", ""] {
        let mut request = endpoint.request("", "{}");
        request.headers[3] = header("x-amz-target", target);
        let answer = endpoint.send(&request);
        assert_eq!(answer.json()["__type"], "UnknownOperationException", "{target}");
    }
    let mut request = endpoint.request("", "{}");
    request.headers.pop();
    assert_eq!(endpoint.send(&request).json()["__type"], "UnknownOperationException");
    assert_eq!(endpoint.records().len(), 6);
}

#[test]
fn sts_says_who_the_caller_is_in_xml() {
    let endpoint = Endpoint::new();
    let answer = endpoint.send(&endpoint.sts("Action=GetCallerIdentity&Version=2011-06-15"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml")));
    let id = answer.header("x-amzn-requestid").unwrap();
    let expected = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::111122223333:root</Arn><UserId>111122223333</UserId><Account>111122223333</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    );
    assert_eq!(answer.body, expected);
    let record = endpoint.records().pop().unwrap();
    assert_eq!(record["eventSource"], "sts.amazonaws.com");
    assert_eq!(record["requestID"], id);
}

#[test]
fn other_actions_of_sts_are_refused_and_recorded() {
    let endpoint = Endpoint::new();
    for (form, code) in [
        ("Action=GetSessionToken", "UnsupportedOperationException"),
        ("Action=AssumeRole&RoleArn=x", "ValidationError"),
        ("Action=Bogus", "InvalidAction"),
        ("", "InvalidAction"),
    ] {
        let answer = endpoint.send(&endpoint.sts(form));
        assert_eq!(answer.status, 400, "{form}");
        assert!(answer.body.contains(&format!("<Code>{code}</Code>")), "{form}: {}", answer.body);
        let record = endpoint.records().pop().unwrap();
        assert_eq!(record["eventSource"], "sts.amazonaws.com");
        assert!(!record["errorCode"].is_null(), "{record}");
    }
}

#[test]
fn a_connection_carries_many_calls() {
    use std::io::Write as _;
    let endpoint = Endpoint::new();
    let mut stream = endpoint.connect();
    let bytes = endpoint.request("ListKeys", "{}").to_bytes(&endpoint.root);
    for _ in 0..3 {
        stream.write_all(&bytes).unwrap();
        assert_eq!(Answer::read(&mut stream).status, 200);
    }
    // Two in one packet: answered one after the other.
    stream.write_all(&[bytes.as_slice(), &bytes].concat()).unwrap();
    let (first, second) = (Answer::read(&mut stream), Answer::read(&mut stream));
    assert_ne!(first.header("x-amzn-requestid"), second.header("x-amzn-requestid"));
    assert_eq!(endpoint.records().len(), 6);
}
