//! Roles and their sessions: who may assume them, what the credentials are good for, when they end, and what is recorded.

use keytrail_kms::{
    AssumeRoleRequest, Caller, CreateRoleRequest, EngineError, ErrorCode, KmsError,
    SessionCredentials,
};
use serde_json::{Value, json};

use crate::support::{Bench, HELLO, arn, text, with};

const ROLE: &str = "arn:aws:iam::111122223333:role/app";
/// A second, in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;
/// What a client is told whose session is no session, or no longer one.
const INVALID: &str =
    "UnrecognizedClientException: The security token included in the request is invalid.";

/// A trust policy that lets these principals do everything that a session needs.
fn trust(principal: &Value) -> String {
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn trust_in_alice() -> String {
    trust(&json!({"AWS": "arn:aws:iam::111122223333:user/alice"}))
}

const ALL_OF_KMS: &str = r#"{"Statement": [{"Effect": "Allow", "Action": ["kms:*", "sts:AssumeRole"], "Resource": "*"}]}"#;

/// A role that alice may assume, and that may do everything with keys.
fn role(bench: &Bench, name: &str) -> String {
    let request = CreateRoleRequest {
        trust_policy: &trust_in_alice(),
        policies: &[("p", ALL_OF_KMS)],
        ..CreateRoleRequest::default()
    };
    bench.engine().create_role(&bench.root(), name, &request).unwrap()
}

/// Alice, who may do nothing by herself.
fn alice(bench: &Bench) -> Caller {
    let access_key = bench.engine().create_user(&bench.root(), "alice", &[]).unwrap();
    bench.engine().caller_for_access_key(access_key.id.as_str()).unwrap()
}

fn assume(
    bench: &Bench,
    caller: &Caller,
    request: &AssumeRoleRequest<'_>,
) -> Result<SessionCredentials, KmsError> {
    bench.engine().assume_role(caller, request)
}

fn plain(role_arn: &str) -> AssumeRoleRequest<'_> {
    AssumeRoleRequest { role_arn, session_name: "run1", ..AssumeRoleRequest::default() }
}

/// A session of a role of that name.
fn session(bench: &Bench) -> Caller {
    role(bench, "app");
    let credentials = assume(bench, &alice(bench), &plain(ROLE)).ok().unwrap();
    bench.engine().caller_for_session(&credentials).unwrap()
}

#[track_caller]
fn refusal(answer: Result<SessionCredentials, KmsError>) -> String {
    answer.err().unwrap().to_string()
}

#[test]
fn a_session_does_what_its_role_may() {
    let bench = Bench::new();
    let session = session(&bench);
    assert_eq!(session.principal().to_string(), "arn:aws:sts::111122223333:assumed-role/app/run1");
    let key = bench.key();
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO}).to_string();
    let answer = bench.call_as(&session, "Encrypt", &encrypt).unwrap();
    let decrypt = json!({"CiphertextBlob": answer["CiphertextBlob"]}).to_string();
    assert_eq!(bench.call_as(&session, "Decrypt", &decrypt).unwrap()["Plaintext"], HELLO);
    let identity = bench.engine().call_sts(&session, "GetCallerIdentity", b"{}").unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    assert_eq!(text(&identity, "Arn"), "arn:aws:sts::111122223333:assumed-role/app/run1");
    assert!(text(&identity, "UserId").starts_with("AROA"));
    assert!(text(&identity, "UserId").ends_with(":run1"));
    bench.ledger();
}

#[test]
fn a_refusal_names_the_session() {
    let bench = Bench::new();
    let session = session(&bench);
    bench.engine().put_role_policy(&bench.root(), "app", "p", r#"{"Statement": []}"#).unwrap();
    let key = bench.key();
    let refused = bench.call_as(&session, "DescribeKey", &json!({"KeyId": key}).to_string());
    let expected = format!(
        "AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/app/run1 is not authorized to perform: \
         kms:DescribeKey on resource: {} because no identity-based policy allows the kms:DescribeKey action",
        arn(&key)
    );
    assert_eq!(refused.unwrap_err().to_string(), expected);
    let record = bench.records().pop().unwrap();
    assert_eq!(record["errorCode"], "AccessDenied");
    assert_eq!(record["userIdentity"]["type"], "AssumedRole");
}

#[test]
fn only_whom_the_role_trusts_may_assume_it_and_nobody_learns_what_roles_there_are() {
    let bench = Bench::new();
    role(&bench, "app");
    let may_all = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;
    let bob = bench.user("bob", may_all);
    let denied = |role: &str| {
        format!(
            "AccessDeniedException: User: arn:aws:iam::111122223333:user/bob is not authorized to perform: sts:AssumeRole \
             on resource: {role}"
        )
    };
    for role in [
        ROLE,
        "arn:aws:iam::111122223333:role/none",
        "arn:aws:iam::111122223333:role/x/app",
        "arn:aws:iam::444455556666:role/app",
    ] {
        assert_eq!(refusal(assume(&bench, &bob, &plain(role))), denied(role));
        let record = bench.records().pop().unwrap();
        assert_eq!(
            (&record["errorCode"], &record["requestParameters"]),
            (&json!("AccessDenied"), &Value::Null)
        );
    }
    let root = refusal(assume(&bench, &bench.root(), &plain(ROLE)));
    assert_eq!(root, "AccessDeniedException: Roles may not be assumed by root accounts.");
}

#[test]
fn a_session_ends_after_its_time() {
    let bench = Bench::new();
    role(&bench, "app");
    let alice = alice(&bench);
    let request = AssumeRoleRequest { duration_seconds: Some(900), ..plain(ROLE) };
    let credentials = assume(&bench, &alice, &request).ok().unwrap();
    let session = bench.engine().caller_for_session(&credentials).unwrap();
    bench.call_as(&session, "ListKeys", "{}").unwrap();
    bench.advance(899 * SECOND_NS);
    bench.call_as(&session, "ListKeys", "{}").unwrap();
    bench.advance(SECOND_NS);
    let expired = bench.call_as(&session, "ListKeys", "{}").unwrap_err();
    assert_eq!(
        expired.to_string(),
        "ExpiredTokenException: The security token included in the request is expired"
    );
    let again = bench.engine().caller_for_session(&credentials).unwrap_err();
    assert!(matches!(again, EngineError::ExpiredToken));
}

#[test]
fn a_session_ends_with_its_role_and_not_only_with_its_name() {
    let bench = Bench::new();
    let session = session(&bench);
    bench.engine().delete_role(&bench.root(), "app").unwrap();
    assert_eq!(bench.call_as(&session, "ListKeys", "{}").unwrap_err().to_string(), INVALID);
    role(&bench, "app");
    assert_eq!(bench.call_as(&session, "ListKeys", "{}").unwrap_err().to_string(), INVALID);
}

#[test]
fn sessions_outlive_a_restart() {
    let mut bench = Bench::new();
    role(&bench, "app");
    let credentials = assume(&bench, &alice(&bench), &plain(ROLE)).ok().unwrap();
    bench.reopen(|_| {});
    let session = bench.engine().caller_for_session(&credentials).unwrap();
    bench.call_as(&session, "ListKeys", "{}").unwrap();
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    assert_eq!(bench.engine().roles(&bench.root()).unwrap().len(), 1, "replayed");
    bench.call_as(&session, "ListKeys", "{}").unwrap();
}

#[test]
fn credentials_are_good_together_only() {
    let bench = Bench::new();
    role(&bench, "app");
    let alice = alice(&bench);
    let [first, second] = [(); 2].map(|()| assume(&bench, &alice, &plain(ROLE)).ok().unwrap());
    let engine = bench.engine();
    let token = |credentials: &SessionCredentials| credentials.session_token.to_string();
    let (secret, caller) =
        engine.credentials(&first.access_key.id, Some(&token(&first))).ok().unwrap();
    assert_eq!(secret.expose(), first.access_key.secret.expose());
    assert_eq!(caller.access_key_id(), &first.access_key.id);
    for (id, token) in [
        (&first.access_key.id, Some(token(&second))),
        (&first.access_key.id, Some("garbage".to_owned())),
        (&first.access_key.id, Some(String::new())),
        (&first.access_key.id, None),
        (alice.access_key_id(), Some(token(&first))),
    ] {
        let refused = engine.credentials(id, token.as_deref()).err().unwrap();
        assert!(matches!(refused, EngineError::UnknownAccessKey { .. }), "{id} {token:?}");
    }
}

#[test]
fn durations_have_the_limits_of_aws_of_the_role_and_of_chains() {
    let bench = Bench::new();
    let hours = |seconds| CreateRoleRequest {
        trust_policy: r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]}"#,
        max_session_seconds: seconds,
        ..CreateRoleRequest::default()
    };
    let engine = bench.engine();
    engine.create_role(&bench.root(), "app", &hours(None)).unwrap();
    let long = engine.create_role(&bench.root(), "long", &hours(Some(43_200))).unwrap();
    let alice = alice(&bench);
    let lasting = |role_arn, seconds| AssumeRoleRequest {
        duration_seconds: Some(seconds),
        ..plain(role_arn)
    };
    let seconds = |credentials: SessionCredentials| {
        credentials.expiration.unix_seconds() - keytrail_testkit::START_NS / SECOND_NS
    };
    assert_eq!(assume(&bench, &alice, &plain(&long)).map(seconds).unwrap(), 3600);
    assert_eq!(assume(&bench, &alice, &lasting(&long, 43_200)).map(seconds).unwrap(), 43_200);
    let one = "ValidationException: 1 validation error detected: Value";
    for (asked, bound) in
        [(899, "greater than or equal to 900"), (43_201, "less than or equal to 43200")]
    {
        let expected = format!(
            "{one} '{asked}' at 'durationSeconds' failed to satisfy constraint: Member must have value {bound}"
        );
        assert_eq!(refusal(assume(&bench, &alice, &lasting(&long, asked))), expected);
    }
    let over = "ValidationException: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    assert_eq!(refusal(assume(&bench, &alice, &lasting(ROLE, 3601))), over);
    let credentials = assume(&bench, &alice, &plain(ROLE)).ok().unwrap();
    let session = engine.caller_for_session(&credentials).unwrap();
    let chained = "ValidationException: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed \
                   by role chaining.";
    assert_eq!(refusal(assume(&bench, &session, &lasting(&long, 3601))), chained);
    assert_eq!(assume(&bench, &session, &lasting(&long, 3600)).map(seconds).unwrap(), 3600);
}

/// The refusal of an `AssumeRole` by alice with these members.
fn refusal_of(bench: &Bench, alice: &Caller, members: &Value) -> String {
    let mut input = with(&json!({"RoleArn": ROLE, "RoleSessionName": "run1"}), members.clone());
    input.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let answer = bench.engine().call_sts(alice, "AssumeRole", input.to_string().as_bytes());
    answer.err().unwrap().to_string()
}

#[test]
fn a_member_that_does_not_fit_is_told_in_the_words_of_aws() {
    let bench = Bench::new();
    role(&bench, "app");
    let alice = alice(&bench);
    let length = "have length greater than or equal to";
    for (members, value, constraint) in [
        (json!({"RoleSessionName": null}), "null at 'roleSessionName'", "not be null"),
        (json!({"RoleSessionName": "x"}), "'x' at 'roleSessionName'", &format!("{length} 2")),
        (
            json!({"RoleSessionName": "a b"}),
            "'a b' at 'roleSessionName'",
            r"satisfy regular expression pattern: [\w+=,.@-]*",
        ),
        (json!({"RoleArn": "x"}), "'x' at 'roleArn'", &format!("{length} 20")),
        (json!({"ExternalId": "a b"}), "at 'externalId'", "satisfy regular expression pattern"),
        (json!({"Policy": ""}), "'' at 'policy'", &format!("{length} 1")),
        (
            json!({"Tags": [{"Key": "", "Value": "v"}]}),
            "'' at 'tags.1.member.key'",
            &format!("{length} 1"),
        ),
        (json!({"Tags": [{"Key": "k"}]}), "null at 'tags.1.member.value'", "not be null"),
    ] {
        let told = refusal_of(&bench, &alice, &members);
        let expected = format!(
            "ValidationException: 1 validation error detected: Value {value} failed to satisfy constraint: Member must \
             {constraint}"
        );
        assert!(told.starts_with(&expected), "{members}: {told}");
    }
}

#[test]
fn what_does_not_exist_here_is_refused_and_not_ignored() {
    let bench = Bench::new();
    role(&bench, "app");
    let alice = alice(&bench);
    let tag = |key: &str| json!({"Key": key, "Value": "v"});
    for (members, expected) in [
        (
            json!({"RoleArn": "arn:aws:iam::111122223333:user/alice"}),
            "ValidationException: arn:aws:iam::111122223333:user/alice is invalid",
        ),
        (json!({"Policy": "{"}), "MalformedPolicyDocumentException: policy is not well formed"),
        (
            json!({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]}),
            "UnsupportedOperationException: PolicyArns is not supported",
        ),
        (
            json!({"SerialNumber": "arn:aws:iam::1:mfa/x", "TokenCode": "123456"}),
            "UnsupportedOperationException: SerialNumber is not supported",
        ),
        (json!({"Tags": [tag("a"), tag("A")]}), "InvalidInputException: Duplicate tag keys found."),
        (json!({"Tags": [tag("aws:x")]}), "InvalidInputException: System tags cannot be"),
    ] {
        let told = refusal_of(&bench, &alice, &members);
        assert!(told.starts_with(expected), "{members}: {told}");
    }
    let many = (0..50).map(|at| json!({"Key": format!("{at:0>128}"), "Value": "v".repeat(256)}));
    let told = refusal_of(&bench, &alice, &json!({"Tags": many.collect::<Vec<_>>()}));
    assert!(
        told.starts_with("PackedPolicyTooLargeException: Packed policy consumes 118%"),
        "{told}"
    );
}

#[test]
fn a_session_policy_limits_the_session() {
    let bench = Bench::new();
    role(&bench, "app");
    let policy =
        r#"{"Statement": [{"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}]}"#;
    let request = AssumeRoleRequest { policy: Some(policy), ..plain(ROLE) };
    let credentials = assume(&bench, &alice(&bench), &request).ok().unwrap();
    assert_eq!(credentials.packed_policy_size, Some(1));
    let session = bench.engine().caller_for_session(&credentials).unwrap();
    let key = bench.key();
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO}).to_string();
    bench.call_as(&session, "Encrypt", &encrypt).unwrap();
    let refused = bench.call_as(&session, "DescribeKey", &json!({"KeyId": key}).to_string());
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.ends_with("because no session policy allows the kms:DescribeKey action"),
        "{refused}"
    );
    let record =
        bench.records().into_iter().find(|record| record["eventName"] == "AssumeRole").unwrap();
    assert_eq!(record["requestParameters"]["policy"], policy);
}

#[test]
fn tags_and_source_identity_go_along_a_chain() {
    let bench = Bench::new();
    let engine = bench.engine();
    let everybody = trust(&json!({"AWS": "*"}));
    for (name, tags) in [("first", &[("dept", "it"), ("site", "x")][..]), ("second", &[])] {
        let request = CreateRoleRequest {
            trust_policy: &everybody,
            policies: &[("p", ALL_OF_KMS)],
            tags,
            ..CreateRoleRequest::default()
        };
        engine.create_role(&bench.root(), name, &request).unwrap();
    }
    let [first, second] =
        ["first", "second"].map(|name| format!("arn:aws:iam::111122223333:role/{name}"));
    let request = AssumeRoleRequest {
        tags: &[("Dept", "hr"), ("team", "blue")],
        transitive_tag_keys: &["dept"],
        source_identity: Some("ada"),
        ..plain(&first)
    };
    let credentials = assume(&bench, &alice(&bench), &request).ok().unwrap();
    assert_eq!(credentials.source_identity.as_deref(), Some("ada"));
    let session = engine.caller_for_session(&credentials).unwrap();

    // A key whose policy shows what the caller is: by what it lets in.
    let sees = |caller: &Caller, key: &str, value: &str| {
        let condition = json!({"StringEquals": {key: value}});
        let policy = json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:DescribeKey",
            "Resource": "*", "Condition": condition}]});
        let key = json!({"Policy": policy.to_string(), "BypassPolicyLockoutSafetyCheck": true});
        let key =
            bench.call("CreateKey", &key.to_string()).unwrap()["KeyMetadata"]["KeyId"].clone();
        bench.call_as(caller, "DescribeKey", &json!({"KeyId": key}).to_string()).is_ok()
    };
    assert!(
        sees(&session, "aws:PrincipalTag/dept", "hr"),
        "the session's tag comes before the role's"
    );
    assert!(sees(&session, "aws:PrincipalTag/site", "x"), "the role's tag");
    assert!(sees(&session, "aws:PrincipalTag/team", "blue"));
    assert!(sees(&session, "aws:SourceIdentity", "ada"));

    let next = assume(&bench, &session, &plain(&second)).ok().unwrap();
    assert_eq!(next.source_identity.as_deref(), Some("ada"));
    let next = engine.caller_for_session(&next).unwrap();
    assert!(sees(&next, "aws:PrincipalTag/dept", "hr"), "inherited");
    assert!(!sees(&next, "aws:PrincipalTag/team", "blue"), "not transitive");
    assert!(!sees(&next, "aws:PrincipalTag/site", "x"), "the first role's");
    assert!(sees(&next, "aws:SourceIdentity", "ada"));
    let record =
        bench.records().into_iter().rfind(|record| record["eventName"] == "AssumeRole").unwrap();
    assert_eq!(record["requestParameters"]["incomingTransitiveTags"], json!({"Dept": "hr"}));
    assert_eq!(record["userIdentity"]["sessionContext"]["sourceIdentity"], "ada");

    let changed = AssumeRoleRequest { tags: &[("DEPT", "it")], ..plain(&second) };
    let text =
        "ValidationException: The tag key Dept is inherited as a transitive tag and cannot be set.";
    assert_eq!(refusal(assume(&bench, &session, &changed)), text);
    let other = AssumeRoleRequest { source_identity: Some("eve"), ..plain(&second) };
    let text = "ValidationException: The source identity of a session cannot be changed.";
    assert_eq!(refusal(assume(&bench, &session, &other)), text);
}

#[test]
fn passing_tags_and_a_source_identity_needs_leave() {
    let bench = Bench::new();
    let only =
        r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}"#;
    let request = CreateRoleRequest { trust_policy: only, ..CreateRoleRequest::default() };
    bench.engine().create_role(&bench.root(), "app", &request).unwrap();
    let alice = alice(&bench);
    assert!(assume(&bench, &alice, &plain(ROLE)).is_ok());
    let told = |action: &str| {
        format!(
            "AccessDeniedException: User: arn:aws:iam::111122223333:user/alice is not authorized to perform: {action} on \
             resource: {ROLE}"
        )
    };
    let tagged = AssumeRoleRequest { tags: &[("a", "b")], ..plain(ROLE) };
    assert_eq!(refusal(assume(&bench, &alice, &tagged)), told("sts:TagSession"));
    let named = AssumeRoleRequest { source_identity: Some("ada"), ..plain(ROLE) };
    assert_eq!(refusal(assume(&bench, &alice, &named)), told("sts:SetSourceIdentity"));
}

#[test]
fn grants_to_a_role_and_to_a_session_work() {
    let bench = Bench::new();
    role(&bench, "app");
    bench.engine().put_role_policy(&bench.root(), "app", "p", r#"{"Statement": []}"#).unwrap();
    let alice = alice(&bench);
    let [one, two] = ["run1", "run2"].map(|session_name| {
        let request = AssumeRoleRequest { session_name, ..plain(ROLE) };
        let credentials = assume(&bench, &alice, &request).ok().unwrap();
        bench.engine().caller_for_session(&credentials).unwrap()
    });
    let may = |grantee: &str| {
        let key = bench.key();
        let grant = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["DescribeKey", "RetireGrant"]});
        let grant = bench.call("CreateGrant", &grant.to_string()).unwrap();
        let describe = json!({"KeyId": key}).to_string();
        let can =
            [&one, &two].map(|caller| bench.call_as(caller, "DescribeKey", &describe).is_ok());
        let retire = json!({"KeyId": arn(&key), "GrantId": grant["GrantId"]}).to_string();
        bench.call_as(&one, "RetireGrant", &retire).unwrap();
        can
    };
    assert_eq!(may(ROLE), [true, true]);
    assert_eq!(may("arn:aws:sts::111122223333:assumed-role/app/run1"), [true, false]);
}

#[test]
fn the_last_use_of_a_key_may_be_a_session_s() {
    let bench = Bench::new();
    let session = session(&bench);
    let key = bench.key();
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO}).to_string();
    bench.call_as(&session, "Encrypt", &encrypt).unwrap();
    let event = bench.records().pop().unwrap()["eventID"].clone();
    let last = bench.call("GetKeyLastUsage", &json!({"KeyId": key}).to_string()).unwrap();
    assert_eq!(last["KeyLastUsage"]["CloudTrailEventId"], event, "{last}");
}

#[test]
fn a_service_calls_by_its_name() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let access_key = engine.create_service_access_key(&root, "backup.amazonaws.com").unwrap();
    let service = engine.caller_for_access_key(access_key.id.as_str()).unwrap();
    let service = service.from_source("203.0.113.9").with_user_agent("agent");
    let policy = json!({"Statement": [
        {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "kms:Encrypt", "Resource": "*"}]});
    let input = json!({"Policy": policy.to_string(), "BypassPolicyLockoutSafetyCheck": true});
    let key = bench.call("CreateKey", &input.to_string()).unwrap()["KeyMetadata"]["KeyId"].clone();
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO}).to_string();
    bench.call_as(&service, "Encrypt", &encrypt).unwrap();
    let record = bench.records().pop().unwrap();
    let expected = json!({"type": "AWSService", "invokedBy": "backup.amazonaws.com"});
    assert_eq!(record["userIdentity"], expected);
    assert_eq!(record["sourceIPAddress"], "backup.amazonaws.com");
    assert_eq!(record["userAgent"], "backup.amazonaws.com");
    let refused =
        bench.call_as(&service, "DescribeKey", &json!({"KeyId": key}).to_string()).unwrap_err();
    assert!(
        refused.to_string().contains("User: backup.amazonaws.com is not authorized"),
        "{refused}"
    );

    let listed = engine.service_access_keys(&root).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].access_key_id, access_key.id.as_str());
    assert!(engine.delete_service(&root, "backup.amazonaws.com").unwrap());
    assert!(!engine.delete_service(&root, "backup.amazonaws.com").unwrap());
    assert_eq!(bench.call_as(&service, "Encrypt", &encrypt).unwrap_err().to_string(), INVALID);
}

#[test]
fn a_service_assumes_a_role_that_trusts_it() {
    let bench = Bench::new();
    let engine = bench.engine();
    let trusts = trust(&json!({"Service": "backup.amazonaws.com"}));
    let request = CreateRoleRequest {
        trust_policy: &trusts,
        policies: &[("p", ALL_OF_KMS)],
        ..CreateRoleRequest::default()
    };
    engine.create_role(&bench.root(), "app", &request).unwrap();
    let access_key =
        engine.create_service_access_key(&bench.root(), "backup.amazonaws.com").unwrap();
    let service = engine.caller_for_access_key(access_key.id.as_str()).unwrap();
    let credentials = assume(&bench, &service, &plain(ROLE)).ok().unwrap();
    let session = engine.caller_for_session(&credentials).unwrap();
    bench.call_as(&session, "ListKeys", "{}").unwrap();
}

#[test]
fn roles_are_kept_listed_and_deleted_like_users() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let request = CreateRoleRequest {
        path: Some("/batch/"),
        trust_policy: &trust_in_alice(),
        policies: &[("p", ALL_OF_KMS)],
        tags: &[("dept", "hr")],
        max_session_seconds: Some(7200),
    };
    let arn = engine.create_role(&root, "app", &request).unwrap();
    assert_eq!(arn, "arn:aws:iam::111122223333:role/batch/app");
    engine.tag_role(&root, "app", &[("Dept", "it"), ("team", "blue")]).unwrap();
    engine.untag_role(&root, "app", &["TEAM"]).unwrap();
    let listed = engine.roles(&root).unwrap();
    let role = &listed[0];
    assert_eq!((role.role_name.as_str(), role.arn.as_str()), ("app", arn.as_str()));
    assert_eq!(
        (role.max_session_duration, role.policy_names.as_slice()),
        (7200, &["p".to_owned()][..])
    );
    assert_eq!(role.assume_role_policy_document, trust_in_alice());
    let tags =
        role.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect::<Vec<_>>();
    assert_eq!(tags, [("Dept", "it")]);

    let again = engine.create_role(&root, "app", &request).unwrap_err();
    assert_eq!(
        again.to_string(),
        "EntityAlreadyExistsException: Role with name app already exists."
    );
    engine.update_trust_policy(&root, "app", &trust(&json!({"AWS": "*"}))).unwrap();
    engine.delete_role(&root, "app").unwrap();
    assert_eq!(engine.roles(&root).unwrap(), []);
    let gone = engine.delete_role(&root, "app").unwrap_err();
    assert_eq!(gone.to_string(), "NoSuchEntityException: The role with name app cannot be found.");
    let names =
        bench.records().into_iter().filter(|record| record["eventSource"] == "iam.amazonaws.com");
    let names =
        names.map(|record| record["eventName"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let expected = [
        "CreateAccessKey",
        "CreateRole",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "ListRoles",
        "CreateRole",
        "UpdateAssumeRolePolicy",
        "DeleteRolePolicy",
        "DeleteRole",
        "ListRoles",
        "DeleteRole",
    ];
    assert_eq!(names, expected);
}

#[test]
fn who_may_not_change_roles_is_refused() {
    let bench = Bench::new();
    role(&bench, "app");
    let bob = bench.user("bob", r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#);
    let engine = bench.engine();
    let request =
        CreateRoleRequest { trust_policy: &trust_in_alice(), ..CreateRoleRequest::default() };
    for (action, answer) in [
        ("iam:CreateRole", engine.create_role(&bob, "mine", &request).map(drop)),
        ("iam:UpdateAssumeRolePolicy", engine.update_trust_policy(&bob, "app", &trust_in_alice())),
        ("iam:PutRolePolicy", engine.put_role_policy(&bob, "app", "p", ALL_OF_KMS)),
        ("iam:TagRole", engine.tag_role(&bob, "app", &[("a", "b")])),
        ("iam:TagUser", engine.tag_user(&bob, "bob", &[("a", "b")])),
        ("iam:UntagRole", engine.untag_role(&bob, "app", &["a"])),
        ("iam:UntagUser", engine.untag_user(&bob, "bob", &["a"])),
        ("iam:ListRoles", engine.roles(&bob).map(drop)),
        ("iam:ListAccessKeys", engine.service_access_keys(&bob).map(drop)),
        (
            "iam:CreateAccessKey",
            engine.create_service_access_key(&bob, "s3.amazonaws.com").map(drop),
        ),
    ] {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AccessDeniedException, "{action}");
        assert!(
            refused.to_string().contains(&format!("not authorized to perform: {action} ")),
            "{refused}"
        );
    }
}

#[test]
fn an_imagined_session_answers_questions_and_calls_nothing() {
    let bench = Bench::new();
    role(&bench, "app");
    let imagined = bench.engine().imagined_session("app", "any").unwrap();
    let refused = bench.call_as(&imagined, "ListKeys", "{}").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ExpiredTokenException);
    assert!(bench.engine().imagined_session("none", "any").is_err());
}
