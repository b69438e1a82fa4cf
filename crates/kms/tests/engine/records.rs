//! The record of each operation. Clock and randomness are given, so each is compared byte for byte with a file in
//! `tests/records/` (laid out for reading; `KEYTRAIL_BLESS=1` rewrites them, to be reviewed like code), and where AWS
//! publishes an example of the operation, in shape with that: member names, types, nesting.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keytrail_event::TlsDetails;
use keytrail_kms::{AssumeRoleRequest, CreateRoleRequest, RootKey};
use serde_json::{Value, json};

use crate::import;
use crate::support::{Bench, DAY_NS, HELLO, arn, call, root_key, text, with};

/// Compares the last record with its file.
#[track_caller]
fn check(bench: &Bench, name: &str) {
    check_text(&bench.last_record(), name);
}

/// Compares a record with its file.
#[track_caller]
pub(crate) fn check_text(record: &str, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/records/{name}.json"));
    let laid_out = lay_out(record);
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever blesses goldens says so in the environment"
    )]
    let bless = std::env::var_os("KEYTRAIL_BLESS").is_some();
    if bless {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &laid_out).unwrap();
    }
    let golden =
        std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
    assert_eq!(laid_out, golden, "{name}: set KEYTRAIL_BLESS=1 if this is meant");
}

/// One member a line; order and values as they are.
fn lay_out(record: &str) -> String {
    let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    for letter in record.chars() {
        if in_text {
            out.push(letter);
            in_text = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '{' | '[' => {
                depth += 1;
                out.push(letter);
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = letter == '"';
                out.push(letter);
            }
        }
    }
    out + "\n"
}

/// A call that is refused; the record is the point.
fn refuse(bench: &Bench, operation: &str, input: &Value) {
    bench.call(operation, &input.to_string()).unwrap_err();
}

fn key_with_alias(bench: &Bench) -> String {
    let key = bench.key();
    call(bench, "CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}));
    key
}

#[test]
fn making_the_directory_is_on_record() {
    check(&Bench::new(), "founding");
}

#[test]
fn records_of_creating_and_describing() {
    let bench = Bench::new();
    let key = text(&call(&bench, "CreateKey", &json!({}))["KeyMetadata"], "KeyId").to_owned();
    check(&bench, "create-key");
    let policy = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}}"#;
    let tags = json!([{"TagKey": "team", "TagValue": "hr"}]);
    call(&bench, "CreateKey", &json!({"Description": "payroll", "Policy": policy, "Tags": tags}));
    check(&bench, "create-key-with-policy-and-tags");
    call(&bench, "DescribeKey", &json!({"KeyId": key}));
    check(&bench, "describe-key");
    call(&bench, "ListKeys", &json!({}));
    check(&bench, "list-keys");
    let page = call(&bench, "ListKeys", &json!({"Limit": 1}));
    call(&bench, "ListKeys", &json!({"Limit": 1, "Marker": page["NextMarker"]}));
    check(&bench, "list-keys-second-page");
    call(&bench, "CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}));
    check(&bench, "create-alias");
    call(&bench, "ListAliases", &json!({"Limit": 5}));
    check(&bench, "list-aliases");
}

#[test]
fn records_of_asking_who_one_is() {
    let bench = Bench::new();
    let answer = bench.engine().call_sts(&bench.root(), "GetCallerIdentity", b"{}").unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let account = bench.engine().config().account.as_str();
    let expected = json!({
        "UserId": account, "Account": account, "Arn": format!("arn:aws:iam::{account}:root"),
    });
    assert_eq!(answer, expected);
    check(&bench, "get-caller-identity");
    let refusal = bench.engine().call_sts(&bench.root(), "GetSessionToken", b"{}").err().unwrap();
    assert_eq!(
        refusal.to_string(),
        "UnsupportedOperationException: GetSessionToken is not supported yet."
    );
    check(&bench, "get-session-token");
}

#[test]
fn records_of_roles() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let trust =
        r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:*"}}"#;
    let request = CreateRoleRequest {
        path: Some("/batch/"),
        trust_policy: trust,
        tags: &[("dept", "hr")],
        max_session_seconds: Some(7200),
        ..CreateRoleRequest::default()
    };
    let role = engine.create_role(&root, "app", &request).unwrap();
    check(&bench, "create-role");
    let policy = r#"{"Statement":{"Effect":"Allow","Action":["kms:*","sts:*"],"Resource":"*"}}"#;
    engine.put_role_policy(&root, "app", "all", policy).unwrap();
    check(&bench, "put-role-policy");
    engine.update_trust_policy(&root, "app", trust).unwrap();
    check(&bench, "update-assume-role-policy");
    engine.tag_role(&root, "app", &[("team", "blue")]).unwrap();
    check(&bench, "tag-role");
    engine.untag_role(&root, "app", &["team"]).unwrap();
    check(&bench, "untag-role");
    engine.roles(&root).unwrap();
    check(&bench, "list-roles");

    let alice = bench.user("alice", r#"{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}"#);
    engine.tag_user(&root, "alice", &[("dept", "it")]).unwrap();
    check(&bench, "tag-user");
    let request =
        AssumeRoleRequest { role_arn: &role, session_name: "run1", ..AssumeRoleRequest::default() };
    engine.assume_role(&alice, &request).ok().unwrap();
    check(&bench, "assume-role");
    let request = AssumeRoleRequest {
        duration_seconds: Some(900),
        external_id: Some("contract-7"),
        policy: Some(policy),
        tags: &[("team", "blue")],
        transitive_tag_keys: &["team"],
        source_identity: Some("ada"),
        ..request
    };
    let session = engine.assume_role(&alice, &request).ok().unwrap();
    check(&bench, "assume-role-with-everything");
    let session = engine.caller_for_session(&session).unwrap();
    bench.call_as(&session, "ListKeys", "{}").unwrap();
    check(&bench, "call-by-a-session");
    let chained = AssumeRoleRequest { session_name: "run2", ..AssumeRoleRequest::default() };
    engine.assume_role(&session, &AssumeRoleRequest { role_arn: &role, ..chained }).ok().unwrap();
    check(&bench, "assume-role-by-a-session");
    let other = AssumeRoleRequest { role_arn: "arn:aws:iam::111122223333:role/none", ..request };
    engine.assume_role(&alice, &other).err().unwrap();
    check(&bench, "assume-role-denied");
    engine.delete_role(&root, "app").unwrap();
    check(&bench, "delete-role");
}

#[test]
fn records_of_services() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let key = engine.create_service_access_key(&root, "backup.amazonaws.com").unwrap();
    check(&bench, "create-access-key-of-a-service");
    let service = engine.caller_for_access_key(key.id.as_str()).unwrap();
    bench.call_as(&service, "ListKeys", "{}").unwrap_err();
    check(&bench, "denied-to-a-service");
    engine.delete_service(&root, "backup.amazonaws.com").unwrap();
    check(&bench, "delete-access-key-of-a-service");
}

#[test]
fn records_of_cryptography() {
    let bench = Bench::new();
    let key = key_with_alias(&bench);
    let context = json!({"Department": "Engineering", "Project": "Alpha"});
    let input = json!({"KeyId": "alias/app", "Plaintext": HELLO, "EncryptionContext": context});
    let blob = call(&bench, "Encrypt", &input)["CiphertextBlob"].clone();
    check(&bench, "encrypt");
    let bare =
        call(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}))["CiphertextBlob"]
            .clone();
    check(&bench, "encrypt-without-context");
    call(&bench, "Decrypt", &json!({"CiphertextBlob": blob, "EncryptionContext": context}));
    check(&bench, "decrypt");
    call(&bench, "Decrypt", &json!({"CiphertextBlob": bare, "KeyId": arn(&key)}));
    check(&bench, "decrypt-with-key-id");
    call(
        &bench,
        "GenerateDataKey",
        &json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}),
    );
    check(&bench, "generate-data-key");
    call(&bench, "GenerateDataKey", &json!({"KeyId": key, "NumberOfBytes": 64}));
    check(&bench, "generate-data-key-number-of-bytes");
    call(&bench, "GenerateDataKeyWithoutPlaintext", &json!({"KeyId": key, "KeySpec": "AES_128"}));
    check(&bench, "generate-data-key-without-plaintext");
}

#[test]
fn records_of_signing_and_macs() {
    let bench = Bench::new();
    let input = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    let key = text(&call(&bench, "CreateKey", &input)["KeyMetadata"], "KeyId").to_owned();
    check(&bench, "create-key-ecc");
    let sign = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let signature = call(&bench, "Sign", &sign)["Signature"].clone();
    check(&bench, "sign");
    let verify = |signature: &Value| {
        json!({"KeyId": arn(&key), "Message": HELLO, "MessageType": "RAW", "Signature": signature,
            "SigningAlgorithm": "ECDSA_SHA_256"})
    };
    call(&bench, "Verify", &verify(&signature));
    check(&bench, "verify");
    refuse(&bench, "Verify", &verify(&json!(HELLO)));
    check(&bench, "invalid-signature");
    call(&bench, "GetPublicKey", &json!({"KeyId": key}));
    check(&bench, "get-public-key");

    let input = json!({"KeySpec": "HMAC_384", "KeyUsage": "GENERATE_VERIFY_MAC"});
    let key = text(&call(&bench, "CreateKey", &input)["KeyMetadata"], "KeyId").to_owned();
    let input = json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_384"});
    let mac = call(&bench, "GenerateMac", &input)["Mac"].clone();
    check(&bench, "generate-mac");
    let verify = |mac: &Value| json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_384", "Mac": mac});
    call(&bench, "VerifyMac", &verify(&mac));
    check(&bench, "verify-mac");
    refuse(&bench, "VerifyMac", &verify(&json!(HELLO)));
    check(&bench, "invalid-mac");
    refuse(
        &bench,
        "Sign",
        &json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"}),
    );
    check(&bench, "wrong-usage");
}

#[test]
fn records_of_asymmetric_encryption_and_agreement() {
    let bench = Bench::new();
    let input = json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"});
    let key = text(&call(&bench, "CreateKey", &input)["KeyMetadata"], "KeyId").to_owned();
    check(&bench, "create-key-rsa");
    let input =
        json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let ciphertext = call(&bench, "Encrypt", &input)["CiphertextBlob"].clone();
    check(&bench, "encrypt-rsa");
    let input = json!({"KeyId": key, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    call(&bench, "Decrypt", &input);
    check(&bench, "decrypt-rsa");
    let input = json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"});
    let key = text(&call(&bench, "CreateKey", &input)["KeyMetadata"], "KeyId").to_owned();
    let peer = call(&bench, "GetPublicKey", &json!({"KeyId": key}))["PublicKey"].clone();
    let input = json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer});
    call(&bench, "DeriveSharedSecret", &input);
    check(&bench, "derive-shared-secret");
}

#[test]
fn records_of_re_encryption_key_pairs_and_random_bytes() {
    let bench = Bench::new();
    let [one, two] = [bench.key(), bench.key()];
    let context = json!({"Department": "Engineering", "Project": "Alpha"});
    let input = json!({"KeyId": one, "Plaintext": HELLO, "EncryptionContext": context});
    let blob = call(&bench, "Encrypt", &input)["CiphertextBlob"].clone();
    let mut input = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": context, "DestinationKeyId": two,
        "DestinationEncryptionContext": {"Level": "3A"},
    });
    call(&bench, "ReEncrypt", &input);
    check(&bench, "re-encrypt");
    input["SourceKeyId"] = json!(arn(&one));
    input["DestinationEncryptionContext"] = Value::Null;
    call(&bench, "ReEncrypt", &input);
    check(&bench, "re-encrypt-with-source-key-id");
    let alice = bench.user(
        "alice",
        &json!({"Effect": "Allow", "Action": "kms:ReEncryptFrom", "Resource": "*"}).to_string(),
    );
    bench.call_as(&alice, "ReEncrypt", &input.to_string()).unwrap_err();
    check(&bench, "re-encrypt-denied");
    let input = json!({"KeyId": one, "KeyPairSpec": "RSA_2048", "EncryptionContext": context});
    call(&bench, "GenerateDataKeyPair", &input);
    check(&bench, "generate-data-key-pair");
    call(&bench, "GenerateDataKeyPairWithoutPlaintext", &input);
    check(&bench, "generate-data-key-pair-without-plaintext");
    call(&bench, "GenerateRandom", &json!({"NumberOfBytes": 32}));
    check(&bench, "generate-random");
}

#[test]
fn records_of_states() {
    let bench = Bench::new();
    let key = bench.key();
    let named = json!({"KeyId": key});
    call(&bench, "DisableKey", &named);
    check(&bench, "disable-key");
    call(&bench, "EnableKey", &named);
    check(&bench, "enable-key");
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": key, "PendingWindowInDays": 20}));
    check(&bench, "schedule-key-deletion");
    call(&bench, "CancelKeyDeletion", &named);
    check(&bench, "cancel-key-deletion");
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": key, "PendingWindowInDays": 7}));
    let mut bench = bench;
    bench.reopen(|bench| bench.advance(7 * DAY_NS));
    check(&bench, "delete-key");
}

#[test]
fn records_of_policies() {
    let bench = Bench::new();
    let key = bench.key();
    let policy = bench.engine().key_policy(&bench.root(), &key).unwrap();
    check(&bench, "get-key-policy");
    call(&bench, "PutKeyPolicy", &json!({"KeyId": key, "Policy": policy}));
    check(&bench, "put-key-policy");
}

#[test]
fn records_of_names_and_tags() {
    let bench = Bench::new();
    let [key, other] = [key_with_alias(&bench), bench.key()];
    call(&bench, "UpdateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": other}));
    check(&bench, "update-alias");
    call(&bench, "DeleteAlias", &json!({"AliasName": "alias/app"}));
    check(&bench, "delete-alias");
    let description = json!({"KeyId": key, "Description": "New key description"});
    call(&bench, "UpdateKeyDescription", &description);
    check(&bench, "update-key-description");
    let tags = json!([{"TagKey": "Department", "TagValue": "IT"}]);
    call(&bench, "TagResource", &json!({"KeyId": arn(&key), "Tags": tags}));
    check(&bench, "tag-resource");
    call(&bench, "ListResourceTags", &json!({"KeyId": key, "Limit": 5}));
    check(&bench, "list-resource-tags");
    call(&bench, "UntagResource", &json!({"KeyId": key, "TagKeys": ["Department"]}));
    check(&bench, "untag-resource");
    call(&bench, "ListKeyPolicies", &json!({"KeyId": key}));
    check(&bench, "list-key-policies");
    call(&bench, "DescribeCustomKeyStores", &json!({"Limit": 7}));
    check(&bench, "describe-custom-key-stores");
    refuse(&bench, "DeleteCustomKeyStore", &json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}));
    check(&bench, "delete-custom-key-store");
}

/// Compares the last record and the ones before it with their files, the oldest first.
#[track_caller]
fn check_last(bench: &Bench, names: &[&str]) {
    let ledger = bench.ledger();
    let records = ledger.records();
    for (record, name) in records[records.len() - names.len()..].iter().zip(names) {
        check_text(std::str::from_utf8(record).unwrap(), name);
    }
}

#[test]
fn records_of_multi_region_keys() {
    let bench = Bench::new();
    let created = call(&bench, "CreateKey", &json!({"MultiRegion": true}));
    check(&bench, "create-key-multi-region");
    let key = json!({"KeyId": created["KeyMetadata"]["KeyId"]});
    call(&bench, "ReplicateKey", &with(&key, json!({"ReplicaRegion": "eu-west-1"})));
    check_last(&bench, &["replicate-key-creation", "replicate-key"]);
    let tags = json!([{"TagKey": "Purpose", "TagValue": "Test"}]);
    let more = json!({"ReplicaRegion": "ap-southeast-2", "Description": "far", "Tags": tags});
    call(&bench, "ReplicateKey", &with(&key, more));
    check_last(&bench, &["replicate-key-with-tags-creation", "replicate-key-with-tags"]);
    call(&bench, "EnableKeyRotation", &key);
    check_last(&bench, &["synchronize-multi-region-key", "enable-key-rotation-multi-region"]);
    call(&bench, "ScheduleKeyDeletion", &key);
    check(&bench, "schedule-key-deletion-multi-region");
    call(&bench, "CancelKeyDeletion", &key);
    call(&bench, "EnableKey", &key);
    call(&bench, "UpdatePrimaryRegion", &with(&key, json!({"PrimaryRegion": "eu-west-1"})));
    check_last(&bench, &["update-primary-region-there", "update-primary-region"]);
    refuse(&bench, "UpdatePrimaryRegion", &with(&key, json!({"PrimaryRegion": "eu-west-1"})));
    check(&bench, "update-primary-region-of-a-replica");
}

#[test]
fn records_of_rotation() {
    let bench = Bench::new();
    let key = bench.key();
    call(&bench, "EnableKeyRotation", &json!({"KeyId": key, "RotationPeriodInDays": 90}));
    check(&bench, "enable-key-rotation");
    call(&bench, "GetKeyRotationStatus", &json!({"KeyId": key}));
    check(&bench, "get-key-rotation-status");
    call(&bench, "RotateKeyOnDemand", &json!({"KeyId": arn(&key)}));
    check(&bench, "rotate-key-on-demand-event");
    let ledger = bench.ledger();
    let [.., asked, _] = ledger.records()[..] else { panic!("two records") };
    check_text(std::str::from_utf8(asked).unwrap(), "rotate-key-on-demand");
    let input = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    call(&bench, "ListKeyRotations", &input);
    check(&bench, "list-key-rotations");
    let mut bench = bench;
    bench.reopen(|bench| bench.advance(90 * DAY_NS));
    check(&bench, "rotate-key");
    call(&bench, "GetKeyLastUsage", &json!({"KeyId": key}));
    check(&bench, "get-key-last-usage");
    call(&bench, "DisableKeyRotation", &json!({"KeyId": arn(&key)}));
    check(&bench, "disable-key-rotation");
}

#[test]
fn another_root_key_is_on_record() {
    let bench = Bench::new();
    let file = bench.data().join("root.key");
    root_key().save(&file).unwrap();
    let new = RootKey::generate(&keytrail_kms::OsRandom);
    bench.engine().rewrap(&new, &file).unwrap();
    check(&bench, "rewrap-store-key");
}

#[test]
fn records_of_grants() {
    let bench = Bench::new();
    let key = bench.key();
    let alice = "arn:aws:iam::111122223333:user/alice";
    let context = json!({"Department": "Engineering"});
    let input =
        json!({"KeyId": key, "GranteePrincipal": alice, "Operations": ["Encrypt", "RetireGrant"]});
    let plain = call(&bench, "CreateGrant", &input);
    check(&bench, "create-grant");
    let mut named = input.clone();
    named["RetiringPrincipal"] = json!(alice);
    named["Constraints"] = json!({"EncryptionContextSubset": context});
    named["Name"] = json!("backup");
    let token = call(&bench, "CreateGrant", &named)["GrantToken"].clone();
    check(&bench, "create-grant-with-constraint-and-name");
    call(&bench, "ListGrants", &json!({"KeyId": key, "Limit": 1}));
    let page = call(&bench, "ListGrants", &json!({"KeyId": key, "Limit": 1}));
    let second = json!({"KeyId": key, "Limit": 1, "Marker": page["NextMarker"]});
    call(&bench, "ListGrants", &second);
    check(&bench, "list-grants-second-page");
    call(&bench, "ListRetirableGrants", &json!({"RetiringPrincipal": alice}));
    check(&bench, "list-retirable-grants");
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO, "GrantTokens": [token]});
    call(&bench, "Encrypt", &encrypt);
    check(&bench, "encrypt-with-grant-token");
    call(&bench, "RetireGrant", &json!({"GrantToken": token}));
    check(&bench, "retire-grant");
    call(&bench, "RevokeGrant", &json!({"KeyId": key, "GrantId": plain["GrantId"]}));
    check(&bench, "revoke-grant");
    refuse(&bench, "RetireGrant", &json!({"GrantToken": token}));
    check(&bench, "retire-grant-that-is-gone");
}

#[test]
fn records_of_imports() {
    let bench = Bench::new();
    let key = import::external_key(&bench);
    check(&bench, "create-key-external");
    let parameters = import::Parameters::new(&bench, &key);
    check(&bench, "get-parameters-for-import");
    let mut request = parameters.request(&[1; 32]);
    request["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    request["ValidTo"] = json!(1_747_892_865);
    call(&bench, "ImportKeyMaterial", &request);
    check(&bench, "import-key-material");
    request["ImportType"] = json!("EXISTING_KEY_MATERIAL");
    request["KeyMaterialDescription"] = json!("summer 2025");
    call(&bench, "ImportKeyMaterial", &request);
    check(&bench, "import-key-material-again");
    let mut bench = bench;
    bench.reopen(|bench| bench.advance(DAY_NS));
    check(&bench, "delete-expired-key-material");
    call(&bench, "DeleteImportedKeyMaterial", &json!({"KeyId": key}));
    check(&bench, "delete-imported-key-material");
    request["ValidTo"] = json!(1_748_065_665);
    refuse(&bench, "ImportKeyMaterial", &request);
    check(&bench, "import-key-material-expired-token");
}

#[test]
fn records_of_refusals() {
    let bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    let encrypt =
        |key: &str| json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": {"a": "b"}});
    let blob = call(&bench, "Encrypt", &encrypt(&key))["CiphertextBlob"].clone();
    let alice =
        bench.user("alice", r#"{"Effect": "Allow", "Action": "kms:Describe*", "Resource": "*"}"#);
    bench.call_as(&alice, "Encrypt", &encrypt(&key).to_string()).unwrap_err();
    check(&bench, "denied");
    refuse(&bench, "Encrypt", &encrypt("1234abcd-12ab-34cd-56ef-1234567890ab"));
    check(&bench, "not-found");
    refuse(&bench, "Decrypt", &json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "c"}}));
    check(&bench, "invalid-ciphertext");
    refuse(&bench, "Decrypt", &json!({"CiphertextBlob": HELLO}));
    check(&bench, "no-ciphertext");
    let context = json!({"Department": "Engineering", "Project": "Alpha"});
    refuse(
        &bench,
        "Decrypt",
        &json!({"CiphertextBlob": blob, "KeyId": arn(&other), "EncryptionContext": context}),
    );
    check(&bench, "incorrect-key");
    refuse(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO, "DryRun": true}));
    check(&bench, "rehearsal");
    call(&bench, "DisableKey", &json!({"KeyId": key}));
    refuse(&bench, "Encrypt", &encrypt(&key));
    check(&bench, "disabled");
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": key}));
    refuse(&bench, "Encrypt", &encrypt(&key));
    check(&bench, "pending-deletion");
    refuse(&bench, "Encrypt", &json!({"KeyId": ""}));
    check(&bench, "validation");
    bench.call("Encrypt", "no JSON").unwrap_err();
    check(&bench, "malformed");
    refuse(&bench, "NoSuchOperation", &json!({}));
    check(&bench, "unknown-operation");
    bench.engine().delete_user(&bench.root(), "alice").unwrap();
    bench.call_as(&alice, "ListKeys", "{}").unwrap_err();
    check(&bench, "unrecognized-client");
}

#[test]
fn records_of_users() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let everything = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    engine.create_user(&root, "alice", &[("all", everything)]).ok().unwrap();
    let records = bench.records();
    let names =
        records.iter().rev().take(3).map(|record| text(record, "eventName")).collect::<Vec<_>>();
    assert_eq!(names, ["CreateAccessKey", "PutUserPolicy", "CreateUser"]);
    check(&bench, "create-access-key");
    engine.users(&root).unwrap();
    check(&bench, "list-users");
    engine.create_user(&root, "alice", &[]).err().unwrap();
    check(&bench, "create-user-that-exists");
    engine.delete_user(&root, "alice").unwrap();
    check(&bench, "delete-user");
    engine.create_user(&root, "bob", &[("bad", "{}")]).err().unwrap();
    check(&bench, "put-user-policy-malformed");
}

#[test]
fn a_record_says_where_the_call_came_from() {
    let bench = Bench::new();
    let tls = TlsDetails {
        tls_version: "TLSv1.3".to_owned(),
        cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        client_provided_host_header: "kms.us-east-1.amazonaws.com".to_owned(),
        key_exchange: Some("x25519".to_owned()),
    };
    let caller = bench.user("alice", r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#);
    let caller = caller.from_source("192.0.2.7").with_user_agent("aws-cli/1.45.11").with_tls(tls);
    bench.call_as(&caller, "ListKeys", "{}").unwrap();
    check(&bench, "call-over-tls");
}

/// AWS's example of an operation, by file, and our record of it. Members that are in one of them only, with the reason.
const EXAMPLES: &[(&str, &str, &[&str])] = &[
    ("cancel-key-deletion", "ct-cancel-key-deletion.0", &[]),
    ("create-alias", "ct-createalias.0", KEY_ARN_SINCE_2022),
    ("delete-alias", "ct-deletealias.0", KEY_ARN_SINCE_2022),
    ("update-alias", "ct-updatealias.0", KEY_ARN_SINCE_2022),
    ("update-key-description", "ct-update-key-description.0", &[]),
    ("tag-resource", "ct-tagresource.0", KEY_ARN_SINCE_2022),
    ("untag-resource", "ct-untagresource.0", KEY_ARN_SINCE_2022),
    // The example asks for one store, which we do not have.
    (
        "describe-custom-key-stores",
        "ct-describe-keystores.0",
        &["requestParameters.customKeyStoreId: text", "requestParameters.limit: number"],
    ),
    (
        "create-key",
        "ct-createkey.0",
        &["responseElements.keyMetadata.AWSAccountId: text", MATERIAL, LOWERED],
    ),
    (
        "decrypt-with-key-id",
        "ct-decrypt.0",
        &["additionalEventData.keyMaterialId: text", NO_CONTEXT],
    ),
    ("incorrect-key", "ct-decrypt.1", &[]),
    ("delete-key", "ct-delete-key.0", KEY_ARN_SINCE_2022),
    ("describe-key", "ct-describekey.0", &[]),
    ("disable-key", "ct-disablekey.0", KEY_ARN_SINCE_2022),
    ("enable-key", "ct-enablekey.0", KEY_ARN_SINCE_2022),
    ("encrypt", "ct-encrypt.0", &["additionalEventData.keyMaterialId: text"]),
    ("generate-data-key", "ct-generatedatakey.0", &["additionalEventData.keyMaterialId: text"]),
    (
        "generate-data-key-without-plaintext",
        "ct-generatedatakeyplaintext.0",
        &["additionalEventData.keyMaterialId: text", NO_CONTEXT, REFUSED],
    ),
    ("create-grant-with-constraint-and-name", "ct-creategrant.0", CREATE_GRANT),
    (
        "generate-data-key-pair",
        "ct-generatedatakeypair.0",
        &["additionalEventData.keyMaterialId: text"],
    ),
    (
        "generate-data-key-pair-without-plaintext",
        "ct-generatedatakeypairwithoutplaintext.0",
        &["additionalEventData.keyMaterialId: text"],
    ),
    ("generate-mac", "ct-generatemac.0", &[]),
    ("generate-random", "ct-generaterandom.0", &[]),
    ("get-key-policy", "ct-getkeypolicy.0", &[]),
    ("list-grants-second-page", "ct-listgrants.0", &[]),
    ("retire-grant", "ct-retire-grant.0", &[]),
    ("revoke-grant", "ct-revoke-grant.0", &[]),
    ("disable-key-rotation", "ct-disable-key-rotation.0", &[]),
    (
        "enable-key-rotation",
        "ct-enablekeyrotation.0",
        &[
            "requestParameters.rotationPeriodInDays: number",
            "responseElements: null",
            "responseElements.keyId: text",
        ],
    ),
    ("get-parameters-for-import", "ct-getparametersforimport.0", &[]),
    (
        "import-key-material",
        "ct-importkeymaterial.0",
        &[
            "responseElements: null",
            "responseElements.keyId: text",
            "responseElements.keyMaterialId: text",
        ],
    ),
    (
        "delete-expired-key-material",
        "ct-deleteexpiredkeymaterial.0",
        &["serviceEventDetails.keyMaterialId: text"],
    ),
    // The example is from before materials had ids.
    (
        "rotate-key",
        "ct-rotatekey.0",
        &[
            "serviceEventDetails.rotationType: text",
            "serviceEventDetails.keyOrigin: text",
            "serviceEventDetails.previousKeyMaterialId: text",
            "serviceEventDetails.currentKeyMaterialId: text",
        ],
    ),
    // The example is of a second page.
    ("list-aliases", "ct-listaliases.0", &["requestParameters.marker: text"]),
    ("put-key-policy", "ct-put-key-policy.0", &[]),
    (
        "re-encrypt",
        "ct-reencrypt.0",
        &[
            "additionalEventData.destinationKeyMaterialId: text",
            "additionalEventData.sourceKeyMaterialId: text",
        ],
    ),
    (
        "schedule-key-deletion",
        "ct-schedule-key-deletion.0",
        &["responseElements.pendingWindowInDays: number"],
    ),
    ("replicate-key", "ct-replicate-key.0", &[]),
    ("synchronize-multi-region-key", "ct-synchronize-multi-region-key.0", KEY_ARN_SINCE_2022),
    ("update-primary-region", "ct-update-primary-region.0", KEY_ARN_SINCE_2022),
    (
        "update-primary-region-there",
        "ct-update-primary-region.1",
        &[
            "responseElements: null",
            "responseElements.keyId: text",
            "resources.accountId: text",
            "resources.ARN: text",
        ],
    ),
    ("sign", "ct-sign.0", &[]),
    ("verify", "ct-verify.0", &[]),
    ("verify-mac", "ct-verifymac.0", &[]),
];

/// "Starting in December 2022" the key's ARN is in responseElements of changes; the examples are older.
const KEY_ARN_SINCE_2022: &[&str] = &["responseElements: null", "responseElements.keyId: text"];
/// The example has no name and no retiring principal, and is older than 2022.
const CREATE_GRANT: &[&str] = &[
    "requestParameters.name: text",
    "requestParameters.retiringPrincipal: text",
    "requestParameters.constraints.encryptionContextSubset.Department: text",
    "requestParameters.constraints.encryptionContextSubset.ContextKey1: text",
    "responseElements.keyId: text",
];
/// Material ids came in 2025.
const MATERIAL: &str = "responseElements.keyMetadata.currentKeyMaterialId: text";
/// Two of AWS's three examples lower the first letter, as its text says; the third does not.
const LOWERED: &str = "responseElements.keyMetadata.aWSAccountId: text";
/// Our call was made without one.
const NO_CONTEXT: &str = "requestParameters.encryptionContext: object";
/// The example is of a call that was refused.
const REFUSED: &str = "errorCode: text";
/// Members that newer versions of the record have, or that AWS's examples show and real records do not.
const BY_VERSION: &[&str] =
    &["managementEvent: flag", "eventCategory: text", "resources.type: text", "resources: list"];

#[test]
fn records_have_the_shape_of_aws_examples() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cloudtrail/kms-examples");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    for (ours, theirs, differences) in EXAMPLES {
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/records/{ours}.json"));
        let [ours_shape, theirs_shape] =
            [golden, folder.join(format!("{theirs}.json"))].map(|path| shape(&read(path)));
        let differing = ours_shape.symmetric_difference(&theirs_shape);
        let unexplained = differing
            .filter(|member| !member.starts_with("userIdentity"))
            .filter(|member| {
                !BY_VERSION.contains(&member.as_str()) && !differences.contains(&member.as_str())
            })
            .collect::<Vec<_>>();
        assert!(unexplained.is_empty(), "{ours} and {theirs} differ in {unexplained:?}");
        for difference in *differences {
            let used = ours_shape.contains(*difference) != theirs_shape.contains(*difference);
            assert!(used, "{ours}: {difference} is no difference any more");
        }
    }
}

/// All paths of members with their types. An encryption context is what the caller likes, so its pairs do not count.
fn shape(record: &Value) -> BTreeSet<String> {
    fn walk(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "flag",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        };
        let opaque = path.to_lowercase().ends_with("encryptioncontext");
        match value {
            Value::Object(members) if !opaque => {
                for (name, value) in members {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, value, found);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for item in items {
                    walk(path, item, found);
                }
            }
            _ => drop(found.insert(format!("{path}: {kind}"))),
        }
    }
    let mut found = BTreeSet::new();
    walk("", record, &mut found);
    found
}
