//! Sessions over the wire: `AssumeRole` as a form, its answer as XML, and calls that are signed with what is in it.

use std::time::Duration;

use keytrail_auth::{AccessKey, SecretAccessKey};
use keytrail_kms::CreateRoleRequest;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::support::{Answer, Endpoint, Request, header};

/// The credentials that an answer gives, and the token.
struct Session {
    access_key: AccessKey,
    token: String,
}

impl Session {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let secret = Zeroizing::new(element(answer, "SecretAccessKey").to_owned());
        Self {
            access_key: AccessKey {
                id: element(answer, "AccessKeyId").parse().unwrap(),
                secret: SecretAccessKey::from_sealed(secret),
            },
            token: element(answer, "SessionToken").to_owned(),
        }
    }

    /// Sends a request as this session, with this token.
    fn send_with(&self, endpoint: &Endpoint, mut request: Request, token: &str) -> Answer {
        request.headers.push(header("x-amz-security-token", token));
        endpoint.exchange(&request.to_bytes(&self.access_key))
    }

    fn send(&self, endpoint: &Endpoint, request: Request) -> Answer {
        self.send_with(endpoint, request, &self.token)
    }
}

/// The text of an element that an answer has once.
fn element<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let (_, rest) = answer.body.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

/// An endpoint with a role that alice may assume; the access keys of alice and bob, who may do nothing themselves.
fn endpoint() -> (Endpoint, [AccessKey; 2]) {
    let policies =
        &[("p", r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#)];
    let trust_policy = r#"{"Statement": {"Effect": "Allow", "Action": "sts:*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}}"#;
    Endpoint::prepared(|engine| {
        let root = engine.root_caller().unwrap();
        let role = CreateRoleRequest { trust_policy, policies, ..CreateRoleRequest::default() };
        engine.create_role(&root, "app", &role).unwrap();
        ["alice", "bob"].map(|name| engine.create_user(&root, name, &[]).unwrap())
    })
}

const FORM: &str = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fapp\
                    &RoleSessionName=run1";

fn assume(endpoint: &Endpoint, caller: &AccessKey, more: &str) -> Answer {
    endpoint.exchange(&endpoint.sts(&format!("{FORM}{more}")).to_bytes(caller))
}

#[test]
fn a_session_is_made_by_a_form_and_signs_requests() {
    let (endpoint, [alice, _]) = endpoint();
    let answer = assume(
        &endpoint,
        &alice,
        "&DurationSeconds=900&Tags.member.1.Key=dept&Tags.member.1.Value=hr&TransitiveTagKeys.member.1=dept\
         &SourceIdentity=ada",
    );
    let session = Session::of(&answer);
    assert_eq!(answer.header("content-type"), Some("text/xml"));
    assert_eq!(element(&answer, "Arn"), "arn:aws:sts::111122223333:assumed-role/app/run1");
    assert_eq!(element(&answer, "Expiration"), "2025-05-21T06:02:45Z");
    assert_eq!(element(&answer, "PackedPolicySize"), "1");
    assert_eq!(element(&answer, "SourceIdentity"), "ada");
    assert_eq!(element(&answer, "RequestId"), answer.header("x-amzn-requestid").unwrap());

    let listed = session.send(&endpoint, endpoint.request("ListKeys", "{}"));
    assert_eq!(listed.status, 200, "{}", listed.body);
    let [.., asked, called] = &endpoint.records()[..] else { panic!("two records") };
    let parameters = &asked["requestParameters"];
    assert_eq!(parameters["tags"], json!([{"key": "dept", "value": "hr"}]));
    assert_eq!(
        (&parameters["durationSeconds"], &parameters["sourceIdentity"]),
        (&json!(900), &json!("ada"))
    );
    assert_eq!(called["userIdentity"]["type"], "AssumedRole");
    assert_eq!(called["userIdentity"]["accessKeyId"], session.access_key.id.as_str());

    let who = session.send(&endpoint, endpoint.sts("Action=GetCallerIdentity"));
    assert_eq!(element(&who, "Arn"), element(&answer, "Arn"));
    assert_eq!(element(&who, "UserId"), element(&answer, "AssumedRoleId"));
    let chained = session.send(&endpoint, endpoint.sts(FORM));
    assert_eq!(chained.status, 403, "the role trusts alice only");
}

#[test]
fn a_token_that_is_missing_damaged_foreign_or_over_is_refused_in_the_words_of_aws() {
    let (endpoint, [alice, _]) = endpoint();
    let session = Session::of(&assume(&endpoint, &alice, "&DurationSeconds=900"));
    let other = Session::of(&assume(&endpoint, &alice, ""));
    let records = endpoint.records().len();
    let request = || endpoint.request("ListKeys", "{}");
    let check = |answer: &Answer, code: &str, text: &str| {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json(), json!({"__type": code, "message": text}));
    };
    let (invalid, text) =
        ("UnrecognizedClientException", "The security token included in the request is invalid.");
    let damaged = session.token.replacen(&session.token[40..44], "AAAA", 1);
    for token in [other.token.as_str(), "x", "", &damaged, &session.token[4..]] {
        check(&session.send_with(&endpoint, request(), token), invalid, text);
    }
    check(&endpoint.exchange(&request().to_bytes(&session.access_key)), invalid, text);
    let mut with_token = request();
    with_token.headers.push(header("x-amz-security-token", &session.token));
    check(&endpoint.exchange(&with_token.to_bytes(&alice)), invalid, text);
    let form = session.send_with(&endpoint, endpoint.sts("Action=GetCallerIdentity"), "x");
    assert_eq!((form.status, element(&form, "Code")), (403, "InvalidClientTokenId"));

    let mut unsigned = request();
    unsigned.unsigned.push(header("x-amz-security-token", &session.token));
    let answer = endpoint.exchange(&unsigned.to_bytes(&session.access_key));
    let text = "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization.";
    check(&answer, "InvalidSignatureException", text);

    endpoint.advance(Duration::from_mins(15));
    let expired = |mut request: Request| {
        request.headers[2] = header("x-amz-date", "20250521T060245Z");
        session.send(&endpoint, request)
    };
    let text = "The security token included in the request is expired";
    check(&expired(request()), "ExpiredTokenException", text);
    let form = expired(endpoint.sts("Action=GetCallerIdentity"));
    assert_eq!((form.status, element(&form, "Code")), (403, "ExpiredToken"));
    assert_eq!(element(&form, "Message"), text);
    assert_eq!(endpoint.records().len(), records, "nobody called");
}

#[test]
fn no_log_line_shows_a_secret_of_a_session() {
    let (endpoint, [alice, _]) = endpoint();
    let session = Session::of(&assume(&endpoint, &alice, ""));
    session.send(&endpoint, endpoint.request("ListKeys", "{}"));
    session.send_with(&endpoint, endpoint.request("ListKeys", "{}"), &session.token[4..]);
    let log = Value::from(endpoint.log()).to_string();
    assert!(log.contains(session.access_key.id.as_str()), "the public half is there");
    assert!(log.contains("arn:aws:sts::111122223333:assumed-role/app/run1"));
    for secret in [session.access_key.secret.expose(), &session.token, &session.token[4..]] {
        assert!(!log.contains(secret));
    }
}

#[test]
fn what_is_wrong_with_a_form_is_told_by_the_names_of_sts() {
    let (endpoint, [alice, bob]) = endpoint();
    for (more, status, code, text) in [
        ("&DurationSeconds=899", 400, "ValidationError", "greater than or equal to 900"),
        ("&DurationSeconds=soon", 400, "MalformedInput", "not one of this action"),
        ("&Policy=%7B", 400, "MalformedPolicyDocument", "policy is not well formed"),
        ("&RoleSessionName=twice", 400, "MalformedInput", "not one of this action"),
        ("&Tags=%zz", 400, "MalformedInput", "not one of this action"),
        (
            "&Tags.member.1.Key=aws:x&Tags.member.1.Value=",
            400,
            "InvalidParameterValue",
            "System tags",
        ),
        (
            "&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/X",
            400,
            "UnsupportedOperationException",
            "PolicyArns",
        ),
    ] {
        let answer = assume(&endpoint, &alice, more);
        assert_eq!(
            (answer.status, element(&answer, "Code")),
            (status, code),
            "{more}: {}",
            answer.body
        );
        assert!(element(&answer, "Message").contains(text), "{more}: {}", answer.body);
        assert!(!endpoint.records().pop().unwrap()["errorCode"].is_null());
    }
    let denied = assume(&endpoint, &bob, "");
    assert_eq!((denied.status, element(&denied, "Code")), (403, "AccessDenied"));
    let text = "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: sts:AssumeRole on resource: \
                arn:aws:iam::111122223333:role/app";
    assert_eq!(element(&denied, "Message"), text);
}

/// The token carries all that a session is, in a header; with as many tags as its size allows it has some 25,000 characters.
#[test]
fn a_session_with_all_the_tags_that_there_can_be_calls_like_any_other() {
    let (endpoint, [alice, _]) = endpoint();
    let tags = (1..=50).map(|number| {
        let (key, value) = (format!("{number:0>128}"), "v".repeat(190));
        format!("&Tags.member.{number}.Key={key}&Tags.member.{number}.Value={value}")
    });
    let session = Session::of(&assume(&endpoint, &alice, &tags.collect::<String>()));
    assert!(session.token.len() > 20_000, "{}", session.token.len());
    let listed = session.send(&endpoint, endpoint.request("ListKeys", "{}"));
    assert_eq!(listed.status, 200, "{}", listed.body);
}
