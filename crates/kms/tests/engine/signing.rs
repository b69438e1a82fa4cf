//! Sign and Verify: every signing key with every algorithm and message type that it has, and AWS's texts where key,
//! algorithm and message do not fit. MACs as well: they are the same with one key.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_kms::{ErrorCode, Message};
use serde_json::{Value, json};

use crate::support::{Bench, HELLO, arn, base64, call, check_refused, key_of, text, with};

const RSA: [&str; 3] = ["RSA_2048", "RSA_3072", "RSA_4096"];
const RSA_SIGNING: &[&str] = &[
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];

/// Signs and verifies in one algorithm and message type, and then everything that must not verify.
#[track_caller]
fn check_signs(bench: &Bench, key: &str, algorithm: &str, message_type: &str, message: &str) {
    let input = json!({
        "KeyId": key, "SigningAlgorithm": algorithm, "MessageType": message_type, "Message": message,
    });
    let signed = call(bench, "Sign", &input);
    let signature = text(&signed, "Signature").to_owned();
    let expected =
        json!({"KeyId": arn(key), "Signature": signature, "SigningAlgorithm": algorithm});
    assert_eq!(signed, expected);
    let input = with(&input, json!({"Signature": signature}));
    let verified = call(bench, "Verify", &input);
    let expected =
        json!({"KeyId": arn(key), "SignatureValid": true, "SigningAlgorithm": algorithm});
    assert_eq!(verified, expected);

    let mut other = STANDARD.decode(message).unwrap();
    other[0] ^= 1;
    let mut flipped = STANDARD.decode(&signature).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let invalid = "KMSInvalidSignatureException";
    for wrong in [
        json!({"Message": STANDARD.encode(other)}),
        json!({"Signature": STANDARD.encode(&flipped)}),
        json!({"Signature": STANDARD.encode(&flipped[1..])}),
        json!({"Signature": base64(6144)}),
    ] {
        check_refused(bench, "Verify", &with(&input, wrong), invalid);
    }
    check_refused(
        bench,
        "Verify",
        &with(&input, json!({"Message": HELLO, "MessageType": "DIGEST"})),
        &match (algorithm, message_type) {
            ("ML_DSA_SHAKE_256", _) => {
                "ValidationException: Message type DIGEST is incompatible with key spec \
                                        ML_DSA_44."
                    .to_owned()
            }
            ("ED25519_SHA_512", _) => {
                "ValidationException: Message type DIGEST is incompatible with algorithm \
                                       ED25519_SHA_512."
                    .to_owned()
            }
            _ => {
                format!("ValidationException: Digest is invalid length for algorithm {algorithm}.")
            }
        }
        .replace(
            "ML_DSA_44",
            text(&call(bench, "GetPublicKey", &json!({"KeyId": key})), "KeySpec"),
        ),
    );
}

#[test]
fn rsa_signs_messages_and_digests_with_each_padding_and_hash() {
    let bench = Bench::new();
    for spec in RSA {
        let key = key_of(&bench, spec, "SIGN_VERIFY");
        for algorithm in RSA_SIGNING {
            let digest = algorithm.rsplit('_').next().unwrap().parse::<usize>().unwrap() / 8;
            check_signs(&bench, &key, algorithm, "RAW", HELLO);
            check_signs(&bench, &key, algorithm, "RAW", &base64(4096));
            check_signs(&bench, &key, algorithm, "DIGEST", &base64(digest));
        }
    }
}

#[test]
fn elliptic_curves_sign_messages_and_digests_with_their_one_algorithm() {
    let bench = Bench::new();
    for (spec, algorithm, digest) in [
        ("ECC_NIST_P256", "ECDSA_SHA_256", 32),
        ("ECC_NIST_P384", "ECDSA_SHA_384", 48),
        ("ECC_NIST_P521", "ECDSA_SHA_512", 64),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", 32),
    ] {
        let key = key_of(&bench, spec, "SIGN_VERIFY");
        check_signs(&bench, &key, algorithm, "RAW", HELLO);
        check_signs(&bench, &key, algorithm, "DIGEST", &base64(digest));
    }
    let key = key_of(&bench, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
    check_signs(&bench, &key, "ED25519_SHA_512", "RAW", HELLO);
    check_signs(&bench, &key, "ED25519_PH_SHA_512", "DIGEST", &base64(64));
}

#[test]
fn lattices_sign_messages_and_what_stands_for_them() {
    let bench = Bench::new();
    for (spec, public_key_len, signature_len) in
        [("ML_DSA_44", 1334, 2420), ("ML_DSA_65", 1974, 3309), ("ML_DSA_87", 2614, 4627)]
    {
        let key = key_of(&bench, spec, "SIGN_VERIFY");
        check_signs(&bench, &key, "ML_DSA_SHAKE_256", "RAW", HELLO);
        check_signs(&bench, &key, "ML_DSA_SHAKE_256", "EXTERNAL_MU", &base64(64));
        let decoded = |answer: &Value, name: &str| STANDARD.decode(text(answer, name)).unwrap();
        let public_key = call(&bench, "GetPublicKey", &json!({"KeyId": key}));
        assert_eq!(decoded(&public_key, "PublicKey").len(), public_key_len);
        let input = json!({"KeyId": key, "SigningAlgorithm": "ML_DSA_SHAKE_256", "Message": HELLO});
        let signatures = [(); 2].map(|()| decoded(&call(&bench, "Sign", &input), "Signature"));
        assert_eq!(signatures[0].len(), signature_len);
        assert_ne!(signatures[0], signatures[1], "signing is hedged");
    }
}

/// Spec, algorithm, message type, length of the message, and the refusal of Sign and Verify.
const MISFITS: &[(&str, &str, &str, usize, &str)] = &[
    (
        "RSA_2048",
        "ECDSA_SHA_256",
        "RAW",
        1,
        "InvalidKeyUsageException: Algorithm ECDSA_SHA_256 is incompatible with key spec RSA_2048.",
    ),
    (
        "RSA_2048",
        "SM2DSA",
        "RAW",
        1,
        "InvalidKeyUsageException: Algorithm SM2DSA is incompatible with key spec RSA_2048.",
    ),
    (
        "RSA_2048",
        "RSASSA_PSS_SHA_384",
        "DIGEST",
        32,
        "ValidationException: Digest is invalid length for algorithm RSASSA_PSS_SHA_384.",
    ),
    (
        "ECC_NIST_P256",
        "ECDSA_SHA_384",
        "DIGEST",
        20,
        "InvalidKeyUsageException: Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.",
    ),
    (
        "ECC_NIST_P256",
        "ECDSA_SHA_256",
        "DIGEST",
        48,
        "ValidationException: Digest is invalid length for algorithm ECDSA_SHA_256.",
    ),
    (
        "ECC_NIST_P256",
        "ECDSA_SHA_256",
        "EXTERNAL_MU",
        64,
        "ValidationException: Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_P256.",
    ),
    (
        "ECC_NIST_EDWARDS25519",
        "ED25519_SHA_512",
        "DIGEST",
        64,
        "ValidationException: Message type DIGEST is incompatible with algorithm ED25519_SHA_512.",
    ),
    (
        "ECC_NIST_EDWARDS25519",
        "ED25519_PH_SHA_512",
        "RAW",
        64,
        "ValidationException: Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.",
    ),
    (
        "ECC_NIST_EDWARDS25519",
        "ED25519_PH_SHA_512",
        "DIGEST",
        32,
        "ValidationException: Digest is invalid length for algorithm ED25519_PH_SHA_512.",
    ),
    (
        "ECC_NIST_EDWARDS25519",
        "ECDSA_SHA_512",
        "RAW",
        1,
        "InvalidKeyUsageException: Algorithm ECDSA_SHA_512 is incompatible with key spec ECC_NIST_EDWARDS25519.",
    ),
    (
        "ML_DSA_44",
        "ML_DSA_SHAKE_256",
        "DIGEST",
        64,
        "ValidationException: Message type DIGEST is incompatible with key spec ML_DSA_44.",
    ),
    (
        "ML_DSA_44",
        "ML_DSA_SHAKE_256",
        "EXTERNAL_MU",
        63,
        "ValidationException: Digest is invalid length for algorithm ML_DSA_SHAKE_256.",
    ),
];

#[test]
fn what_does_not_fit_a_signing_key_is_refused_in_the_words_of_aws() {
    let bench = Bench::new();
    let mut keys = BTreeMap::new();
    for (spec, algorithm, message_type, length, expected) in MISFITS {
        let key = keys.entry(*spec).or_insert_with(|| key_of(&bench, spec, "SIGN_VERIFY"));
        let input = json!({
            "KeyId": key, "SigningAlgorithm": algorithm, "MessageType": message_type, "Message": base64(*length),
            "Signature": HELLO,
        });
        for operation in ["Sign", "Verify"] {
            check_refused(&bench, operation, &input, expected);
        }
    }
}

#[test]
fn words_that_the_api_does_not_have_are_refused_with_those_that_it_has() {
    let bench = Bench::new();
    let key = bench.key();
    let input = json!({"KeyId": key, "SigningAlgorithm": "FOO", "MessageType": "FOO", "Message": base64(4097)});
    let expected = "ValidationException: 3 validation errors detected: Value at 'message' failed to satisfy constraint: \
                    Member must have length less than or equal to 4096; Value 'FOO' at 'messageType' failed to satisfy \
                    constraint: Member must satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]; Value 'FOO' at \
                    'signingAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: \
                    [RSASSA_PSS_SHA_256, RSASSA_PSS_SHA_384, RSASSA_PSS_SHA_512, RSASSA_PKCS1_V1_5_SHA_256, \
                    RSASSA_PKCS1_V1_5_SHA_384, RSASSA_PKCS1_V1_5_SHA_512, ECDSA_SHA_256, ECDSA_SHA_384, ECDSA_SHA_512, \
                    ED25519_SHA_512, ED25519_PH_SHA_512, SM2DSA, ML_DSA_SHAKE_256]";
    check_refused(&bench, "Sign", &input, expected);
}

#[test]
fn macs_are_as_long_as_their_hash_and_verify_only_whole_and_unchanged() {
    let bench = Bench::new();
    for (spec, algorithm, length) in [
        ("HMAC_224", "HMAC_SHA_224", 28),
        ("HMAC_256", "HMAC_SHA_256", 32),
        ("HMAC_384", "HMAC_SHA_384", 48),
        ("HMAC_512", "HMAC_SHA_512", 64),
    ] {
        let key = key_of(&bench, spec, "GENERATE_VERIFY_MAC");
        let input = json!({"KeyId": key, "MacAlgorithm": algorithm, "Message": HELLO});
        let made = call(&bench, "GenerateMac", &input);
        let mac = STANDARD.decode(text(&made, "Mac")).unwrap();
        assert_eq!((mac.len(), &made["KeyId"]), (length, &json!(arn(&key))));
        assert_eq!(call(&bench, "GenerateMac", &input), made);
        let input = with(&input, json!({"Mac": made["Mac"]}));
        let expected = json!({"KeyId": arn(&key), "MacValid": true, "MacAlgorithm": algorithm});
        assert_eq!(call(&bench, "VerifyMac", &input), expected);
        for wrong in [
            json!({"Message": base64(5)}),
            json!({"Mac": STANDARD.encode(&mac[1..])}),
            json!({"Mac": STANDARD.encode([&mac[..], &[0]].concat())}),
            json!({"Mac": STANDARD.encode(mac.iter().map(|byte| !byte).collect::<Vec<_>>())}),
        ] {
            check_refused(&bench, "VerifyMac", &with(&input, wrong), "KMSInvalidMacException");
        }
        let other = if spec == "HMAC_224" { "HMAC_SHA_256" } else { "HMAC_SHA_224" };
        let text = format!(
            "InvalidKeyUsageException: Algorithm {other} is incompatible with key spec {spec}."
        );
        check_refused(&bench, "GenerateMac", &with(&input, json!({"MacAlgorithm": other})), &text);
    }
}

#[test]
fn typed_calls_do_what_the_json_does() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let [rsa, hmac, agreement] = [
        key_of(&bench, "RSA_2048", "SIGN_VERIFY"),
        key_of(&bench, "HMAC_512", "GENERATE_VERIFY_MAC"),
        key_of(&bench, "ECC_NIST_P521", "KEY_AGREEMENT"),
    ];
    let (algorithm, digest) = ("RSASSA_PSS_SHA_512", Message::Digest(&[7; 64]));
    let signature = engine.sign(&root, &rsa, algorithm, digest).unwrap();
    engine.verify(&root, &rsa, algorithm, digest, &signature).unwrap();
    let refused = engine.verify(&root, &rsa, algorithm, Message::Raw(&[7; 64]), &signature);
    assert_eq!(refused.unwrap_err().code(), ErrorCode::KMSInvalidSignatureException);
    let mac = engine.generate_mac(&root, &hmac, "HMAC_SHA_512", b"message").unwrap();
    engine.verify_mac(&root, &hmac, "HMAC_SHA_512", b"message", &mac).unwrap();
    let refused = engine.verify_mac(&root, &hmac, "HMAC_SHA_512", b"another", &mac);
    assert_eq!(refused.unwrap_err().code(), ErrorCode::KMSInvalidMacException);
    let public_key = engine.public_key(&root, &agreement).unwrap();
    assert_eq!((&*public_key.key_spec, &*public_key.key_usage), ("ECC_NIST_P521", "KEY_AGREEMENT"));
    let shared =
        engine.derive_shared_secret(&root, &agreement, &public_key.public_key).ok().unwrap();
    assert_eq!(shared.len(), 66);

    let [one, two] = [bench.key(), bench.key()];
    let pair = engine.generate_data_key_pair(&root, &one, "ECC_NIST_P256", &[("a", "b")]);
    let pair = pair.ok().unwrap();
    let moved =
        engine.re_encrypt(&root, &pair.private_key_ciphertext_blob, &[("a", "b")], &two, &[]);
    let opened = engine.decrypt(&root, &moved.ok().unwrap().ciphertext_blob, &[]).ok().unwrap();
    assert_eq!(opened.plaintext, pair.private_key_plaintext);
    assert_eq!(engine.generate_random(&root, 33).ok().unwrap().len(), 33);
}
