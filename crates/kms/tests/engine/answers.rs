//! What operations answer, and how they refuse: AWS's texts, in AWS's order of checks.

use serde_json::{Value, json};

use crate::support::{Bench, DAY_NS, HELLO, arn, check_refused, text};

fn encrypt(bench: &Bench, key: &str) -> String {
    let answer =
        bench.call("Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}).to_string()).unwrap();
    text(&answer, "CiphertextBlob").to_owned()
}

#[test]
fn a_new_key_describes_itself() {
    let bench = Bench::new();
    let input = json!({"Description": "payroll", "Tags": [{"TagKey": "team", "TagValue": "hr"}]});
    let created = bench.call("CreateKey", &input.to_string()).unwrap();
    let metadata = &created["KeyMetadata"];
    let id = text(metadata, "KeyId");
    let mut expected = json!({
        "AWSAccountId": "111122223333", "KeyId": id, "Arn": arn(id), "CreationDate": 1_747_806_465.0,
        "Enabled": true, "Description": "payroll", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled",
        "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false,
        "CurrentKeyMaterialId": metadata["CurrentKeyMaterialId"],
    });
    assert_eq!(text(metadata, "CurrentKeyMaterialId").len(), 64);
    assert_eq!(*metadata, expected);
    let described =
        |key: &str| bench.call("DescribeKey", &json!({"KeyId": key}).to_string()).unwrap();
    assert_eq!(described(id)["KeyMetadata"], expected);
    bench
        .call("ScheduleKeyDeletion", &json!({"KeyId": id, "PendingWindowInDays": 7}).to_string())
        .unwrap();
    expected["KeyState"] = json!("PendingDeletion");
    expected["Enabled"] = json!(false);
    expected["DeletionDate"] = json!(1_747_806_465.0 + 7.0 * 86_400.0);
    assert_eq!(described(&arn(id))["KeyMetadata"], expected);
}

#[test]
fn ciphertexts_open_by_themselves_under_any_name_of_the_key_and_in_their_context_only() {
    let bench = Bench::new();
    let key = bench.key();
    bench
        .call("CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}).to_string())
        .unwrap();
    let alias_arn = "arn:aws:kms:us-east-1:111122223333:alias/app";
    let context = json!({"a": "b", "c": "d"});
    for name in [&*key, &arn(&key), "alias/app", alias_arn] {
        let input = json!({"KeyId": name, "Plaintext": HELLO, "EncryptionContext": context});
        let encrypted = bench.call("Encrypt", &input.to_string()).unwrap();
        assert_eq!(encrypted["KeyId"], arn(&key));
        assert_eq!(encrypted["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        let blob = &encrypted["CiphertextBlob"];
        let input = json!({"CiphertextBlob": blob, "EncryptionContext": {"c": "d", "a": "b"}});
        let decrypted = bench.call("Decrypt", &input.to_string()).unwrap();
        assert_eq!(
            (&decrypted["Plaintext"], &decrypted["KeyId"]),
            (&json!(HELLO), &json!(arn(&key)))
        );
        assert_eq!(text(&decrypted, "KeyMaterialId").len(), 64);
        let input = json!({"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": name});
        bench.call("Decrypt", &input.to_string()).unwrap();
        for context in
            [json!({}), json!({"a": "b"}), json!({"a": "b", "C": "d"}), json!({"ab": "", "c": "d"})]
        {
            let input = json!({"CiphertextBlob": blob, "EncryptionContext": context});
            check_refused(&bench, "Decrypt", &input, "InvalidCiphertextException");
        }
    }
}

#[test]
fn data_keys_have_the_length_that_was_asked_for() {
    let bench = Bench::new();
    let key = bench.key();
    for (member, value, base64_length) in [
        ("KeySpec", json!("AES_256"), 44),
        ("KeySpec", json!("AES_128"), 24),
        ("NumberOfBytes", json!(1024), 1368),
    ] {
        let mut input = json!({"KeyId": key});
        input[member] = value;
        let data_key = bench.call("GenerateDataKey", &input.to_string()).unwrap();
        assert_eq!(text(&data_key, "Plaintext").len(), base64_length);
        let blob = json!({"CiphertextBlob": data_key["CiphertextBlob"]});
        let decrypted = bench.call("Decrypt", &blob.to_string()).unwrap();
        assert_eq!(decrypted["Plaintext"], data_key["Plaintext"]);
        assert_eq!(decrypted["KeyMaterialId"], data_key["KeyMaterialId"]);
        let without = bench.call("GenerateDataKeyWithoutPlaintext", &input.to_string()).unwrap();
        assert!(without.get("Plaintext").is_none() && without.get("CiphertextBlob").is_some());
    }
    let text = "ValidationException: Please specify either number of bytes or key spec.";
    check_refused(&bench, "GenerateDataKey", &json!({"KeyId": key}), text);
    let both = json!({"KeyId": key, "KeySpec": "AES_256", "NumberOfBytes": 1});
    check_refused(&bench, "GenerateDataKey", &both, text);
}

#[test]
fn parameters_come_first_and_are_refused_all_at_once() {
    let bench = Bench::new();
    let null = |name: &str| {
        format!("Value null at '{name}' failed to satisfy constraint: Member must not be null")
    };
    let one = |text: &str| format!("ValidationException: 1 validation error detected: {text}");
    check_refused(&bench, "DescribeKey", &json!({}), &one(&null("keyId")));
    // Of a member that the API calls sensitive AWS says even less.
    let both = format!("{}; {}", null("keyId"), null("plaintext").replace("Value null", "Value"));
    check_refused(
        &bench,
        "Encrypt",
        &json!({}),
        &format!("ValidationException: 2 validation errors detected: {both}"),
    );
    let long = "A".repeat(4 * 1366);
    let text = "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096";
    check_refused(&bench, "Encrypt", &json!({"KeyId": "nonsense", "Plaintext": long}), &one(text));
    let text = "Value '6' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than \
                or equal to 7";
    let input = json!({"KeyId": "nonsense", "PendingWindowInDays": 6});
    check_refused(&bench, "ScheduleKeyDeletion", &input, &one(text));
    let text = "Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: \
                [AES_256, AES_128]";
    check_refused(
        &bench,
        "GenerateDataKey",
        &json!({"KeyId": "x", "KeySpec": "AES_512"}),
        &one(text),
    );
    let text = "Value 'alias/a b' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression \
                pattern: ^[a-zA-Z0-9:/_-]+$";
    check_refused(
        &bench,
        "CreateAlias",
        &json!({"AliasName": "alias/a b", "TargetKeyId": "x"}),
        &one(text),
    );
}

/// A request of 1 MiB has room for 260,000 tags with two problems each, whose texts would be 70 MB.
#[test]
fn of_many_problems_all_are_counted_and_some_are_told() {
    let bench = Bench::new();
    let many = |count: usize| {
        let input = json!({"KeyId": "x", "Tags": vec![json!({}); count]}).to_string();
        let refused = bench.call("TagResource", &input).unwrap_err();
        refused.message().unwrap().to_owned()
    };
    let told = |message: &str| message.matches("failed to satisfy constraint").count();
    let of_a_full_key = many(50);
    assert!(of_a_full_key.starts_with("100 validation errors detected: "), "{of_a_full_key}");
    assert_eq!(told(&of_a_full_key), 100);
    let of_all = many(200_000);
    assert!(of_all.starts_with("400000 validation errors detected: "), "{of_all:.80}");
    assert_eq!(told(&of_all), 128);
}

#[test]
fn keys_that_do_not_exist_are_not_found_in_the_words_of_aws() {
    let bench = Bench::new();
    let absent = "1234abcd-12ab-34cd-56ef-1234567890ab";
    for (key, message) in [
        (absent, format!("Key '{}' does not exist", arn(absent))),
        (&arn(absent), format!("Key '{}' does not exist", arn(absent))),
        (
            "alias/none",
            "Alias arn:aws:kms:us-east-1:111122223333:alias/none is not found.".to_owned(),
        ),
        ("none", "Invalid keyId 'none'".to_owned()),
        ("arn:aws:kms:eu-west-1:111122223333:alias/none", "Invalid arn eu-west-1".to_owned()),
    ] {
        let input = json!({"KeyId": key, "Plaintext": HELLO});
        check_refused(&bench, "Encrypt", &input, &format!("NotFoundException: {message}"));
        check_refused(
            &bench,
            "DescribeKey",
            &json!({"KeyId": key}),
            &format!("NotFoundException: {message}"),
        );
    }
    check_refused(
        &bench,
        "DisableKey",
        &json!({"KeyId": "alias/a"}),
        "NotFoundException: Invalid keyId 'alias/a'",
    );
}

#[test]
fn each_state_permits_what_aws_permits() {
    let bench = Bench::new();
    let key = bench.key();
    let blob = encrypt(&bench, &key);
    let named = json!({"KeyId": key});
    let uses = [
        ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
    ];
    bench.call("DisableKey", &named.to_string()).unwrap();
    bench.call("DisableKey", &named.to_string()).unwrap();
    for (operation, input) in &uses {
        check_refused(
            &bench,
            operation,
            input,
            &format!("DisabledException: {} is disabled.", arn(&key)),
        );
    }
    bench.call("EnableKey", &named.to_string()).unwrap();
    bench.call("Decrypt", &uses[1].1.to_string()).unwrap();
    let not_pending = format!("KMSInvalidStateException: {} is not pending deletion.", arn(&key));
    check_refused(&bench, "CancelKeyDeletion", &named, &not_pending);

    let scheduled = bench.call("ScheduleKeyDeletion", &named.to_string()).unwrap();
    assert_eq!(scheduled["KeyId"], arn(&key));
    assert_eq!(scheduled["PendingWindowInDays"], 30);
    let pending = format!("KMSInvalidStateException: {} is pending deletion.", arn(&key));
    let alias = json!({"AliasName": "alias/x", "TargetKeyId": key});
    let changes = [
        ("EnableKey", &named),
        ("DisableKey", &named),
        ("ScheduleKeyDeletion", &named),
        ("CreateAlias", &alias),
    ];
    for (operation, input) in
        changes.into_iter().chain(uses.iter().map(|(name, input)| (*name, input)))
    {
        check_refused(&bench, operation, input, &pending);
    }
    for operation in ["DescribeKey", "GetKeyPolicy"] {
        bench.call(operation, &named.to_string()).unwrap();
    }
    let cancelled = bench.call("CancelKeyDeletion", &named.to_string()).unwrap();
    assert_eq!(cancelled, json!({"KeyId": arn(&key)}));
    check_refused(
        &bench,
        "Encrypt",
        &uses[0].1,
        &format!("DisabledException: {} is disabled.", arn(&key)),
    );
}

#[test]
fn a_key_is_gone_when_its_date_has_come() {
    let bench = Bench::new();
    let key = bench.key();
    let blob = encrypt(&bench, &key);
    bench
        .call("CreateAlias", &json!({"AliasName": "alias/app", "TargetKeyId": key}).to_string())
        .unwrap();
    let named = json!({"KeyId": key});
    bench
        .call("ScheduleKeyDeletion", &json!({"KeyId": key, "PendingWindowInDays": 7}).to_string())
        .unwrap();
    bench.advance(7 * DAY_NS - 1);
    bench.call("DescribeKey", &named.to_string()).unwrap();
    bench.advance(1);
    let gone = format!("NotFoundException: Key '{}' does not exist", arn(&key));
    check_refused(&bench, "CancelKeyDeletion", &named, &gone);
    check_refused(&bench, "DescribeKey", &named, &gone);
    let alias =
        "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/app is not found.";
    check_refused(&bench, "DescribeKey", &json!({"KeyId": "alias/app"}), alias);
    let refers = "AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not \
                  exist in this region, or you are not allowed to access.";
    check_refused(&bench, "Decrypt", &json!({"CiphertextBlob": blob}), refers);
    assert_eq!(bench.call("ListKeys", "{}").unwrap(), json!({"Keys": [], "Truncated": false}));
    let deletions = |record: &&Value| record["eventName"] == "DeleteKey";
    assert_eq!(bench.records().iter().filter(deletions).count(), 1);
}

#[test]
fn a_ciphertext_of_another_key_is_told_from_a_broken_one() {
    let bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    let blob = encrypt(&bench, &key);
    let incorrect = "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this \
                     operation.";
    check_refused(&bench, "Decrypt", &json!({"CiphertextBlob": blob, "KeyId": other}), incorrect);
    let broken = format!("{}A{}", &blob[..100], &blob[101..]);
    assert_ne!(broken, blob);
    for blob in [&*broken, HELLO, &"A".repeat(8000)] {
        check_refused(
            &bench,
            "Decrypt",
            &json!({"CiphertextBlob": blob, "KeyId": key}),
            "InvalidCiphertextException",
        );
    }
    check_refused(
        &bench,
        "Decrypt",
        &json!({"CiphertextBlob": HELLO}),
        "InvalidCiphertextException",
    );
    let input = json!({"CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"});
    check_refused(&bench, "Decrypt", &input, "ValidationException: KeyId must not be null");
    let input =
        json!({"CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1", "KeyId": key});
    let incompatible = "InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec \
                        SYMMETRIC_DEFAULT.";
    check_refused(&bench, "Decrypt", &input, incompatible);
}

#[test]
fn a_rehearsal_goes_through_all_checks_and_does_nothing() {
    let bench = Bench::new();
    let key = bench.key();
    let blob = encrypt(&bench, &key);
    let would =
        "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
    for (operation, mut input) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "NumberOfBytes": 7})),
    ] {
        input["DryRun"] = json!(true);
        check_refused(&bench, operation, &input, would);
    }
    let input = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}, "DryRun": true});
    check_refused(&bench, "Decrypt", &input, "InvalidCiphertextException");
}

#[test]
fn lists_come_in_pages() {
    let bench = Bench::new();
    let mut keys = (0..5).map(|_| bench.key()).collect::<Vec<_>>();
    keys.sort();
    let mut found = Vec::new();
    let mut input = json!({"Limit": 2});
    loop {
        let page = bench.call("ListKeys", &input.to_string()).unwrap();
        let entries = page["Keys"].as_array().unwrap();
        found.extend(entries.iter().map(|entry| text(entry, "KeyId").to_owned()));
        assert!(entries.iter().all(|entry| entry["KeyArn"] == arn(text(entry, "KeyId"))));
        assert_eq!(page["Truncated"], page.get("NextMarker").is_some());
        let Some(marker) = page.get("NextMarker") else { break };
        input["Marker"] = marker.clone();
    }
    assert_eq!(found, keys);
    for marker in ["nonsense", "YWZ0ZXI", "YWZ0ZXI6eA"] {
        let refused = "InvalidMarkerException: Invalid marker";
        check_refused(&bench, "ListKeys", &json!({"Marker": marker}), refused);
    }
}

#[test]
fn aliases_are_listed_by_name_and_by_key() {
    let bench = Bench::new();
    let [key, other] = [bench.key(), bench.key()];
    for (name, key) in [("alias/b", &key), ("alias/a", &other), ("alias/c", &key)] {
        bench
            .call("CreateAlias", &json!({"AliasName": name, "TargetKeyId": key}).to_string())
            .unwrap();
    }
    let names = |input: Value| {
        let page = bench.call("ListAliases", &input.to_string()).unwrap();
        let names = page["Aliases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| text(entry, "AliasName").to_owned())
            .filter(|name| !name.starts_with("alias/aws/"));
        (names.collect::<Vec<_>>(), page.get("NextMarker").cloned())
    };
    assert_eq!(names(json!({})).0, ["alias/a", "alias/b", "alias/c"]);
    assert_eq!(names(json!({"KeyId": key})).0, ["alias/b", "alias/c"]);
    let (first, marker) = names(json!({"KeyId": arn(&key), "Limit": 1}));
    assert_eq!(first, ["alias/b"]);
    assert_eq!(names(json!({"KeyId": key, "Marker": marker})), (vec!["alias/c".to_owned()], None));
    let page = bench.call("ListAliases", "{}").unwrap();
    assert_eq!(
        page["Aliases"][0],
        json!({"AliasName": "alias/a", "AliasArn": "arn:aws:kms:us-east-1:111122223333:alias/a",
            "TargetKeyId": other, "CreationDate": 1_747_806_465.0, "LastUpdatedDate": 1_747_806_465.0})
    );
}

#[test]
fn alias_names_are_unique_and_point_at_keys() {
    let bench = Bench::new();
    let key = bench.key();
    let alias = |name: &str, target: &str| json!({"AliasName": name, "TargetKeyId": target});
    bench.call("CreateAlias", &alias("alias/app", &key).to_string()).unwrap();
    let taken = "AlreadyExistsException: An alias with the name arn:aws:kms:us-east-1:111122223333:alias/app already \
                 exists";
    check_refused(&bench, "CreateAlias", &alias("alias/app", &key), taken);
    let to_alias = "ValidationException: Aliases must refer to keys. Not aliases";
    check_refused(&bench, "CreateAlias", &alias("alias/b", "alias/app"), to_alias);
    let prefix = "ValidationException: Alias must start with the prefix \"alias/\". Please see \
                  https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
    check_refused(&bench, "CreateAlias", &alias("app", &key), prefix);
    check_refused(&bench, "CreateAlias", &alias("alias/aws/s3", &key), "NotAuthorizedException");
    for number in 1..50 {
        bench.call("CreateAlias", &alias(&format!("alias/{number}"), &key).to_string()).unwrap();
    }
    let many = format!("LimitExceededException: The key {} has 50 aliases already.", arn(&key));
    check_refused(&bench, "CreateAlias", &alias("alias/50", &key), &many);
}

#[test]
fn keys_that_cannot_be_made_are_refused() {
    let bench = Bench::new();
    for (input, expected) in [
        (
            json!({"Origin": "AWS_CLOUDHSM"}),
            "UnsupportedOperationException: Origin AWS_CLOUDHSM is not supported: there are no custom key stores here.",
        ),
        (
            json!({"KeyUsage": "SIGN_VERIFY"}),
            "ValidationException: KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        (
            json!({"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]}),
            "TagException: Duplicate tag keys",
        ),
        (
            json!({"Tags": [{"TagKey": "AWS:a", "TagValue": ""}]}),
            "TagException: Tags beginning with aws: are reserved",
        ),
        (
            json!({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}),
            "ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec in the same request. \
             CustomerMasterKeySpec is deprecated.",
        ),
    ] {
        check_refused(&bench, "CreateKey", &input, expected);
    }
    let tags = (0..51)
        .map(|number| json!({"TagKey": number.to_string(), "TagValue": ""}))
        .collect::<Vec<_>>();
    check_refused(&bench, "CreateKey", &json!({"Tags": tags}), "TagException: Too many tags");
    assert_eq!(bench.call("ListKeys", "{}").unwrap()["Keys"], json!([]));
}

#[test]
fn what_is_not_here_is_said_plainly() {
    let bench = Bench::new();
    let key = bench.key();
    check_refused(&bench, "encrypt", &json!({}), "UnknownOperationException");
    check_refused(&bench, "CreateUser", &json!({}), "UnknownOperationException");
    let input = json!({"KeyId": key, "Plaintext": HELLO, "GrantTokens": ["x"]});
    check_refused(&bench, "Encrypt", &input, "InvalidGrantTokenException");
    let refused = bench.call("Encrypt", "{\"KeyId\": 7").unwrap_err();
    assert_eq!(refused.to_json(), r#"{"__type":"SerializationException"}"#);
}

#[test]
fn every_call_leaves_exactly_one_record_whatever_comes_of_it() {
    let bench = Bench::new();
    let key = bench.key();
    let root = bench.root();
    let long_name = "x".repeat(10_000);
    let calls: &[(&str, &[u8])] = &[
        ("Encrypt", b""),
        ("Encrypt", b"\xff\xfe"),
        ("Encrypt", b"{}"),
        ("Encrypt", b"[[[[["),
        ("", b"{}"),
        ("No such\noperation\0", b"{}"),
        (&long_name, b"{}"),
        ("Sign", b"{}"),
        ("ListKeys", b"{}"),
        ("ListKeys", b"{\"Limit\": -1}"),
        ("ListKeys", b"{\"Limit\": 1e300}"),
        ("DescribeKey", b"{\"KeyId\": \"none\"}"),
        ("CreateKey", b"{\"Policy\": \"nonsense\"}"),
    ];
    for (operation, input) in calls {
        let before = bench.engine().ledger().size();
        let answer = bench.engine().call(&root, operation, input);
        assert_eq!(bench.engine().ledger().size(), before + 1, "{operation:?}");
        let record: Value = serde_json::from_str(&bench.last_record()).unwrap();
        let request_id = match answer {
            Ok(answer) => answer.request_id(),
            Err(refused) => refused.request_id(),
        };
        assert_eq!(record["requestID"], request_id.to_string());
        assert_eq!(record["eventName"], operation.chars().take(128).collect::<String>());
    }
    let answer =
        bench.engine().call(&root, "DescribeKey", json!({"KeyId": key}).to_string().as_bytes());
    assert_eq!(answer.ok().unwrap().sequence(), bench.engine().ledger().size() - 1);
}
