//! What every record says: expected of each case, whatever the case itself asks for.
//!
//! From the case alone follow: which operation of which service, in which Region, by whom, with which access key and from
//! where; whether it only reads; the error's code and message; that a read or a refusal has no response elements; and the
//! request's parameters, all that were sent and are not secret, once the caller was allowed to know that the key is there.
//! That no secret is in it is looked for in its text.

use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::values::{Saved, filled_in, replaced};

/// Members of requests and answers that must not be in a record.
const SECRETS: [&str; 15] = [
    "CiphertextBlob",
    "EncryptedKeyMaterial",
    "GrantToken",
    "GrantTokens",
    "ImportToken",
    "Mac",
    "Message",
    "Plaintext",
    "PrivateKeyCiphertextBlob",
    "PrivateKeyPlaintext",
    "PublicKey",
    "SecretAccessKey",
    "SessionToken",
    "SharedSecret",
    "Signature",
];

/// Members of requests that no secret is in, but that a record tells otherwise or not at all.
const TOLD_OTHERWISE: [&str; 3] = ["DryRun", "DryRunModifiers", "ValidTo"];

/// Operations whose records have no parameters: AWS leaves them out where one of them is secret, or tells nothing.
const WITHOUT_PARAMETERS: [&str; 2] = ["GenerateRandom", "RetireGrant"];

/// Members whose own members are the caller's words and stay as they are.
const CALLERS_WORDS: &str = "encryptionContext";

/// Errors before which the caller was found to be allowed, and what it sent to be well formed.
const LATE_ERRORS: [&str; 9] = [
    "AlreadyExistsException",
    "DisabledException",
    "DryRunOperationException",
    "IncorrectKeyException",
    "InvalidKeyUsageException",
    "KMSInvalidMacException",
    "KMSInvalidSignatureException",
    "KMSInvalidStateException",
    "LimitExceededException",
];

/// Who made a call, as its record names them.
pub(crate) struct Caller<'a> {
    pub(crate) name: &'a str,
    pub(crate) account: &'a str,
    pub(crate) access_key_id: &'a str,
}

impl Caller<'_> {
    fn identity(&self) -> Value {
        let Self { name, account, access_key_id } = self;
        match *name {
            "root" => json!({
                "type": "Root", "accountId": account, "principalId": account, "accessKeyId": access_key_id,
                "arn": format!("arn:aws:iam::{account}:root"),
            }),
            name if name.starts_with("session ") => json!({
                "type": "AssumedRole", "accountId": account, "accessKeyId": access_key_id, "principalId": "AROA…",
                "arn": format!("arn:aws:sts::{account}:assumed-role/…"),
                "sessionContext": { "attributes": { "creationDate": "<time>", "mfaAuthenticated": "false" } },
            }),
            name => json!({
                "type": "IAMUser", "accountId": account, "userName": name, "accessKeyId": access_key_id,
                "arn": format!("arn:aws:iam::{account}:user/{name}"),
            }),
        }
    }
}

/// The record that this case leaves, as far as the case itself does not say more.
pub(crate) fn expected(case: &Case, caller: &Caller<'_>, saved: &Saved) -> Value {
    let (service, operation) = case.operation().unwrap();
    // CloudTrail calls all operations of STS reads; those that make a session tell of it.
    let read_only = service == "sts"
        || [
            "Get",
            "List",
            "Describe",
            "Generate",
            "Verify",
            "Derive",
            "Sign",
            "Encrypt",
            "Decrypt",
            "ReEncrypt",
        ]
        .iter()
        .any(|start| operation.starts_with(start));
    let mut record = json!({
        "eventVersion": "*",
        "eventID": "<uuid>",
        "eventTime": "<time>",
        "eventType": "AwsApiCall",
        "eventCategory": "Management",
        "managementEvent": true,
        "eventSource": format!("{service}.amazonaws.com"),
        "eventName": operation,
        "awsRegion": case.region,
        "sourceIPAddress": "127.0.0.1",
        "recipientAccountId": caller.account,
        "readOnly": read_only,
        "userAgent": if case.call.is_empty() { "aws-cli/…" } else { "Boto3/…" },
        "userIdentity": caller.identity(),
        "errorCode": "null",
        "errorMessage": "null",
    });
    if let Some((code, message)) = case.refusal() {
        let code = if code == "AccessDeniedException" { "AccessDenied" } else { code };
        record["errorCode"] = code.into();
        record["errorMessage"] = match filled_in(message, saved) {
            message if message.is_empty() => "null".into(),
            message => message.into(),
        };
    }
    let tells = operation == "AssumeRole";
    if (read_only && !tells) || case.refusal().is_some() {
        record["responseElements"] = "null".into();
    }
    if let Some(parameters) = parameters(case, &operation, saved) {
        record["requestParameters"] = parameters;
    }
    record
}

/// The record that the call leaves in another Region, by that of its own.
pub(crate) fn elsewhere(of_call: &Value) -> Value {
    let mut record = of_call.clone();
    record["userIdentity"]["invokedBy"] = "kms.amazonaws.com".into();
    for follows_from_the_call in ["awsRegion", "requestParameters", "responseElements"] {
        record.as_object_mut().unwrap().remove(follows_from_the_call);
    }
    record
}

/// The record of what the engine does by itself.
pub(crate) fn event(region: &str) -> Value {
    json!({
        "eventID": "<uuid>",
        "eventSource": "kms.amazonaws.com",
        "eventType": "AwsServiceEvent",
        "awsRegion": region,
        "userIdentity": { "invokedBy": "AWS Internal" },
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
        "requestParameters": "null",
        "errorCode": "null",
    })
}

/// The parameters that the record shows; `None` where it follows from nothing how far the call came.
fn parameters(case: &Case, operation: &str, saved: &Saved) -> Option<Value> {
    let null = Some(json!("null"));
    if WITHOUT_PARAMETERS.contains(&operation) {
        return null;
    }
    match case.refusal() {
        Some((code, _)) if LATE_ERRORS.contains(&code) => {}
        Some(("AccessDeniedException" | "NotFoundException", _)) => return null,
        Some(("ValidationException", text)) if text.contains(" detected: ") => return null,
        Some(_) => return None,
        None => {}
    }
    let mut sent = case.input.clone();
    if let Some(place) = case.run.iter().position(|word| word == "--key-id") {
        sent.insert("KeyId".to_owned(), case.run[place + 1].clone().into());
    }
    let untold =
        |name: &String| SECRETS.contains(&name.as_str()) || TOLD_OTHERWISE.contains(&name.as_str());
    let told: Map<String, Value> = sent.into_iter().filter(|(name, _)| !untold(name)).collect();
    let told = replaced(&lowered(&Value::Object(told)), saved);
    (told != json!({})).then_some(told)
}

/// Names of members as records write them, and empty contexts left out as records leave them out.
fn lowered(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| **member != json!({}))
            .map(|(name, member)| {
                let name = name[..1].to_lowercase() + &name[1..];
                let free = name.to_lowercase().contains(&CALLERS_WORDS.to_lowercase());
                let member = if free { member.clone() } else { lowered(member) };
                (name, member)
            })
            .collect(),
        Value::Array(items) => items.iter().map(lowered).collect(),
        other => other.clone(),
    }
}

/// The secrets among these members that are long enough to be found by accident nowhere.
pub(crate) fn secrets(members: &Value) -> Vec<&str> {
    let Some(members) = members.as_object() else { return Vec::new() };
    let of_session = members.get("Credentials").and_then(Value::as_object).into_iter().flatten();
    let secret =
        members.iter().chain(of_session).filter(|(name, _)| SECRETS.contains(&name.as_str()));
    let texts = secret.flat_map(|(_, value)| match value {
        Value::Object(bytes) => bytes.get("base64").and_then(Value::as_str).into_iter().collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>(),
        value => value.as_str().into_iter().collect(),
    });
    texts.filter(|text| text.len() >= 12).collect()
}
