//! Several accounts: how they come to be, what crosses from one to another, and that each log tells of its own keys.

use keytrail_event::AccountId;
use keytrail_kms::{Caller, KmsError};
use serde_json::{Value, json};

use crate::import::{Parameters, external_key};
use crate::records::check_text;
use crate::support::{Bench, HELLO, arn, call, key_of, text, with};

const OTHER: &str = "444455556666";
const MALLORY: &str = "arn:aws:iam::444455556666:user/mallory";

/// A key policy: its own account may administrate, the other account may do everything that can be done from there.
const SHARED: &str = r#"{"Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "kms:*", "Resource": "*"}]}"#;
const ALL_OF_KMS: &str =
    r#"{"Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#;

/// The other account's root user, once it is made.
fn other_root(bench: &Bench) -> Caller {
    let account = OTHER.parse().unwrap();
    let access_key = bench.engine().create_account(&bench.root(), &account).unwrap();
    bench.engine().caller_for_access_key(access_key.id.as_str()).unwrap()
}

/// A user of the other account with these policies.
fn mallory(bench: &Bench, policies: &[(&str, &str)]) -> Caller {
    bench.engine().create_user(&other_root(bench), "mallory", policies).unwrap();
    bench.engine().caller_named("444455556666:mallory").unwrap()
}

/// A call, and the records that it left.
fn recorded(
    bench: &Bench,
    caller: &Caller,
    operation: &str,
    input: &Value,
) -> (Result<Value, KmsError>, Vec<Value>) {
    let before = bench.records().len();
    let answer = bench.call_as(caller, operation, &input.to_string());
    (answer, bench.records().split_off(before))
}

/// Shares a key of the first account with the other one; its ARN.
fn shared(bench: &Bench, key: &str) -> String {
    call(bench, "PutKeyPolicy", &json!({"KeyId": key, "Policy": SHARED}));
    arn(key)
}

/// The records of a call in both accounts: the owner's copy, then the caller's, which differ in nothing else.
#[track_caller]
fn check_pair(records: &[Value], caller: &Caller) {
    let [copy, own] = records else { panic!("two records: {records:#?}") };
    let different = ["eventID", "recipientAccountId", "userIdentity"];
    for (name, member) in own.as_object().unwrap() {
        assert_eq!(member != &copy[name], different.contains(&&**name), "{name} of {own:#}");
    }
    assert!(own["sharedEventID"].is_string());
    assert_eq!(
        (&own["recipientAccountId"], &copy["recipientAccountId"]),
        (&json!(OTHER), &json!("111122223333"))
    );
    let identity =
        json!({"type": "AWSAccount", "principalId": caller.principal_id(), "accountId": OTHER});
    assert_eq!(copy["userIdentity"], identity);
    assert_eq!(own["userIdentity"]["arn"], caller.principal().to_string());
}

#[test]
fn accounts_are_made_by_the_first_one_and_their_root_key_is_shown_once() {
    let mut bench = Bench::new();
    let root = bench.root();
    let account: AccountId = OTHER.parse().unwrap();
    let made = bench.engine().create_account(&root, &account).unwrap();
    check_text(&bench.last_record(), "create-account");
    assert_eq!(
        bench.engine().accounts(&root).unwrap(),
        [root.principal().account().clone(), account.clone()]
    );
    check_text(&bench.last_record(), "list-accounts");
    assert!(
        !bench.records().iter().any(|record| record.to_string().contains(made.secret.expose()))
    );

    let there = bench.engine().caller_for_access_key(made.id.as_str()).unwrap();
    assert_eq!(there.principal().to_string(), "arn:aws:iam::444455556666:root");
    let refused = |caller: &Caller, number: &str| {
        let account = number.parse().unwrap();
        bench.engine().create_account(caller, &account).err().unwrap().to_string()
    };
    assert_eq!(
        refused(&root, OTHER),
        "DuplicateAccountException: The account 444455556666 is there already."
    );
    let not_there = "AccessDeniedException: You don't have permissions to access this resource.";
    assert_eq!(refused(&there, "777788889999"), not_there);
    let alice = bench.user("alice", r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#);
    assert!(refused(&alice, "777788889999").contains("perform: organizations:CreateAccount"));
    let named =
        |name: &str| bench.engine().caller_named(name).map(|caller| caller.principal().to_string());
    assert_eq!(named("444455556666:root").unwrap(), "arn:aws:iam::444455556666:root");
    assert_eq!(named("alice").unwrap(), "arn:aws:iam::111122223333:user/alice");
    for unknown in ["444455556666:alice", "777788889999:root", "1:root", ":", ""] {
        assert!(named(unknown).is_err(), "{unknown}");
    }
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    let accounts = bench.engine().accounts(&there);
    assert_eq!(accounts.unwrap_err().to_string(), not_there);
    assert_eq!(bench.engine().accounts(&bench.root()).unwrap().len(), 2);
}

#[test]
fn each_account_sees_its_own_keys_aliases_and_users() {
    let bench = Bench::new();
    let there = other_root(&bench);
    let key = bench.key();
    call(&bench, "CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}));
    bench.user("alice", r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#);
    let done = |operation: &str, input: Value| {
        bench.call_as(&there, operation, &input.to_string()).unwrap()
    };
    assert_eq!(done("ListKeys", json!({}))["Keys"], json!([]));
    let aliases = done("ListAliases", json!({}))["Aliases"].clone();
    let of_aws = |alias: &Value| text(alias, "AliasName").starts_with("alias/aws/");
    assert!(aliases.as_array().unwrap().iter().all(of_aws));
    assert_eq!(bench.engine().users(&there).unwrap().len(), 0);
    let own = done("CreateKey", json!({}));
    let own = text(&own["KeyMetadata"], "Arn");
    assert!(own.starts_with("arn:aws:kms:us-east-1:444455556666:key/"));
    done("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": own}));
    let encrypted = done("Encrypt", json!({"KeyId": "alias/app", "Plaintext": HELLO}));
    assert_eq!(encrypted["KeyId"], own);
    // The id alone names a key of the caller's own account.
    let absent = bench.call_as(&there, "DescribeKey", &json!({"KeyId": key}).to_string());
    let expected = format!(
        "NotFoundException: Key 'arn:aws:kms:us-east-1:444455556666:key/{key}' does not exist"
    );
    assert_eq!(absent.unwrap_err().to_string(), expected);
    assert_eq!(call(&bench, "ListKeys", &json!({}))["Keys"].as_array().unwrap().len(), 1);
    // A policy that was never widened lets nobody in from elsewhere.
    let foreign =
        bench.call("Decrypt", &json!({"CiphertextBlob": encrypted["CiphertextBlob"]}).to_string());
    assert_eq!(foreign.unwrap_err().code().as_str(), "AccessDeniedException");
}

/// The operations that cross accounts, as mallory calls them with keys of the first account.
fn crossing(bench: &Bench) -> Vec<(&'static str, Value)> {
    let symmetric = shared(bench, &bench.key());
    let of = |spec: &str, usage: &str| shared(bench, &key_of(bench, spec, usage));
    let (mac, signing) =
        (of("HMAC_256", "GENERATE_VERIFY_MAC"), of("ECC_NIST_P256", "SIGN_VERIFY"));
    let agreeing = of("ECC_NIST_P256", "KEY_AGREEMENT");
    let made = |operation: &str, input: &Value, member: &str| json!({member: call(bench, operation, input)[member]});
    let key = json!({"KeyId": symmetric});
    let keyed = |more: Value| with(&key, more);
    let (message, pair) =
        (keyed(json!({"Plaintext": HELLO})), json!({"KeyPairSpec": "ECC_NIST_P256"}));
    let sealed = made("Encrypt", &message, "CiphertextBlob");
    let sign = json!({"KeyId": signing, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let signature = made("Sign", &sign, "Signature");
    let authenticate = json!({"KeyId": mac, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
    let tag = made("GenerateMac", &authenticate, "Mac");
    let derive = json!({"KeyId": agreeing, "KeyAgreementAlgorithm": "ECDH"});
    let public_key = made("GetPublicKey", &json!({"KeyId": agreeing}), "PublicKey");
    let grant = json!({"GranteePrincipal": MALLORY, "Operations": ["RetireGrant"]});
    let granted = || keyed(made("CreateGrant", &keyed(grant.clone()), "GrantId"));
    vec![
        ("CreateGrant", keyed(grant.clone())),
        ("Decrypt", sealed.clone()),
        ("DeriveSharedSecret", with(&derive, public_key)),
        ("DescribeKey", key.clone()),
        ("Encrypt", message),
        ("GenerateDataKey", keyed(json!({"KeySpec": "AES_256"}))),
        ("GenerateDataKeyPair", keyed(pair.clone())),
        ("GenerateDataKeyPairWithoutPlaintext", keyed(pair)),
        ("GenerateDataKeyWithoutPlaintext", keyed(json!({"KeySpec": "AES_256"}))),
        ("GenerateMac", authenticate.clone()),
        ("GetKeyRotationStatus", key.clone()),
        ("GetPublicKey", json!({"KeyId": signing})),
        ("ListGrants", key.clone()),
        ("ReEncrypt", with(&sealed, json!({"DestinationKeyId": symmetric}))),
        ("RetireGrant", granted()),
        ("RevokeGrant", granted()),
        ("Sign", sign.clone()),
        ("Verify", with(&sign, signature)),
        ("VerifyMac", with(&authenticate, tag)),
    ]
}

/// All others, with the beginning of the refusal where they name a key of the first account.
fn staying(bench: &Bench) -> Vec<(&'static str, Value, Option<&'static str>)> {
    let symmetric = shared(bench, &bench.key());
    let external = external_key(bench);
    let import = Parameters::new(bench, &external).request(&[7; 32]);
    let external = json!({"KeyId": shared(bench, &external)});
    let key = json!({"KeyId": symmetric});
    let wrapping =
        json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let store = json!({"CustomKeyStoreId": "cks-1234567890abcdef0"});
    let alias = json!({"AliasName": "alias/x", "TargetKeyId": symmetric});
    let denied = Some("AccessDeniedException: User: arn:aws:iam::444455556666:user/mallory");
    let of_key = |operation| (operation, key.clone(), denied);
    let with_key = |operation, more| (operation, with(&key, more), denied);
    vec![
        of_key("CancelKeyDeletion"),
        ("ConnectCustomKeyStore", store.clone(), None),
        ("CreateAlias", alias.clone(), denied),
        ("CreateCustomKeyStore", json!({"CustomKeyStoreName": "x"}), None),
        ("CreateKey", json!({}), None),
        ("DeleteAlias", json!({"AliasName": "alias/x"}), None),
        ("DeleteCustomKeyStore", store.clone(), None),
        ("DeleteImportedKeyMaterial", external.clone(), denied),
        ("DescribeCustomKeyStores", json!({}), None),
        of_key("DisableKey"),
        of_key("DisableKeyRotation"),
        ("DisconnectCustomKeyStore", store.clone(), None),
        of_key("EnableKey"),
        of_key("EnableKeyRotation"),
        ("GenerateRandom", json!({"NumberOfBytes": 8}), None),
        of_key("GetKeyLastUsage"),
        of_key("GetKeyPolicy"),
        ("GetParametersForImport", with(&external, wrapping), denied),
        ("ImportKeyMaterial", with(&import, external), denied),
        // Asks no key policy, and so must not tell that there is such a key.
        ("ListAliases", key.clone(), Some("NotFoundException: Key")),
        of_key("ListKeyPolicies"),
        of_key("ListKeyRotations"),
        ("ListKeys", json!({}), None),
        of_key("ListResourceTags"),
        ("ListRetirableGrants", json!({"RetiringPrincipal": MALLORY}), None),
        with_key("PutKeyPolicy", json!({"Policy": SHARED})),
        ("ReplicateKey", with(&key, json!({"ReplicaRegion": "eu-west-1"})), None),
        of_key("RotateKeyOnDemand"),
        of_key("ScheduleKeyDeletion"),
        with_key("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        with_key("UntagResource", json!({"TagKeys": ["a"]})),
        // There is no such alias in the caller's account.
        ("UpdateAlias", alias, Some("NotFoundException: Alias")),
        ("UpdateCustomKeyStore", store, None),
        with_key("UpdateKeyDescription", json!({"Description": "x"})),
        ("UpdatePrimaryRegion", with(&key, json!({"PrimaryRegion": "eu-west-1"})), None),
    ]
}

/// The API says of each operation whether it can be called across accounts. Those that can leave a record in both, all
/// others one, whatever comes of them.
#[test]
fn of_each_operation_there_is_one_record_and_two_where_it_crosses_accounts() {
    let bench = Bench::new();
    let caller = mallory(&bench, &[("p", ALL_OF_KMS)]);
    let (crossing, staying) = (crossing(&bench), staying(&bench));
    assert_eq!(crossing.len() + staying.len(), 54);
    for (operation, input) in crossing {
        let (answer, records) = recorded(&bench, &caller, operation, &input);
        answer.unwrap_or_else(|refused| panic!("{operation}: {refused}"));
        check_pair(&records, &caller);
    }
    for (operation, input, expected) in staying {
        let (answer, records) = recorded(&bench, &caller, operation, &input);
        if let Some(expected) = expected {
            let refused = answer.unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{operation}: {refused}");
        }
        let [record] = &*records else { panic!("{operation}: {records:#?}") };
        let places = (&record["recipientAccountId"], &record["sharedEventID"]);
        assert_eq!(places, (&json!(OTHER), &Value::Null), "{operation}");
    }
}

#[test]
fn both_sides_have_to_allow_and_a_denied_call_is_on_record_with_the_caller_only() {
    let bench = Bench::new();
    let key = shared(&bench, &bench.key());
    let unshared = arn(&bench.key());
    let may_nothing = mallory(&bench, &[]);
    let input = |key: &str| json!({"KeyId": key, "Plaintext": HELLO});
    let there = bench.engine().caller_named("444455556666:root").unwrap();
    bench.engine().create_user(&there, "trent", &[("p", ALL_OF_KMS)]).unwrap();
    let trent = bench.engine().caller_named("444455556666:trent").unwrap();
    for (caller, key, because) in [
        (&may_nothing, &key, "because no identity-based policy allows the kms:Encrypt action"),
        (&trent, &unshared, "because no resource-based policy allows the kms:Encrypt action"),
        (&there, &unshared, "because no resource-based policy allows the kms:Encrypt action"),
    ] {
        let (answer, records) = recorded(&bench, caller, "Encrypt", &input(key));
        assert!(answer.unwrap_err().to_string().ends_with(because), "{because}");
        let [record] = &*records else { panic!("{records:#?}") };
        assert_eq!(record["recipientAccountId"], OTHER);
        assert_eq!((&record["resources"], &record["sharedEventID"]), (&Value::Null, &Value::Null));
    }
    let (answer, records) = recorded(&bench, &trent, "Encrypt", &input(&key));
    answer.unwrap();
    check_pair(&records, &trent);
    check_text(&bench.last_record(), "encrypt-across-accounts");
    let ledger = bench.ledger();
    let [.., copy, _] = ledger.records()[..] else { panic!("two records") };
    check_text(std::str::from_utf8(copy).unwrap(), "encrypt-across-accounts-copy");
    // Allowed, and refused by the key's state: that is the owner's business too.
    call(&bench, "DisableKey", &json!({"KeyId": key}));
    let (answer, records) = recorded(&bench, &trent, "Encrypt", &input(&key));
    assert_eq!(answer.unwrap_err().to_string(), format!("DisabledException: {key} is disabled."));
    check_pair(&records, &trent);
}

#[test]
fn a_ciphertext_moves_between_accounts_and_each_finds_the_use_of_its_key_in_its_own_log() {
    let mut bench = Bench::new();
    let caller = mallory(&bench, &[("p", ALL_OF_KMS)]);
    let source = shared(&bench, &bench.key());
    let created = bench.call_as(&caller, "CreateKey", "{}").unwrap();
    let destination = text(&created["KeyMetadata"], "Arn").to_owned();
    let sealed = call(&bench, "Encrypt", &json!({"KeyId": source, "Plaintext": HELLO}));
    let input =
        json!({"CiphertextBlob": sealed["CiphertextBlob"], "DestinationKeyId": destination});
    let (answer, records) = recorded(&bench, &caller, "ReEncrypt", &input);
    let answer = answer.unwrap();
    assert_eq!((&answer["SourceKeyId"], &answer["KeyId"]), (&json!(source), &json!(destination)));
    check_pair(&records, &caller);
    let owners = records[0]["resources"].as_array().unwrap().iter();
    let owners = owners.map(|key| key["accountId"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(owners, ["111122223333", OTHER], "both keys are in both records");

    let check = |bench: &Bench| {
        let used = |caller: &Caller, key: &str| {
            let asked = json!({"KeyId": key}).to_string();
            bench.call_as(caller, "GetKeyLastUsage", &asked).unwrap()["KeyLastUsage"].clone()
        };
        for (caller, key, record) in
            [(&bench.root(), &source, &records[0]), (&caller, &destination, &records[1])]
        {
            let last = used(caller, key);
            assert_eq!(last["Operation"], "ReEncrypt");
            assert_eq!(last["CloudTrailEventId"], record["eventID"]);
            assert_eq!(last["KmsRequestId"], record["requestID"]);
        }
        for key in [&source, &destination] {
            let uses = bench.engine().material_uses(key).unwrap();
            assert_eq!(uses[0].encryptions, 1, "a call with two records is one use of {key}");
        }
    };
    check(&bench);
    bench.reopen(|_| ());
    check(&bench);
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    check(&bench);
}

#[test]
fn a_key_of_another_account_can_be_named_by_arn_and_alias_arn_and_found_by_its_ciphertext() {
    let bench = Bench::new();
    let caller = mallory(&bench, &[("p", ALL_OF_KMS)]);
    let key = shared(&bench, &bench.key());
    call(&bench, "CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}));
    let alias = "arn:aws:kms:us-east-1:111122223333:alias/app";
    let done = |operation: &str, input: Value| {
        let (answer, records) = recorded(&bench, &caller, operation, &input);
        check_pair(&records, &caller);
        (answer.unwrap(), records)
    };
    let (sealed, records) = done("Encrypt", json!({"KeyId": alias, "Plaintext": HELLO}));
    assert_eq!(sealed["KeyId"], key);
    assert_eq!(records[0]["requestParameters"]["keyId"], alias);
    assert_eq!(records[0]["resources"][0]["ARN"], key);
    let (opened, _) = done("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]}));
    assert_eq!(opened["Plaintext"], HELLO);
    let own = bench.call_as(
        &caller,
        "Encrypt",
        &json!({"KeyId": "alias/app", "Plaintext": HELLO}).to_string(),
    );
    let absent =
        "NotFoundException: Alias arn:aws:kms:us-east-1:444455556666:alias/app is not found.";
    assert_eq!(own.unwrap_err().to_string(), absent, "a name alone is one of the caller's account");
}

#[test]
fn grants_cross_accounts_and_their_changes_are_in_both_logs() {
    let mut bench = Bench::new();
    let caller = mallory(&bench, &[]);
    let key = arn(&bench.key());
    let grantee = caller.principal().to_string();
    let grant = json!({"KeyId": key, "GranteePrincipal": grantee, "RetiringPrincipal": grantee,
        "Operations": ["Encrypt", "CreateGrant", "RetireGrant"]});
    call(&bench, "CreateGrant", &grant);
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO});
    let (answer, records) = recorded(&bench, &caller, "Encrypt", &encrypt);
    answer.unwrap();
    check_pair(&records, &caller);

    // Passing it on changes the state; the change lies beside the caller's record.
    let there = format!("arn:aws:iam::{OTHER}:root");
    let passed_on = json!({"KeyId": key, "GranteePrincipal": there, "Operations": ["Encrypt"]});
    let (made, records) = recorded(&bench, &caller, "CreateGrant", &passed_on);
    let made = made.unwrap();
    check_pair(&records, &caller);
    let other_root = bench.engine().caller_named("444455556666:root").unwrap();
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    bench.call_as(&other_root, "Encrypt", &encrypt.to_string()).unwrap();
    let listed = call(&bench, "ListGrants", &json!({"KeyId": key}));
    let issuers = listed["Grants"].as_array().unwrap().iter();
    let mut issuers = issuers.map(|grant| text(grant, "IssuingAccount")).collect::<Vec<_>>();
    issuers.sort_unstable();
    assert_eq!(issuers, ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]);

    // The account that made a grant may take it back; so may the key's.
    let retire = json!({"GrantToken": made["GrantToken"]});
    let (answer, records) = recorded(&bench, &other_root, "RetireGrant", &retire);
    answer.unwrap();
    check_pair(&records, &other_root);
    assert!(bench.call_as(&other_root, "Encrypt", &encrypt.to_string()).is_err());
    let retirable = json!({"RetiringPrincipal": grantee});
    let found = bench.call_as(&other_root, "ListRetirableGrants", &retirable.to_string()).unwrap();
    assert_eq!(found["Grants"].as_array().unwrap().len(), 1, "of whatever account's key");
    let refused = bench.call("ListRetirableGrants", &retirable.to_string()).unwrap_err();
    let text = "AccessDeniedException: The retiring principal belongs to another account.";
    assert_eq!(refused.to_string(), text);
    bench.ledger();
}

#[test]
fn three_accounts_have_three_records_of_a_call_between_two_of_their_keys() {
    let bench = Bench::new();
    let caller = mallory(&bench, &[("p", ALL_OF_KMS)]);
    let third: AccountId = "777788889999".parse().unwrap();
    bench.engine().create_account(&bench.root(), &third).unwrap();
    let third = bench.engine().caller_named("777788889999:root").unwrap();
    let policy = SHARED.replace("111122223333", "777788889999");
    let created =
        bench.call_as(&third, "CreateKey", &json!({"Policy": policy}).to_string()).unwrap();
    let (source, destination) =
        (shared(&bench, &bench.key()), text(&created["KeyMetadata"], "Arn"));
    let sealed = call(&bench, "Encrypt", &json!({"KeyId": source, "Plaintext": HELLO}));
    let input =
        json!({"CiphertextBlob": sealed["CiphertextBlob"], "DestinationKeyId": destination});
    let (answer, records) = recorded(&bench, &caller, "ReEncrypt", &input);
    answer.unwrap();
    let accounts = records.iter().map(|record| text(record, "recipientAccountId"));
    assert_eq!(accounts.collect::<Vec<_>>(), ["111122223333", "777788889999", OTHER]);
    let shared_ids = records.iter().map(|record| text(record, "sharedEventID"));
    assert!(shared_ids.collect::<std::collections::BTreeSet<_>>().len() == 1);
    let asked = json!({"KeyId": destination}).to_string();
    let last = bench.call_as(&third, "GetKeyLastUsage", &asked).unwrap();
    assert_eq!(last["KeyLastUsage"]["CloudTrailEventId"], records[1]["eventID"]);
}
