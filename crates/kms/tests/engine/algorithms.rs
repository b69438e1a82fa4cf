//! Keys that encrypt and agree, data key pairs and random bytes; what kinds of keys there are, and what each is for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Bench, HELLO, arn, base64, call, check_refused, key_of, text, with};

const RSA: [&str; 3] = ["RSA_2048", "RSA_3072", "RSA_4096"];

#[test]
fn rsa_encrypts_what_fits_into_one_block() {
    let bench = Bench::new();
    for (spec, longest) in RSA.into_iter().zip([[214, 190], [342, 318], [470, 446]]) {
        let key = key_of(&bench, spec, "ENCRYPT_DECRYPT");
        for (algorithm, longest) in
            ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"].into_iter().zip(longest)
        {
            let input = json!({"KeyId": key, "EncryptionAlgorithm": algorithm, "Plaintext": base64(longest)});
            let encrypted = call(&bench, "Encrypt", &input);
            assert_eq!(encrypted["EncryptionAlgorithm"], algorithm);
            let input = json!({
                "KeyId": key, "EncryptionAlgorithm": algorithm, "CiphertextBlob": encrypted["CiphertextBlob"],
            });
            let expected = json!({"KeyId": arn(&key), "Plaintext": base64(longest), "EncryptionAlgorithm": algorithm});
            assert_eq!(call(&bench, "Decrypt", &input), expected);
            for wrong in [
                json!({"CiphertextBlob": base64(256)}),
                json!({"CiphertextBlob": HELLO}),
                json!({"EncryptionAlgorithm":
                    if longest % 2 == 0 && algorithm.ends_with("_1") { "RSAES_OAEP_SHA_256" } else { "RSAES_OAEP_SHA_1" }}),
            ] {
                check_refused(
                    &bench,
                    "Decrypt",
                    &with(&input, wrong),
                    "InvalidCiphertextException",
                );
            }
            let input = json!({"KeyId": key, "EncryptionAlgorithm": algorithm, "Plaintext": base64(longest + 1)});
            let text = format!(
                "ValidationException: Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} \
                 bytes."
            );
            check_refused(&bench, "Encrypt", &input, &text);
        }
    }
}

#[test]
fn rsa_knows_no_context_and_names_no_key() {
    let bench = Bench::new();
    let [rsa, other] = [(); 2].map(|()| key_of(&bench, "RSA_2048", "ENCRYPT_DECRYPT"));
    let symmetric = bench.key();
    let blob =
        call(&bench, "Encrypt", &json!({"KeyId": symmetric, "Plaintext": HELLO}))["CiphertextBlob"]
            .clone();
    let oaep =
        json!({"KeyId": rsa, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256", "Plaintext": HELLO});
    let ciphertext = call(&bench, "Encrypt", &oaep)["CiphertextBlob"].clone();
    let decrypt = json!({"CiphertextBlob": ciphertext, "KeyId": rsa, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    call(&bench, "Decrypt", &decrypt);
    let context = json!({"EncryptionContext": {"a": "b"}});
    let text = "ValidationException: EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.";
    check_refused(&bench, "Encrypt", &with(&oaep, context.clone()), text);
    check_refused(&bench, "Decrypt", &with(&decrypt, context), text);
    let unnamed = with(&decrypt, json!({"KeyId": null}));
    check_refused(&bench, "Decrypt", &unnamed, "ValidationException: KeyId must not be null");
    let invalid = "InvalidCiphertextException";
    check_refused(&bench, "Decrypt", &with(&decrypt, json!({"KeyId": other})), invalid);
    let by_default = json!({"CiphertextBlob": ciphertext, "KeyId": rsa});
    check_refused(&bench, "Decrypt", &by_default, invalid);
    let incorrect = "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this \
                     operation.";
    check_refused(&bench, "Decrypt", &json!({"CiphertextBlob": blob, "KeyId": rsa}), incorrect);
    let text = "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.";
    check_refused(&bench, "Encrypt", &json!({"KeyId": rsa, "Plaintext": HELLO}), text);
    let text = "InvalidKeyUsageException: You cannot generate a data key with an asymmetric CMK";
    let data_key = json!({"KeyId": rsa, "KeySpec": "AES_256"});
    check_refused(&bench, "GenerateDataKey", &data_key, text);
    let pair = json!({"KeyId": rsa, "KeyPairSpec": "ECC_NIST_P256"});
    check_refused(&bench, "GenerateDataKeyPair", &pair, text);
}

#[test]
fn both_sides_of_a_key_agreement_derive_the_same_secret() {
    let bench = Bench::new();
    for (spec, length) in [("ECC_NIST_P256", 32), ("ECC_NIST_P384", 48), ("ECC_NIST_P521", 66)] {
        let keys = [(); 2].map(|()| key_of(&bench, spec, "KEY_AGREEMENT"));
        let public_keys = keys
            .each_ref()
            .map(|key| call(&bench, "GetPublicKey", &json!({"KeyId": key}))["PublicKey"].clone());
        let derive = |key: &str, peer: &Value| {
            let input = json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer});
            call(&bench, "DeriveSharedSecret", &input)
        };
        let [one, two] = [derive(&keys[0], &public_keys[1]), derive(&keys[1], &public_keys[0])];
        assert_eq!(one["SharedSecret"], two["SharedSecret"]);
        assert_eq!(STANDARD.decode(text(&one, "SharedSecret")).unwrap().len(), length);
        let expected = json!({"KeyId": arn(&keys[0]), "SharedSecret": one["SharedSecret"],
            "KeyAgreementAlgorithm": "ECDH", "KeyOrigin": "AWS_KMS"});
        assert_eq!(one, expected);
        let spki = STANDARD.decode(public_keys[1].as_str().unwrap()).unwrap();
        let point = &spki[spki.len() - 2 * length - 1..];
        let other_curve = if length == 32 { "ECC_NIST_P384" } else { "ECC_NIST_P256" };
        let foreign = key_of(&bench, other_curve, "KEY_AGREEMENT");
        let foreign = call(&bench, "GetPublicKey", &json!({"KeyId": foreign}));
        let mut off_curve = spki.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        for peer in [
            STANDARD.encode(point),
            STANDARD.encode(off_curve),
            STANDARD.encode([&spki[..], &[0]].concat()),
            foreign["PublicKey"].as_str().unwrap().to_owned(),
            HELLO.to_owned(),
        ] {
            let input =
                json!({"KeyId": keys[0], "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer});
            check_refused(&bench, "DeriveSharedSecret", &input, "ValidationException");
        }
    }
}

#[test]
fn a_key_is_used_for_what_it_is_for() {
    let bench = Bench::new();
    let kinds = [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ];
    for (spec, usage) in kinds {
        let key = key_of(&bench, spec, usage);
        for (operation, needed, members) in [
            ("Encrypt", "ENCRYPT_DECRYPT", json!({"Plaintext": HELLO})),
            ("Decrypt", "ENCRYPT_DECRYPT", json!({"CiphertextBlob": HELLO})),
            ("GenerateDataKey", "ENCRYPT_DECRYPT", json!({"NumberOfBytes": 1})),
            ("GenerateDataKeyPair", "ENCRYPT_DECRYPT", json!({"KeyPairSpec": "ECC_NIST_P256"})),
            ("Sign", "SIGN_VERIFY", json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"})),
            (
                "Verify",
                "SIGN_VERIFY",
                json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256", "Signature": HELLO}),
            ),
            (
                "GenerateMac",
                "GENERATE_VERIFY_MAC",
                json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"}),
            ),
            (
                "VerifyMac",
                "GENERATE_VERIFY_MAC",
                json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256", "Mac": HELLO}),
            ),
            (
                "DeriveSharedSecret",
                "KEY_AGREEMENT",
                json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": HELLO}),
            ),
        ] {
            if needed == usage {
                continue;
            }
            let text = format!(
                "InvalidKeyUsageException: {} key usage is {usage} which is not valid for {operation}.",
                arn(&key)
            );
            check_refused(&bench, operation, &with(&members, json!({"KeyId": key})), &text);
        }
    }
}

#[test]
fn a_key_tells_its_algorithms() {
    let bench = Bench::new();
    let oaep = &["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"][..];
    let rsa_signing = &[
        "RSASSA_PKCS1_V1_5_SHA_256",
        "RSASSA_PKCS1_V1_5_SHA_384",
        "RSASSA_PKCS1_V1_5_SHA_512",
        "RSASSA_PSS_SHA_256",
        "RSASSA_PSS_SHA_384",
        "RSASSA_PSS_SHA_512",
    ];
    for (spec, usage, list, algorithms) in [
        ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", oaep),
        ("RSA_2048", "SIGN_VERIFY", "SigningAlgorithms", rsa_signing),
        ("ECC_NIST_P521", "SIGN_VERIFY", "SigningAlgorithms", &["ECDSA_SHA_512"]),
        ("ECC_NIST_P384", "KEY_AGREEMENT", "KeyAgreementAlgorithms", &["ECDH"]),
        (
            "ECC_NIST_EDWARDS25519",
            "SIGN_VERIFY",
            "SigningAlgorithms",
            &["ED25519_SHA_512", "ED25519_PH_SHA_512"],
        ),
        ("ML_DSA_65", "SIGN_VERIFY", "SigningAlgorithms", &["ML_DSA_SHAKE_256"]),
        ("HMAC_384", "GENERATE_VERIFY_MAC", "MacAlgorithms", &["HMAC_SHA_384"]),
    ] {
        let key = key_of(&bench, spec, usage);
        let metadata = call(&bench, "DescribeKey", &json!({"KeyId": key}))["KeyMetadata"].clone();
        let lists = [
            "EncryptionAlgorithms",
            "SigningAlgorithms",
            "MacAlgorithms",
            "KeyAgreementAlgorithms",
        ];
        for name in lists {
            assert_eq!(metadata.get(name).is_some(), name == list, "{spec} {usage} {name}");
        }
        assert_eq!(metadata[list], json!(algorithms));
        assert_eq!(
            (text(&metadata, "KeySpec"), text(&metadata, "CustomerMasterKeySpec")),
            (spec, spec)
        );
        assert_eq!(text(&metadata, "KeyUsage"), usage);
        assert!(metadata.get("CurrentKeyMaterialId").is_none());
        if usage == "GENERATE_VERIFY_MAC" {
            continue;
        }
        let public_key = call(&bench, "GetPublicKey", &json!({"KeyId": key}));
        let expected = json!({"KeyId": arn(&key), "PublicKey": public_key["PublicKey"], "KeySpec": spec,
            "CustomerMasterKeySpec": spec, "KeyUsage": usage, list: algorithms});
        assert_eq!(public_key, expected);
    }
}

#[test]
fn specs_and_usages_that_do_not_go_together_are_refused() {
    let bench = Bench::new();
    for (spec, usage) in [
        ("RSA_2048", "KEY_AGREEMENT"),
        ("RSA_4096", "GENERATE_VERIFY_MAC"),
        ("ECC_NIST_P256", "ENCRYPT_DECRYPT"),
        ("ECC_SECG_P256K1", "KEY_AGREEMENT"),
        ("ECC_NIST_EDWARDS25519", "KEY_AGREEMENT"),
        ("ML_DSA_87", "ENCRYPT_DECRYPT"),
        ("HMAC_224", "SIGN_VERIFY"),
    ] {
        let text =
            format!("ValidationException: KeyUsage {usage} is not compatible with KeySpec {spec}");
        check_refused(&bench, "CreateKey", &json!({"KeySpec": spec, "KeyUsage": usage}), &text);
    }
    let text = "ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption \
                keys.";
    for spec in ["HMAC_256", "RSA_2048", "ECC_NIST_P256"] {
        check_refused(&bench, "CreateKey", &json!({"KeySpec": spec}), text);
    }
    let text =
        "UnsupportedOperationException: SM2 is not supported: it exists in the China Regions only.";
    check_refused(&bench, "CreateKey", &json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}), text);
    let key = bench.key();
    check_refused(
        &bench,
        "GenerateDataKeyPair",
        &json!({"KeyId": key, "KeyPairSpec": "SM2"}),
        text,
    );
    let deprecated =
        json!({"CustomerMasterKeySpec": "HMAC_512", "KeyUsage": "GENERATE_VERIFY_MAC"});
    assert_eq!(call(&bench, "CreateKey", &deprecated)["KeyMetadata"]["KeySpec"], "HMAC_512");
}

#[test]
fn public_keys_are_shown_while_the_key_is_disabled_and_of_asymmetric_keys_only() {
    let bench = Bench::new();
    let signing = key_of(&bench, "ECC_NIST_P256", "SIGN_VERIFY");
    let named = json!({"KeyId": signing});
    call(&bench, "DisableKey", &named);
    call(&bench, "GetPublicKey", &named);
    let sign = json!({"KeyId": signing, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_384"});
    check_refused(
        &bench,
        "Sign",
        &sign,
        &format!("DisabledException: {} is disabled.", arn(&signing)),
    );
    call(&bench, "ScheduleKeyDeletion", &named);
    let text = format!("KMSInvalidStateException: {} is pending deletion.", arn(&signing));
    check_refused(&bench, "GetPublicKey", &named, &text);
    check_refused(&bench, "Sign", &sign, &text);
    for key in [bench.key(), key_of(&bench, "HMAC_224", "GENERATE_VERIFY_MAC")] {
        check_refused(
            &bench,
            "GetPublicKey",
            &json!({"KeyId": key}),
            "UnsupportedOperationException",
        );
    }
}

#[test]
fn data_key_pairs_are_whole_and_their_private_key_decrypts() {
    let bench = Bench::new();
    let symmetric = bench.key();
    for (spec, public_key_len) in [
        ("RSA_2048", 294),
        ("RSA_3072", 422),
        ("RSA_4096", 550),
        ("ECC_NIST_P256", 91),
        ("ECC_NIST_P384", 120),
        ("ECC_NIST_P521", 158),
        ("ECC_SECG_P256K1", 88),
        ("ECC_NIST_EDWARDS25519", 44),
    ] {
        let input =
            json!({"KeyId": symmetric, "KeyPairSpec": spec, "EncryptionContext": {"a": "b"}});
        let pair = call(&bench, "GenerateDataKeyPair", &input);
        assert_eq!(STANDARD.decode(text(&pair, "PublicKey")).unwrap().len(), public_key_len);
        assert_eq!((text(&pair, "KeyId"), text(&pair, "KeyPairSpec")), (&*arn(&symmetric), spec));
        let blob = json!({"CiphertextBlob": pair["PrivateKeyCiphertextBlob"], "EncryptionContext": {"a": "b"}});
        let decrypted = call(&bench, "Decrypt", &blob);
        assert_eq!(decrypted["Plaintext"], pair["PrivateKeyPlaintext"]);
        assert_eq!(decrypted["KeyMaterialId"], pair["KeyMaterialId"]);
        let without = call(&bench, "GenerateDataKeyPairWithoutPlaintext", &input);
        assert!(without.get("PrivateKeyPlaintext").is_none());
        assert_ne!(without["PublicKey"], pair["PublicKey"]);
    }
    let input = json!({"KeyId": symmetric, "KeyPairSpec": "ML_DSA_44"});
    let refused = bench.call("GenerateDataKeyPair", &input.to_string()).unwrap_err();
    assert!(refused.to_string().contains("Value 'ML_DSA_44' at 'keyPairSpec'"));
}

#[test]
fn a_ciphertext_moves_to_another_key_context_and_algorithm() {
    let bench = Bench::new();
    let [one, two] = [bench.key(), bench.key()];
    let rsa = key_of(&bench, "RSA_2048", "ENCRYPT_DECRYPT");
    let encrypt = json!({"KeyId": one, "Plaintext": HELLO, "EncryptionContext": {"a": "b"}});
    let first = call(&bench, "Encrypt", &encrypt);
    let input = json!({
        "CiphertextBlob": first["CiphertextBlob"], "SourceEncryptionContext": {"a": "b"}, "DestinationKeyId": two,
        "DestinationEncryptionContext": {"c": "d"},
    });
    let second = call(&bench, "ReEncrypt", &input);
    let id = |key: &str| {
        call(&bench, "DescribeKey", &json!({"KeyId": key}))["KeyMetadata"]["CurrentKeyMaterialId"]
            .clone()
    };
    let expected = json!({
        "CiphertextBlob": second["CiphertextBlob"], "SourceKeyId": arn(&one), "KeyId": arn(&two),
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "SourceKeyMaterialId": id(&one), "DestinationKeyMaterialId": id(&two),
    });
    assert_eq!(second, expected);
    let decrypt =
        json!({"CiphertextBlob": second["CiphertextBlob"], "EncryptionContext": {"c": "d"}});
    assert_eq!(call(&bench, "Decrypt", &decrypt)["Plaintext"], HELLO);

    let to_rsa = with(
        &input,
        json!({
            "DestinationKeyId": rsa, "DestinationEncryptionContext": {},
            "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        }),
    );
    let third = call(&bench, "ReEncrypt", &to_rsa);
    assert!(third.get("DestinationKeyMaterialId").is_none());
    let back = json!({
        "CiphertextBlob": third["CiphertextBlob"], "SourceKeyId": rsa, "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "DestinationKeyId": one,
    });
    let fourth = call(&bench, "ReEncrypt", &back);
    let decrypt = json!({"CiphertextBlob": fourth["CiphertextBlob"]});
    assert_eq!(call(&bench, "Decrypt", &decrypt)["Plaintext"], HELLO);
}

#[test]
fn what_cannot_be_moved_is_refused_in_the_words_of_aws() {
    let bench = Bench::new();
    let [one, two] = [bench.key(), bench.key()];
    let rsa = key_of(&bench, "RSA_2048", "ENCRYPT_DECRYPT");
    let encrypt = json!({"KeyId": one, "Plaintext": base64(191), "EncryptionContext": {"a": "b"}});
    let input = json!({
        "CiphertextBlob": call(&bench, "Encrypt", &encrypt)["CiphertextBlob"],
        "SourceEncryptionContext": {"a": "b"}, "DestinationKeyId": two,
    });
    let incorrect = "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this \
                     operation.";
    let too_long = "ValidationException: Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger \
                    than 190 bytes.";
    let to_rsa =
        json!({"DestinationKeyId": rsa, "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let unnamed = json!({"SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1"});
    for (members, expected) in [
        (json!({"SourceEncryptionContext": {}}), "InvalidCiphertextException"),
        (json!({"CiphertextBlob": HELLO}), "InvalidCiphertextException"),
        (json!({"SourceKeyId": two}), incorrect),
        (unnamed, "ValidationException: KeyId must not be null"),
        (to_rsa, too_long),
    ] {
        check_refused(&bench, "ReEncrypt", &with(&input, members), expected);
    }
    call(&bench, "DisableKey", &json!({"KeyId": two}));
    let disabled = format!("DisabledException: {} is disabled.", arn(&two));
    check_refused(&bench, "ReEncrypt", &input, &disabled);
}

#[test]
fn only_symmetric_keys_rotate_and_aliases_stay_with_keys_of_their_kind() {
    let bench = Bench::new();
    let [signing, other] = [(); 2].map(|()| key_of(&bench, "ECC_NIST_P256", "SIGN_VERIFY"));
    let named = json!({"KeyId": signing});
    for operation in ["EnableKeyRotation", "RotateKeyOnDemand", "GetKeyRotationStatus"] {
        check_refused(&bench, operation, &named, "UnsupportedOperationException");
    }
    let alias = |key: &str| json!({"AliasName": "alias/app", "TargetKeyId": key});
    call(&bench, "CreateAlias", &alias(&signing));
    call(&bench, "UpdateAlias", &alias(&other));
    let symmetric = bench.key();
    let refused = format!(
        "ValidationException: The alias cannot be moved to {}: its type or key usage differs from that of {}.",
        arn(&symmetric),
        arn(&other)
    );
    check_refused(&bench, "UpdateAlias", &alias(&symmetric), &refused);
}

#[test]
fn re_encrypting_takes_a_permission_on_each_key() {
    let bench = Bench::new();
    let [one, two] = [bench.key(), bench.key()];
    let blob =
        call(&bench, "Encrypt", &json!({"KeyId": one, "Plaintext": HELLO}))["CiphertextBlob"]
            .clone();
    let input = json!({"CiphertextBlob": blob, "DestinationKeyId": two}).to_string();
    let statement = |action: &str, key: &str| {
        json!({"Effect": "Allow", "Action": action, "Resource": arn(key)}).to_string()
    };
    let [from, to] = [statement("kms:ReEncryptFrom", &one), statement("kms:ReEncryptTo", &two)];
    for (name, statements, denied) in [
        ("both", format!("{from}, {to}"), None),
        ("from", from, Some(("kms:ReEncryptTo", arn(&two)))),
        ("to", to, Some(("kms:ReEncryptFrom", arn(&one)))),
    ] {
        let caller = bench.user(name, &statements);
        let answer = bench.call_as(&caller, "ReEncrypt", &input).map(drop);
        let expected = denied.map(|(action, key)| {
            format!(
                "AccessDeniedException: User: arn:aws:iam::111122223333:user/{name} is not authorized to perform: {action} \
                 on resource: {key} because no identity-based policy allows the {action} action"
            )
        });
        assert_eq!(answer.map_err(|error| error.to_string()).err(), expected);
    }
}

#[test]
fn random_bytes_have_the_length_that_was_asked_for() {
    let bench = Bench::new();
    for length in [1, 32, 1024] {
        let random = call(&bench, "GenerateRandom", &json!({"NumberOfBytes": length}));
        assert_eq!(STANDARD.decode(text(&random, "Plaintext")).unwrap().len(), length);
    }
    let text = "ValidationException: NumberOfBytes is required.";
    check_refused(&bench, "GenerateRandom", &json!({}), text);
    for (input, member) in [
        (json!({"CustomKeyStoreId": "x", "NumberOfBytes": 1}), "CustomKeyStoreId"),
        (json!({"Recipient": {}}), "Recipient"),
    ] {
        let refused = bench.call("GenerateRandom", &input.to_string()).unwrap_err().to_string();
        assert!(
            refused
                .starts_with(&format!("UnsupportedOperationException: {member} is not supported"))
        );
    }
    let caller =
        bench.user("alice", r#"{"Effect": "Allow", "Action": "kms:List*", "Resource": "*"}"#);
    bench.call_as(&caller, "GenerateRandom", r#"{"NumberOfBytes": 1}"#).unwrap_err();
}

#[test]
fn every_rehearsal_is_refused_last_and_makes_nothing() {
    let bench = Bench::new();
    let symmetric = bench.key();
    let [signing, hmac, agreement] = [
        key_of(&bench, "ECC_NIST_P256", "SIGN_VERIFY"),
        key_of(&bench, "HMAC_256", "GENERATE_VERIFY_MAC"),
        key_of(&bench, "ECC_NIST_P256", "KEY_AGREEMENT"),
    ];
    let sign = json!({"KeyId": signing, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let mac = json!({"KeyId": hmac, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
    let verify = with(&sign, json!({"Signature": call(&bench, "Sign", &sign)["Signature"]}));
    let verify_mac = with(&mac, json!({"Mac": call(&bench, "GenerateMac", &mac)["Mac"]}));
    let peer = call(&bench, "GetPublicKey", &json!({"KeyId": agreement}))["PublicKey"].clone();
    let derive = json!({"KeyId": agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer});
    let encrypt = json!({"KeyId": symmetric, "Plaintext": HELLO});
    let blob = call(&bench, "Encrypt", &encrypt)["CiphertextBlob"].clone();
    let pair = json!({"KeyId": symmetric, "KeyPairSpec": "RSA_4096"});
    let re_encrypt = json!({"CiphertextBlob": blob, "DestinationKeyId": symmetric});
    let would =
        "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
    for (operation, input) in [
        ("Sign", &sign),
        ("Verify", &verify),
        ("GenerateMac", &mac),
        ("VerifyMac", &verify_mac),
        ("DeriveSharedSecret", &derive),
        ("Encrypt", &encrypt),
        ("GenerateDataKeyPair", &pair),
        ("GenerateDataKeyPairWithoutPlaintext", &pair),
        ("ReEncrypt", &re_encrypt),
    ] {
        check_refused(&bench, operation, &with(input, json!({"DryRun": true})), would);
    }
    for (operation, input, expected) in [
        ("Verify", with(&verify, json!({"Signature": HELLO})), "KMSInvalidSignatureException"),
        ("VerifyMac", with(&verify_mac, json!({"Mac": HELLO})), "KMSInvalidMacException"),
        ("DeriveSharedSecret", with(&derive, json!({"PublicKey": HELLO})), "ValidationException"),
        (
            "ReEncrypt",
            with(&re_encrypt, json!({"CiphertextBlob": HELLO})),
            "InvalidCiphertextException",
        ),
    ] {
        check_refused(&bench, operation, &with(&input, json!({"DryRun": true})), expected);
    }
    // Permissions can be rehearsed without a ciphertext, if the key is named.
    let modified = json!({"DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]});
    check_refused(&bench, "Decrypt", &with(&modified, json!({"KeyId": symmetric})), would);
    check_refused(&bench, "Decrypt", &modified, "ValidationException: KeyId must not be null");
    let without = json!({"SourceKeyId": symmetric, "DestinationKeyId": symmetric});
    check_refused(&bench, "ReEncrypt", &with(&modified, without), would);
    let null = "ValidationException: 1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy \
                constraint: Member must not be null";
    let only_modified = json!({"KeyId": symmetric, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]});
    check_refused(&bench, "Decrypt", &only_modified, null);
}

#[test]
fn keys_of_all_kinds_survive_reopening() {
    let mut bench = Bench::new();
    let signing = ["RSA_2048", "ECC_NIST_P384", "ECC_NIST_EDWARDS25519", "ML_DSA_44"];
    let algorithms = ["RSASSA_PSS_SHA_256", "ECDSA_SHA_384", "ED25519_SHA_512", "ML_DSA_SHAKE_256"];
    let inputs = signing.into_iter().zip(algorithms).map(|(spec, algorithm)| {
        let key = key_of(&bench, spec, "SIGN_VERIFY");
        json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": algorithm})
    });
    let inputs = inputs.collect::<Vec<_>>();
    let signed = inputs
        .iter()
        .map(|input| with(input, json!({"Signature": call(&bench, "Sign", input)["Signature"]})));
    let signed = signed.collect::<Vec<_>>();
    for lose_snapshot in [true, false] {
        bench.reopen(|bench| {
            if lose_snapshot {
                std::fs::remove_file(bench.snapshot_file()).unwrap();
            }
        });
        for input in &signed {
            call(&bench, "Verify", input);
            call(&bench, "Sign", &with(input, json!({"Signature": null})));
        }
    }
}
