//! Who may do what: key policies, identity policies, and callers whose access key is gone.

use keytrail_kms::{CreateKeyRequest, ErrorCode};
use serde_json::{Value, json};

use crate::support::{Bench, HELLO, arn, text};

const ALLOW_ALL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

fn policy(statement: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#)
}

fn allow_root() -> &'static str {
    r#"{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}"#
}

#[test]
fn the_default_policy_leaves_it_to_identity_policies() {
    let bench = Bench::new();
    let key = bench.key();
    let only_this =
        format!(r#"{{"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "{}"}}"#, arn(&key));
    let alice = bench.user("alice", &only_this);
    let encrypt = |key: &str| {
        bench.call_as(&alice, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}).to_string())
    };
    let blob = text(&encrypt(&key).unwrap(), "CiphertextBlob").to_owned();
    let denied = |action: &str, key: &str| {
        format!(
            "AccessDeniedException: User: arn:aws:iam::111122223333:user/alice is not authorized to perform: {action} on \
             resource: {} because no identity-based policy allows the {action} action",
            arn(key)
        )
    };
    let other = bench.key();
    assert_eq!(encrypt(&other).unwrap_err().to_string(), denied("kms:Encrypt", &other));
    let decrypt = bench.call_as(&alice, "Decrypt", &json!({"CiphertextBlob": blob}).to_string());
    assert_eq!(decrypt.unwrap_err().to_string(), denied("kms:Decrypt", &key));
    // The permission for the variant without plaintext is one of its own.
    let input = json!({"KeyId": key, "KeySpec": "AES_256"}).to_string();
    let refused = bench.call_as(&alice, "GenerateDataKeyWithoutPlaintext", &input).unwrap_err();
    assert_eq!(refused.to_string(), denied("kms:GenerateDataKeyWithoutPlaintext", &key));
}

#[test]
fn a_key_policy_can_name_a_user_and_shut_out_root() {
    let bench = Bench::new();
    let alice = bench.user("alice", ALLOW_ALL);
    let only_alice = r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}, "Action": "kms:*", "Resource": "*"}"#;
    let only_alice = policy(only_alice);
    let request = CreateKeyRequest { policy: Some(&only_alice), ..CreateKeyRequest::default() };
    let refused = bench.engine().create_key(&bench.root(), &request).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future."
    );
    let key = bench.engine().create_key(&alice, &request).unwrap().key_id;
    assert_eq!(bench.engine().key_policy(&alice, &key).unwrap(), only_alice);
    let refused = bench.engine().describe_key(&bench.root(), &key).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("because no resource-based policy allows the kms:DescribeKey action")
    );
    let bypassed = CreateKeyRequest { bypass_policy_lockout_safety_check: true, ..request };
    bench.engine().create_key(&bench.root(), &bypassed).unwrap();
}

#[test]
fn a_changed_policy_counts_from_the_next_call_on() {
    let bench = Bench::new();
    let key = bench.key();
    let alice = bench.user("alice", ALLOW_ALL);
    let engine = bench.engine();
    engine.encrypt(&alice, &key, b"x", &[]).unwrap();
    let denies = policy(&format!(
        r#"{}, {{"Effect": "Deny", "Principal": {{"AWS": "arn:aws:iam::111122223333:user/alice"}}, "Action": "kms:Encrypt", "Resource": "*"}}"#,
        allow_root()
    ));
    engine.put_key_policy(&bench.root(), &key, &denies).unwrap();
    let refused = engine.encrypt(&alice, &key, b"x", &[]).err().unwrap();
    assert!(refused.to_string().ends_with("with an explicit deny in a resource-based policy"));
    assert_eq!(engine.key_policy(&alice, &key).unwrap(), denies);
}

#[test]
fn bad_policies_are_refused_with_their_reason() {
    let bench = Bench::new();
    let key = bench.key();
    let put = |policy: &str| {
        let refused = bench.engine().put_key_policy(&bench.root(), &key, policy).unwrap_err();
        (refused.code(), refused.message().unwrap_or_default().to_owned())
    };
    let unknown = allow_root()
        .replace(r#""Resource": "*""#, r#""Resource": "*", "Condition": {"Equals": {"a": "b"}}"#);
    let (code, text) = put(&policy(&unknown));
    assert_eq!(code, ErrorCode::MalformedPolicyDocumentException);
    assert!(text.starts_with("policy statement 1: Condition has no operator"), "{text}");
    assert_eq!(put("[]").0, ErrorCode::MalformedPolicyDocumentException);
    let long = format!("{}{}", policy(allow_root()), " ".repeat(32_768));
    assert_eq!(put(&long).0, ErrorCode::LimitExceededException);
    let other = json!({"KeyId": key, "Policy": policy(allow_root()), "PolicyName": "other"});
    let refused = bench.call("PutKeyPolicy", &other.to_string()).unwrap_err();
    assert_eq!(refused.to_string(), "NotFoundException: No such policy exists");
}

#[test]
fn actions_without_a_key_take_an_identity_policy() {
    let bench = Bench::new();
    let nobody =
        bench.user("nobody", r#"{"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}"#);
    for operation in ["CreateKey", "ListKeys", "ListAliases"] {
        let refused = bench.call_as(&nobody, operation, "{}").unwrap_err();
        let expected = format!(
            "AccessDeniedException: User: arn:aws:iam::111122223333:user/nobody is not authorized to perform: \
             kms:{operation} on resource: * because no identity-based policy allows the kms:{operation} action"
        );
        assert_eq!(refused.to_string(), expected);
    }
    let lister =
        bench.user("lister", r#"{"Effect": "Allow", "Action": "kms:list*", "Resource": "*"}"#);
    bench.call_as(&lister, "ListKeys", "{}").unwrap();
}

#[test]
fn an_alias_takes_the_permission_on_the_alias_and_on_the_key() {
    let bench = Bench::new();
    let key = bench.key();
    let alias = json!({"AliasName": "alias/app", "TargetKeyId": key}).to_string();
    let allow = |resource: &str| {
        format!(r#"{{"Effect": "Allow", "Action": "kms:CreateAlias", "Resource": "{resource}"}}"#)
    };
    let alias_arn = "arn:aws:kms:us-east-1:111122223333:alias/app";
    let on_key = bench.user("on-key", &allow(&arn(&key)));
    let refused = bench.call_as(&on_key, "CreateAlias", &alias).unwrap_err();
    assert!(
        refused.to_string().contains(&format!("on resource: {alias_arn} because")),
        "{refused}"
    );
    let on_alias = bench.user("on-alias", &allow(alias_arn));
    let refused = bench.call_as(&on_alias, "CreateAlias", &alias).unwrap_err();
    assert!(
        refused.to_string().contains(&format!("on resource: {} because", arn(&key))),
        "{refused}"
    );
    let on_both = bench.user("on-both", &format!("{}, {}", allow(alias_arn), allow(&arn(&key))));
    bench.call_as(&on_both, "CreateAlias", &alias).unwrap();
}

#[test]
fn a_deleted_user_is_out_at_once_and_its_successor_is_another() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let before = bench.user("alice", ALLOW_ALL);
    let [user] = &engine.users(&root).unwrap()[..] else { panic!("one user") };
    assert_eq!((&*user.user_name, &*user.arn), ("alice", "arn:aws:iam::111122223333:user/alice"));
    assert_eq!(user.access_key_ids, [before.access_key_id().as_str()]);
    assert_eq!(user.policy_names, ["p"]);
    engine.delete_user(&root, "alice").unwrap();
    assert!(engine.users(&root).unwrap().is_empty());
    let after = bench.user("alice", ALLOW_ALL);
    let refused = bench.call_as(&before, "ListKeys", "{}").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "UnrecognizedClientException: The security token included in the request is invalid."
    );
    assert!(engine.caller_for_access_key(before.access_key_id().as_str()).is_err());
    bench.call_as(&after, "ListKeys", "{}").unwrap();
    assert_ne!(engine.users(&root).unwrap()[0].user_id, user.user_id);
}

#[test]
fn users_are_made_and_deleted_by_those_who_may() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let keys_only =
        bench.user("keys-only", r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#);
    let refused = engine.create_user(&keys_only, "mallory", &[]).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "AccessDeniedException: User: arn:aws:iam::111122223333:user/keys-only is not authorized to perform: \
         iam:CreateUser on resource: arn:aws:iam::111122223333:user/mallory because no identity-based policy allows the \
         iam:CreateUser action"
    );
    assert_eq!(
        engine.delete_user(&keys_only, "keys-only").unwrap_err().code(),
        ErrorCode::AccessDeniedException
    );
    let code = |name: &str| engine.create_user(&root, name, &[]).err().unwrap().code();
    assert_eq!(code("keys-only"), ErrorCode::EntityAlreadyExistsException);
    assert_eq!(code("a/b"), ErrorCode::ValidationException);
    assert_eq!(
        engine.delete_user(&root, "nobody").unwrap_err().code(),
        ErrorCode::NoSuchEntityException
    );
    let secret = engine.create_user(&root, "carol", &[]).ok().unwrap();
    let kept = engine.secret_access_key(&secret.id).ok().unwrap();
    assert_eq!(kept.expose(), secret.secret.expose());
    assert_eq!(kept.expose().len(), 40);
}

/// What one call is allowed by a condition, and a second one is not.
#[track_caller]
fn check_condition(condition: &str, operation: &str, good: &Value, bad: &Value) {
    let bench = Bench::new();
    let conditional = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{}, {{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:user/alice"}},
            "Action": "*", "Resource": "*", "Condition": {condition}}}]}}"#,
        allow_root()
    );
    let request = CreateKeyRequest {
        policy: Some(&conditional),
        tags: &[("team", "hr")],
        ..CreateKeyRequest::default()
    };
    let key = bench.engine().create_key(&bench.root(), &request).unwrap().key_id;
    let alias = json!({"AliasName": "alias/app", "TargetKeyId": key}).to_string();
    bench.call("CreateAlias", &alias).unwrap();
    let alice = bench.user("alice", r#"{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}"#);
    let call = |input: &Value| {
        let mut input = input.clone();
        if input["KeyId"].is_null() {
            input["KeyId"] = json!(key);
        }
        bench.call_as(&alice, operation, &input.to_string())
    };
    call(good).unwrap();
    let refused = call(bad).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AccessDeniedException, "{condition} {bad}");
}

#[test]
fn conditions_see_the_request_with_its_defaults() {
    let in_context =
        |context: &str| json!({"Plaintext": HELLO, "EncryptionContext": {"Dept": context}});
    check_condition(
        r#"{"StringEquals": {"kms:EncryptionContext:dept": "hr"}}"#,
        "Encrypt",
        &in_context("hr"),
        &in_context("it"),
    );
    check_condition(
        r#"{"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": "Dept"}, "Null": {"kms:EncryptionContextKeys": "false"}}"#,
        "Encrypt",
        &in_context("hr"),
        &json!({"Plaintext": HELLO}),
    );
    check_condition(
        r#"{"NumericGreaterThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": 20}}"#,
        "ScheduleKeyDeletion",
        &json!({}),
        &json!({"PendingWindowInDays": 20}),
    );
    let encrypt = json!({"Plaintext": HELLO});
    check_condition(
        r#"{"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}"#,
        "Encrypt",
        &encrypt,
        &json!({"Plaintext": HELLO, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}),
    );
    let by_alias = json!({"Plaintext": HELLO, "KeyId": "alias/app"});
    check_condition(
        r#"{"StringEquals": {"kms:RequestAlias": "alias/app"}}"#,
        "Encrypt",
        &by_alias,
        &encrypt,
    );
}

/// `DescribeKey` leaves an encryption context alone, so one that is sent along must not open anything.
#[test]
fn a_member_that_the_operation_does_not_have_passes_no_condition() {
    let bench = Bench::new();
    let key = bench.key();
    let alice = bench.user(
        "alice",
        r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:dept": "hr"}}}"#,
    );
    let input =
        json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": {"dept": "hr"}}).to_string();
    bench.call_as(&alice, "Encrypt", &input).unwrap();
    let refused = bench.call_as(&alice, "DescribeKey", &input).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AccessDeniedException);
}
