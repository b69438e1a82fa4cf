//! Grants from outside: who is let in by one, who may end one, and what a token is worth.

use keytrail_kms::{Caller, ErrorCode, PolicyQuestion, Source};
use serde_json::{Value, json};

use crate::support::{Bench, DAY_NS, HELLO, arn, text};

/// Lets nobody in but by grants; `iam:` so that the policy is one.
const NOTHING: &str = r#"{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}"#;

fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::111122223333:user/{name}")
}

/// A grant made by root.
fn grant(bench: &Bench, key: &str, grantee: &str, operations: &[&str], more: &Value) -> Value {
    let mut input =
        json!({"KeyId": key, "GranteePrincipal": user_arn(grantee), "Operations": operations});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bench.call("CreateGrant", &input.to_string()).unwrap()
}

fn encrypt(bench: &Bench, caller: &Caller, key: &str, context: &Value) -> Result<Value, ErrorCode> {
    let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": context});
    bench.call_as(caller, "Encrypt", &input.to_string()).map_err(|refused| refused.code())
}

#[track_caller]
fn check_refused(bench: &Bench, caller: &Caller, operation: &str, input: &Value, expected: &str) {
    let refused = bench.call_as(caller, operation, &input.to_string()).unwrap_err();
    assert!(refused.to_string().starts_with(expected), "{operation} {input}: {refused}");
}

#[test]
fn a_grant_lets_its_grantee_do_what_it_lists_until_it_ends() {
    let mut bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    let [alice, bob] = ["alice", "bob"].map(|name| bench.user(name, NOTHING));
    let denied = Err(ErrorCode::AccessDeniedException);
    assert_eq!(encrypt(&bench, &alice, &key, &json!({})), denied);
    let made = grant(&bench, &key, "alice", &["Encrypt", "DescribeKey"], &json!({}));
    assert!(encrypt(&bench, &alice, &key, &json!({"any": "context"})).is_ok());
    bench.call_as(&alice, "DescribeKey", &json!({"KeyId": key}).to_string()).unwrap();
    assert_eq!(encrypt(&bench, &bob, &key, &json!({})), denied);
    assert_eq!(encrypt(&bench, &alice, &other, &json!({})), denied);
    let data_key = json!({"KeyId": key, "KeySpec": "AES_256"});
    check_refused(&bench, &alice, "GenerateDataKey", &data_key, "AccessDenied");
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    assert!(encrypt(&bench, &alice, &key, &json!({})).is_ok(), "also after a replay");
    bench.reopen(|_| {});
    assert!(encrypt(&bench, &alice, &key, &json!({})).is_ok(), "and from a snapshot");
    let revoke = json!({"KeyId": key, "GrantId": made["GrantId"]});
    check_refused(&bench, &bob, "RevokeGrant", &revoke, "AccessDenied");
    bench.call("RevokeGrant", &revoke.to_string()).unwrap();
    assert_eq!(encrypt(&bench, &alice, &key, &json!({})), denied);
    check_refused(&bench, &bench.root(), "RevokeGrant", &revoke, "InvalidGrantIdException");
}

#[test]
fn a_deny_beats_a_grant() {
    let bench = Bench::new();
    let key = bench.key();
    let denied = r#"{"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"}"#;
    let alice = bench.user("alice", denied);
    grant(&bench, &key, "alice", &["Encrypt"], &json!({}));
    assert_eq!(encrypt(&bench, &alice, &key, &json!({})), Err(ErrorCode::AccessDeniedException));
}

#[test]
fn constraints_hold_grantees_to_an_encryption_context() {
    let bench = Bench::new();
    let key = bench.key();
    let [alice, bob] = ["alice", "bob"].map(|name| bench.user(name, NOTHING));
    let pairs = json!({"dept": "hr"});
    let equals = json!({"Constraints": {"EncryptionContextEquals": pairs}});
    grant(&bench, &key, "alice", &["Encrypt", "DescribeKey"], &equals);
    let subset = json!({"Constraints": {"EncryptionContextSubset": pairs}});
    grant(&bench, &key, "bob", &["Encrypt"], &subset);
    for (context, to_alice, to_bob) in [
        (json!({"dept": "hr"}), true, true),
        (json!({"dept": "hr", "more": "x"}), false, true),
        (json!({"Dept": "hr"}), false, false),
        (json!({}), false, false),
    ] {
        assert_eq!(encrypt(&bench, &alice, &key, &context).is_ok(), to_alice, "{context}");
        assert_eq!(encrypt(&bench, &bob, &key, &context).is_ok(), to_bob, "{context}");
    }
    bench.call_as(&alice, "DescribeKey", &json!({"KeyId": key}).to_string()).unwrap();
}

#[test]
fn a_repeated_request_under_a_name_gets_the_same_grant_and_another_token() {
    let bench = Bench::new();
    let key = bench.key();
    let named = json!({"Name": "backup", "RetiringPrincipal": user_arn("bob")});
    let make = |more: &Value| grant(&bench, &key, "alice", &["Encrypt"], more);
    let [first, second] = [make(&named), make(&named)];
    assert_eq!(first["GrantId"], second["GrantId"]);
    assert_ne!(first["GrantToken"], second["GrantToken"]);
    assert_ne!(make(&json!({"Name": "backup"}))["GrantId"], first["GrantId"], "other parameters");
    assert_ne!(make(&json!({}))["GrantId"], make(&json!({}))["GrantId"], "without a name");
    let listed = bench.call("ListGrants", &json!({"KeyId": key}).to_string()).unwrap();
    assert_eq!(listed["Grants"].as_array().unwrap().len(), 4);
    // The first token is still good after the second was made.
    bench.call("RetireGrant", &json!({"GrantToken": first["GrantToken"]}).to_string()).unwrap();
    let gone = json!({"GrantToken": second["GrantToken"]});
    check_refused(&bench, &bench.root(), "RetireGrant", &gone, "InvalidGrantTokenException");
}

#[test]
fn a_grant_is_retired_by_those_it_names_and_by_the_account() {
    let bench = Bench::new();
    let key = bench.key();
    // May retire by an identity policy, which is not enough.
    let everything = r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#;
    let [alice, bob] = ["alice", "bob"].map(|name| bench.user(name, NOTHING));
    let carol = bench.user("carol", everything);
    let forbidden = r#"{"Effect": "Deny", "Action": "kms:RetireGrant", "Resource": "*"}"#;
    let dave = bench.user("dave", forbidden);
    let retire = |caller: &Caller, made: &Value| {
        let input = json!({"KeyId": arn(&key), "GrantId": made["GrantId"]});
        bench.call_as(caller, "RetireGrant", &input.to_string()).map_err(|error| error.code())
    };
    let denied = Err(ErrorCode::AccessDeniedException);
    let retiring = json!({"RetiringPrincipal": user_arn("bob")});
    let made = grant(&bench, &key, "alice", &["Encrypt"], &retiring);
    assert_eq!(retire(&alice, &made), denied, "RetireGrant is not among the operations");
    assert_eq!(retire(&carol, &made), denied, "an identity policy is not enough");
    retire(&bob, &made).unwrap();
    let made = grant(&bench, &key, "alice", &["Encrypt", "RetireGrant"], &json!({}));
    assert_eq!(retire(&bob, &made), denied);
    retire(&alice, &made).unwrap();
    let made = grant(&bench, &key, "alice", &["Encrypt"], &json!({}));
    retire(&bench.root(), &made).unwrap();
    let made =
        grant(&bench, &key, "alice", &["Encrypt"], &json!({"RetiringPrincipal": user_arn("dave")}));
    assert_eq!(retire(&dave, &made), denied, "a deny works");
    let account = json!({"RetiringPrincipal": "111122223333"});
    let made = grant(&bench, &key, "alice", &["Encrypt"], &account);
    assert_eq!(retire(&alice, &made), denied);
    retire(&carol, &made).unwrap();
}

#[test]
fn who_may_make_grants_by_a_grant_passes_on_no_more_than_that() {
    let bench = Bench::new();
    let key = bench.key();
    let alice = bench.user("alice", NOTHING);
    let constraint = |kind: &str, pairs: Value| json!({"Constraints": {kind: pairs}});
    let subset = constraint("EncryptionContextSubset", json!({"dept": "hr"}));
    grant(&bench, &key, "alice", &["Encrypt", "Decrypt", "CreateGrant"], &subset);
    let pass_on = |operations: &[&str], more: &Value| {
        let mut input =
            json!({"KeyId": key, "GranteePrincipal": user_arn("bob"), "Operations": operations});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.call_as(&alice, "CreateGrant", &input.to_string()).map_err(|error| error.code())
    };
    let denied = Err(ErrorCode::AccessDeniedException);
    pass_on(&["Decrypt"], &subset).unwrap();
    pass_on(&["Decrypt"], &constraint("EncryptionContextEquals", json!({"dept": "hr", "a": "b"})))
        .unwrap();
    assert_eq!(pass_on(&["Decrypt"], &json!({})), denied);
    let other = constraint("EncryptionContextEquals", json!({"dept": "it"}));
    assert_eq!(pass_on(&["Decrypt"], &other), denied);
    assert_eq!(pass_on(&["Decrypt", "GenerateDataKey"], &subset), denied);
    // Two grants that allow it together do not, because each child has one parent.
    grant(&bench, &key, "alice", &["GenerateDataKey", "CreateGrant"], &json!({}));
    assert_eq!(pass_on(&["Decrypt", "GenerateDataKey"], &subset), denied);
    pass_on(&["GenerateDataKey"], &json!({})).unwrap();
}

#[test]
fn policy_check_knows_who_may_retire_what() {
    let bench = Bench::new();
    let key = bench.key();
    let everything = r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#;
    let [alice, bob] = ["alice", "bob"].map(|name| bench.user(name, everything));
    let check = |caller: &Caller| {
        let question =
            PolicyQuestion { caller, action: "RetireGrant", key: Some(&key), context: &[] };
        bench.engine().check_policy(&question).unwrap()
    };
    assert!(!check(&alice).is_allowed(), "there is no grant");
    assert!(!check(&bench.root()).is_allowed());
    let made =
        grant(&bench, &key, "bob", &["Encrypt"], &json!({"RetiringPrincipal": user_arn("alice")}));
    let id = text(&made, "GrantId").to_owned();
    assert_eq!(check(&alice).decided_by, Some(Source::Grant { id }));
    assert_eq!(check(&bench.root()).decided_by, Some(Source::Root));
    assert!(!check(&bob).is_allowed());
    for (caller, allowed) in [(&bob, false), (&alice, true)] {
        let input = json!({"GrantToken": made["GrantToken"]}).to_string();
        assert_eq!(bench.call_as(caller, "RetireGrant", &input).is_ok(), allowed);
    }
}

/// Each half of `ReEncrypt` is a permission of its own, with a context of its own.
#[test]
fn re_encryption_takes_a_grant_on_each_side_in_its_own_context() {
    let bench = Bench::new();
    let [source, destination] = [bench.key(), bench.key()];
    let alice = bench.user("alice", NOTHING);
    let blob = encrypt(&bench, &bench.root(), &source, &json!({"at": "home"})).unwrap();
    let subset = |at: &str| json!({"Constraints": {"EncryptionContextSubset": {"at": at}}});
    let re_encrypt = |from: &str, to: &str| {
        let input = json!({"CiphertextBlob": blob["CiphertextBlob"], "DestinationKeyId": destination,
                           "SourceEncryptionContext": {"at": from}, "DestinationEncryptionContext": {"at": to}});
        bench.call_as(&alice, "ReEncrypt", &input.to_string()).map_err(|error| error.code())
    };
    let denied = Err(ErrorCode::AccessDeniedException);
    grant(&bench, &source, "alice", &["ReEncryptFrom"], &subset("home"));
    assert_eq!(re_encrypt("home", "work"), denied);
    grant(&bench, &destination, "alice", &["ReEncryptTo"], &subset("work"));
    assert_eq!(re_encrypt("home", "elsewhere"), denied);
    assert_eq!(re_encrypt("elsewhere", "work"), denied);
    re_encrypt("home", "work").unwrap();
}

#[test]
fn grants_on_other_keys_list_what_those_keys_do() {
    let bench = Bench::new();
    let alice = bench.user("alice", NOTHING);
    let key = |spec: &str, usage: &str| {
        let input = json!({"KeySpec": spec, "KeyUsage": usage}).to_string();
        let created = bench.call("CreateKey", &input).unwrap();
        text(&created["KeyMetadata"], "KeyId").to_owned()
    };
    let signing = key("ECC_NIST_P256", "SIGN_VERIFY");
    let input = json!({"KeyId": signing, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    check_refused(&bench, &alice, "Sign", &input, "AccessDeniedException");
    grant(&bench, &signing, "alice", &["Sign", "GetPublicKey"], &json!({}));
    bench.call_as(&alice, "Sign", &input.to_string()).unwrap();
    bench.call_as(&alice, "GetPublicKey", &json!({"KeyId": signing}).to_string()).unwrap();
    let hmac = key("HMAC_256", "GENERATE_VERIFY_MAC");
    for (key, operation, more) in [
        (&signing, "Encrypt", json!({})),
        (&hmac, "Sign", json!({})),
        (&hmac, "GetPublicKey", json!({})),
        (&hmac, "GenerateMac", json!({"Constraints": {"EncryptionContextSubset": {"a": "b"}}})),
    ] {
        let mut input =
            json!({"KeyId": key, "GranteePrincipal": user_arn("alice"), "Operations": [operation]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check_refused(&bench, &bench.root(), "CreateGrant", &input, "ValidationException: Grant");
    }
}

#[test]
fn conditions_can_bind_the_making_of_grants() {
    let bench = Bench::new();
    let key = bench.key();
    let alice = bench.user(
        "alice",
        r#"{"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": "*", "Condition": {
            "ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]},
            "StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset", "kms:EncryptionContext:dept": "hr"},
            "ArnLike": {"kms:GranteePrincipal": "arn:aws:iam::*:user/b*"},
            "Bool": {"kms:GrantIsForAWSResource": false}}}"#,
    );
    let make = |grantee: &str, operation: &str, kind: &str, dept: &str| {
        let input = json!({"KeyId": key, "GranteePrincipal": user_arn(grantee), "Operations": [operation],
                           "Constraints": {kind: {"dept": dept}}});
        bench.call_as(&alice, "CreateGrant", &input.to_string()).is_ok()
    };
    assert!(make("bob", "Encrypt", "EncryptionContextSubset", "hr"));
    assert!(!make("carol", "Encrypt", "EncryptionContextSubset", "hr"));
    assert!(!make("bob", "DescribeKey", "EncryptionContextSubset", "hr"));
    assert!(!make("bob", "Encrypt", "EncryptionContextEquals", "hr"));
    assert!(!make("bob", "Encrypt", "EncryptionContextSubset", "it"));
}

#[test]
fn tokens_are_ours_or_refused_and_never_more_than_ten() {
    let bench = Bench::new();
    let (key, root) = (bench.key(), bench.root());
    let token = grant(&bench, &key, "alice", &["Encrypt"], &json!({}))["GrantToken"].clone();
    let with = |tokens: Value| json!({"KeyId": key, "Plaintext": HELLO, "GrantTokens": tokens});
    bench.call("Encrypt", &with(json!([token])).to_string()).unwrap();
    bench.call("Encrypt", &with(json!(vec![&token; 10])).to_string()).unwrap();
    bench.call("Encrypt", &with(json!([])).to_string()).unwrap();
    check_refused(&bench, &root, "Encrypt", &with(json!(["x"])), "InvalidGrantTokenException");
    let cut = &token.as_str().unwrap()[1..];
    check_refused(
        &bench,
        &root,
        "Encrypt",
        &with(json!([token, cut])),
        "InvalidGrantTokenException",
    );
    check_refused(
        &bench,
        &root,
        "RetireGrant",
        &json!({"GrantToken": cut}),
        "InvalidGrantTokenException",
    );
    let too_many = "ValidationException: 1 validation error detected: Value at 'grantTokens' failed to satisfy \
                    constraint: Member must have length less than or equal to 10";
    check_refused(&bench, &root, "Encrypt", &with(json!(vec![&token; 11])), too_many);
    check_refused(&bench, &root, "Encrypt", &with(json!([""])), "ValidationException");
    check_refused(&bench, &root, "Encrypt", &with(json!("x")), "SerializationException");
    for operation in ["DescribeKey", "CreateGrant", "GenerateDataKey", "Decrypt"] {
        let blob = encrypt(&bench, &root, &key, &json!({})).unwrap()["CiphertextBlob"].clone();
        let input = json!({"KeyId": key, "GrantTokens": ["x"], "KeySpec": "AES_128", "CiphertextBlob": blob,
                           "GranteePrincipal": user_arn("alice"), "Operations": ["Encrypt"]});
        check_refused(&bench, &root, operation, &input, "InvalidGrantTokenException");
    }
}

#[test]
fn malformed_grants_are_refused_in_the_words_of_aws() {
    let bench = Bench::new();
    let (key, root) = (bench.key(), bench.root());
    let check = |changed: Value, expected: &str| {
        let mut input =
            json!({"KeyId": key, "GranteePrincipal": user_arn("alice"), "Operations": ["Encrypt"]});
        input.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        check_refused(&bench, &root, "CreateGrant", &input, expected);
    };
    check(
        json!({"GranteePrincipal": null, "Operations": null}),
        "ValidationException: 2 validation errors",
    );
    check(
        json!({"GranteePrincipal": "alice"}),
        "InvalidArnException: ARN does not refer to a valid principal",
    );
    check(json!({"RetiringPrincipal": "arn:aws:iam::111122223333:group/g"}), "InvalidArnException");
    check(
        json!({"Operations": ["Fly"]}),
        "ValidationException: 1 validation error detected: Value at 'operations'",
    );
    check(
        json!({"Operations": ["Sign"]}),
        "ValidationException: Grant operation Sign is not compatible",
    );
    check(json!({"Operations": "Encrypt"}), "SerializationException");
    check(json!({"Name": "a b"}), "ValidationException");
    let both = json!({"EncryptionContextSubset": {}, "EncryptionContextEquals": {}});
    check(json!({"Constraints": both}), "ValidationException: Specify either");
    let nine = (0..9).map(|n| (n.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>();
    check(json!({"Constraints": {"EncryptionContextSubset": nine}}), "ValidationException");
    let long = json!({"a": "v".repeat(385)});
    check(json!({"Constraints": {"EncryptionContextEquals": long}}), "ValidationException");
    check(json!({"KeyId": "alias/app"}), "NotFoundException");
    check(json!({"DryRun": true}), "DryRunOperationException");
    bench.call("DisableKey", &json!({"KeyId": key}).to_string()).unwrap();
    check(json!({}), "DisabledException");
    for input in
        [json!({}), json!({"KeyId": key}), json!({"GrantToken": "x", "KeyId": key, "GrantId": "y"})]
    {
        check_refused(
            &bench,
            &root,
            "RetireGrant",
            &input,
            "ValidationException: You must specify",
        );
    }
    let unknown = json!({"KeyId": key, "GrantId": "0".repeat(64)});
    check_refused(&bench, &root, "RetireGrant", &unknown, "InvalidGrantIdException");
    check_refused(
        &bench,
        &root,
        "RevokeGrant",
        &json!({"KeyId": key, "GrantId": "x"}),
        "InvalidGrantIdException",
    );
}

#[test]
fn lists_go_page_by_page_and_by_grantee_and_retiring_principal() {
    let bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    for (key, grantee) in [(&key, "alice"), (&key, "bob"), (&key, "alice"), (&other, "alice")] {
        grant(&bench, key, grantee, &["Encrypt"], &json!({"RetiringPrincipal": user_arn("carol")}));
    }
    let constraint = json!({"Name": "n", "Constraints": {"EncryptionContextSubset": {"a": "b"}}});
    let last = grant(&bench, &other, "bob", &["Encrypt", "Decrypt"], &constraint);
    let pages = |operation: &str, input: Value| {
        let (mut ids, mut input) = (Vec::new(), input);
        loop {
            let page = bench.call(operation, &input.to_string()).unwrap();
            let grants = page["Grants"].as_array().unwrap();
            ids.extend(grants.iter().map(|grant| text(grant, "GrantId").to_owned()));
            assert_eq!(page["Truncated"], json!(page["NextMarker"].is_string()));
            if page["NextMarker"].is_null() {
                return ids;
            }
            input["Marker"] = page["NextMarker"].clone();
        }
    };
    for limit in 1..=4 {
        let ids = pages("ListGrants", json!({"KeyId": key, "Limit": limit}));
        assert_eq!(ids.len(), 3);
        assert!(ids.is_sorted());
        let retirable = json!({"RetiringPrincipal": user_arn("carol"), "Limit": limit});
        assert_eq!(pages("ListRetirableGrants", retirable).len(), 4);
    }
    let by_grantee = json!({"KeyId": key, "GranteePrincipal": user_arn("bob")});
    assert_eq!(pages("ListGrants", by_grantee).len(), 1);
    let by_id = json!({"KeyId": other, "GrantId": last["GrantId"]});
    let listed = bench.call("ListGrants", &by_id.to_string()).unwrap();
    assert_eq!(
        listed["Grants"],
        json!([{"KeyId": arn(&other), "GrantId": last["GrantId"], "Name": "n", "CreationDate": 1_747_806_465.0,
                "GranteePrincipal": user_arn("bob"), "IssuingAccount": "arn:aws:iam::111122223333:root",
                "Operations": ["Encrypt", "Decrypt"], "Constraints": {"EncryptionContextSubset": {"a": "b"}}}])
    );
    for operation in ["ListGrants", "ListRetirableGrants"] {
        let input = json!({"KeyId": key, "RetiringPrincipal": user_arn("carol"), "Marker": "x"});
        check_refused(&bench, &bench.root(), operation, &input, "InvalidMarkerException");
    }
}

#[test]
fn grants_go_with_their_key() {
    let bench = Bench::new();
    let key = bench.key();
    let retiring = json!({"RetiringPrincipal": user_arn("carol")});
    let made = grant(&bench, &key, "alice", &["Encrypt"], &retiring);
    let schedule = json!({"KeyId": key, "PendingWindowInDays": 7});
    bench.call("ScheduleKeyDeletion", &schedule.to_string()).unwrap();
    bench.advance(7 * DAY_NS);
    let retirable = json!({"RetiringPrincipal": user_arn("carol")}).to_string();
    assert_eq!(bench.call("ListRetirableGrants", &retirable).unwrap()["Grants"], json!([]));
    let by_token = json!({"GrantToken": made["GrantToken"]});
    check_refused(&bench, &bench.root(), "RetireGrant", &by_token, "InvalidGrantTokenException");
}
