//! What is good for one thing is offered for another: tokens, grants, markers, ciphertexts of another key or purpose, and
//! encryption contexts that only look alike. Each must be refused, or mean what it says and no more.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Bench, HELLO, arn, call, check_refused, text};

fn external_key(bench: &Bench) -> String {
    let key = call(bench, "CreateKey", &json!({"Origin": "EXTERNAL"}));
    text(&key["KeyMetadata"], "KeyId").to_owned()
}

fn grant_to_alice(bench: &Bench, key: &str) -> Value {
    let alice = "arn:aws:iam::111122223333:user/alice";
    let terms = json!({"KeyId": key, "GranteePrincipal": alice, "Operations": ["Encrypt"]});
    call(bench, "CreateGrant", &terms)
}

#[test]
fn a_token_of_one_kind_is_none_of_another() {
    let bench = Bench::new();
    let (key, external) = (bench.key(), external_key(&bench));
    let grant = grant_to_alice(&bench, &key);
    let sent = json!({"KeyId": external, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let import = call(&bench, "GetParametersForImport", &sent);
    let import_token = STANDARD.decode(text(&import, "ImportToken")).unwrap();
    // Also without the mark in front, behind which both are sealed alike.
    for bytes in [&import_token[..], &import_token[4..]] {
        let input = json!({"GrantToken": STANDARD.encode(bytes)});
        check_refused(&bench, "RetireGrant", &input, "InvalidGrantTokenException");
    }
    let grant_token = STANDARD.decode(text(&grant, "GrantToken")).unwrap();
    for mark in [&b""[..], b"KTI\x01"] {
        let token = STANDARD.encode([mark, &grant_token].concat());
        let input = json!({"KeyId": external, "ImportToken": token, "EncryptedKeyMaterial": HELLO,
                           "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
        check_refused(&bench, "ImportKeyMaterial", &input, "InvalidImportTokenException");
    }
    for blob in [&import_token, &grant_token] {
        let input = json!({"CiphertextBlob": STANDARD.encode(blob)});
        check_refused(&bench, "Decrypt", &input, "InvalidCiphertextException");
    }
}

#[test]
fn a_grant_on_one_key_is_none_on_another_whatever_token_comes_along() {
    let bench = Bench::new();
    let (key, other, alice) = (bench.key(), bench.key(), bench.user("alice", ""));
    let grant = grant_to_alice(&bench, &key);
    let token = text(&grant, "GrantToken");
    let encrypt = |key: &str| {
        let input = json!({"KeyId": key, "Plaintext": HELLO, "GrantTokens": [token]}).to_string();
        bench.call_as(&alice, "Encrypt", &input)
    };
    assert!(encrypt(&key).is_ok());
    let denied = encrypt(&other).unwrap_err();
    assert_eq!(denied.code().as_str(), "AccessDeniedException");
    let of_other = json!({"KeyId": arn(&other), "GrantId": grant["GrantId"]});
    let not_found =
        format!("InvalidGrantIdException: Grant ID {} not found", text(&grant, "GrantId"));
    for operation in ["RevokeGrant", "RetireGrant"] {
        check_refused(&bench, operation, &of_other, &not_found);
    }
    let both = json!({"GrantToken": token, "KeyId": other, "GrantId": grant["GrantId"]});
    let refused = bench.call("RetireGrant", &both.to_string()).unwrap_err();
    assert_eq!(refused.code().as_str(), "ValidationException");
    assert!(encrypt(&key).is_ok(), "none of it ended the grant");
}

/// A token names its grant whatever the Region of the call is. Taken elsewhere, a policy that holds a caller to one Region
/// would be asked about the wrong one, and the record would lie in it.
#[test]
fn a_grant_token_counts_in_the_region_of_its_key_only() {
    let bench = Bench::new();
    let (root, key) = (bench.root(), bench.key());
    let token = json!({"GrantToken": grant_to_alice(&bench, &key)["GrantToken"]});
    let elsewhere = bench.root().in_region("eu-west-1".parse().unwrap());
    let refused = bench.call_as(&elsewhere, "RetireGrant", &token.to_string()).unwrap_err();
    assert_eq!(refused.to_string(), "InvalidGrantTokenException");
    bench.call_as(&root, "RetireGrant", &token.to_string()).unwrap();
}

#[test]
fn a_ciphertext_cannot_be_made_one_of_another_key() {
    let bench = Bench::new();
    let blob_of = |key: &str| {
        let answer = call(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}));
        STANDARD.decode(text(&answer, "CiphertextBlob")).unwrap()
    };
    let (one, other) = (blob_of(&bench.key()), blob_of(&bench.key()));
    // Key id, material id, salt, and each with the one before it.
    for (from, to) in [(4, 21), (21, 53), (53, 69), (4, 53), (21, 69), (0, 69)] {
        let mut mixed = one.clone();
        mixed[from..to].copy_from_slice(&other[from..to]);
        let input = json!({"CiphertextBlob": STANDARD.encode(mixed)});
        check_refused(&bench, "Decrypt", &input, "InvalidCiphertextException");
    }
}

#[test]
fn contexts_that_look_alike_are_different_and_the_same_in_another_spelling_are_the_same() {
    let bench = Bench::new();
    let key = bench.key();
    let sealed = format!(
        r#"{{"KeyId": "{key}", "Plaintext": "{HELLO}", "EncryptionContext": {{"é": "K", "b": ""}}}}"#
    );
    let sealed = bench.call("Encrypt", &sealed).unwrap();
    let opens = |context: &str| {
        let input = format!(
            r#"{{"CiphertextBlob": {}, "EncryptionContext": {context}}}"#,
            sealed["CiphertextBlob"]
        );
        bench.call("Decrypt", &input).map(drop).map_err(|refused| refused.code().as_str())
    };
    for same in [
        r#"{"b": "", "é": "K"}"#,
        r#"{"\u00e9": "\u004b", "\u0062": ""}"#,
        "\t{\n\"b\" : \"\" , \"é\":\"K\" }",
    ] {
        assert_eq!(opens(same), Ok(()), "{same}");
    }
    for other in [
        "{}",
        "null",
        r#"{"é": "K"}"#,
        r#"{"é": "k", "b": ""}"#,
        r#"{"É": "K", "b": ""}"#,
        "{\"e\u{301}\": \"K\", \"b\": \"\"}", // the same letter, composed in another way
        "{\"é\": \"\u{212a}\", \"b\": \"\"}", // the sign for kelvin
        r#"{"é": "K ", "b": ""}"#,
        r#"{"é": "K", "b": "\u0000"}"#,
        r#"{"é": "K", "": "b"}"#,
        r#"{"é": "Kb", "": ""}"#,
        r#"{"é": "K", "b": "", "c": ""}"#,
    ] {
        assert_eq!(opens(other), Err("InvalidCiphertextException"), "{other}");
    }
    for malformed in [
        r#"{"é": "K", "b": null}"#,
        r#"{"é": "K", "b": 0}"#,
        r#"{"é": ["K"], "b": ""}"#,
        r#"{"é": "K", "b": "", "b": ""}"#,
        r#"{"é": "K", "b": "", "\u00e9": "K"}"#,
        r#"{"é": "K", "b": "\ud800"}"#,
        r#"[["é", "K"], ["b", ""]]"#,
        r#""é""#,
    ] {
        assert_eq!(opens(malformed), Err("SerializationException"), "{malformed}");
    }
}

/// A marker only says where to go on. One that was made up, or that another list gave, shows nothing that the list would not
/// have shown.
#[test]
fn a_marker_opens_nothing() {
    let bench = Bench::new();
    let key = bench.key();
    bench.key();
    call(&bench, "CreateAlias", &json!({"AliasName": "alias/a", "TargetKeyId": key}));
    let marker = call(&bench, "ListKeys", &json!({"Limit": 1}))["NextMarker"].clone();
    let aliases = call(&bench, "ListAliases", &json!({"Marker": marker}));
    let mut aliases = aliases["Aliases"].as_array().unwrap().iter();
    let well_known = |alias: &Value| text(alias, "AliasName").starts_with("alias/aws/");
    assert!(aliases.all(|alias| alias["AliasName"] == "alias/a" || well_known(alias)));
    let invalid = "InvalidMarkerException: Invalid marker";
    check_refused(&bench, "ListGrants", &json!({"KeyId": key, "Marker": marker}), invalid);
    let made_up =
        [URL_SAFE_NO_PAD.encode("after:\u{10ffff}"), URL_SAFE_NO_PAD.encode(b"after:\xff")];
    for marker in ["x", "YWZ0ZXI"].into_iter().chain(made_up.iter().map(String::as_str)) {
        check_refused(&bench, "ListKeys", &json!({"Marker": marker}), invalid);
    }
    let nobody = bench.user("nobody", "");
    let refused = bench.call_as(&nobody, "ListKeys", &json!({"Marker": marker}).to_string());
    assert_eq!(refused.unwrap_err().code().as_str(), "AccessDeniedException");
}
