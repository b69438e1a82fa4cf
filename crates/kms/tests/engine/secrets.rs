//! The canaries: values that must not be found anywhere. They are looked for raw, in base64 and in hexadecimal, in every
//! file of the data directory, in every record, and in every text that an error or a `Debug` gives.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_kms::{
    AssumeRoleRequest, CreateKeyRequest, CreateRoleRequest, Engine, Environment, RootKey,
};
use serde_json::{Value, json};

use crate::import;
use crate::support::{Bench, call, config, key_of, text, with};

const PLAINTEXT: &[u8] = b"canary: attack at dawn, bring the ladders";

/// One secret in all the spellings that it could leak in.
struct Canary {
    what: &'static str,
    spellings: Vec<Vec<u8>>,
}

impl Canary {
    fn new(what: &'static str, secret: &[u8]) -> Self {
        let mut hex = String::new();
        for byte in secret {
            write!(hex, "{byte:02x}").unwrap();
        }
        // Base64 at each of the three offsets that a secret can have in a longer text; the outermost digits mix with
        // the neighbours, so they are left out.
        let shifted = |offset: usize| {
            let encoded = STANDARD.encode([&vec![0; offset], secret].concat());
            encoded.as_bytes()[offset * 2..encoded.len() - 4].to_vec()
        };
        let spellings = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
        Self { what, spellings: spellings.into_iter().chain((0..3).map(shifted)).collect() }
    }

    fn is_in(&self, haystack: &[u8]) -> bool {
        let found =
            |needle: &Vec<u8>| haystack.windows(needle.len()).any(|window| window == needle);
        self.spellings.iter().any(found)
    }
}

fn files_below(folder: &Path, each: &mut dyn FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, each);
        } else {
            each(&path, &std::fs::read(&path).unwrap());
        }
    }
}

/// Looks for the canaries in these texts, in every record, and in every file that a closed engine leaves.
fn hunt(mut bench: Bench, canaries: &[Canary], texts: &[String]) {
    let records = bench.ledger();
    bench.close();
    for canary in canaries {
        for text in texts {
            assert!(!canary.is_in(text.as_bytes()), "{} in {text}", canary.what);
        }
        for record in records.records() {
            let text = String::from_utf8_lossy(record);
            assert!(!canary.is_in(record), "{} in the record {text}", canary.what);
        }
        files_below(bench.data(), &mut |path, content| {
            assert!(!canary.is_in(content), "{} in {}", canary.what, path.display());
        });
    }
    // The snapshot was among the files, and so were the sealed seeds.
    assert!(bench.snapshot_file().exists());
}

#[test]
fn the_search_finds_what_is_there() {
    let canary = Canary::new("test", b"a secret of some length");
    for hidden in ["a secret of some length", "6120736563726574206f6620736f6d65206c656e677468"] {
        assert!(canary.is_in(format!("..{hidden}..").as_bytes()));
    }
    for offset in 0..3 {
        let text =
            STANDARD.encode([&b"xyz"[..offset], b"a secret of some length", b"more"].concat());
        assert!(canary.is_in(text.as_bytes()), "offset {offset}");
    }
    assert!(!canary.is_in(b"another secret of some length"));
}

/// Nothing of a session's credentials is kept, or shown again: not the secret, not the token, not the code of a second
/// factor that a client may send along.
#[test]
fn no_secret_of_a_session_is_in_any_file_record_or_error() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let trust_policy = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}}"#;
    let policies =
        &[("p", r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#)];
    let role = CreateRoleRequest { trust_policy, policies, ..CreateRoleRequest::default() };
    let role = engine.create_role(&root, "app", &role).unwrap();
    let alice = bench.user("alice", r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#);
    let request = AssumeRoleRequest {
        role_arn: &role,
        session_name: "run1",
        tags: &[("dept", "hr")],
        ..AssumeRoleRequest::default()
    };
    let credentials = engine.assume_role(&alice, &request).ok().unwrap();
    let session = engine.caller_for_session(&credentials).unwrap();
    let chained = engine.assume_role(&session, &AssumeRoleRequest { tags: &[], ..request });
    let chained = chained.ok().unwrap();
    let service = engine.create_service_access_key(&root, "backup.amazonaws.com").ok().unwrap();
    bench.call_as(&session, "CreateKey", "{}").unwrap();
    let code = "canary: 123456 of the second factor";
    let bytes = |token: &str| STANDARD.decode(token).unwrap();
    let canaries = [
        Canary::new("secret of a session", credentials.access_key.secret.expose().as_bytes()),
        Canary::new("secret of a chained session", chained.access_key.secret.expose().as_bytes()),
        Canary::new("session token", credentials.session_token.as_bytes()),
        Canary::new("session token's bytes", &bytes(&credentials.session_token)),
        Canary::new("chained session token", chained.session_token.as_bytes()),
        Canary::new("secret of a service", service.secret.expose().as_bytes()),
        Canary::new("code", code.as_bytes()),
    ];
    let mut texts = vec![format!("{session:?}")];
    let (id, token) = (&chained.access_key.id, credentials.session_token.as_str());
    texts.push(engine.credentials(id, Some(token)).err().unwrap().to_string());
    for members in [
        json!({"TokenCode": code, "SerialNumber": code}),
        json!({"TokenCode": {"code": token}}),
        json!({"Policy": token}),
        json!({"SourceIdentity": {"token": token}}),
    ] {
        let input = with(&json!({"RoleArn": role, "RoleSessionName": "run1"}), members);
        let refused = engine.call_sts(&alice, "AssumeRole", input.to_string().as_bytes());
        texts.push(refused.err().unwrap().to_string());
    }
    engine.delete_role(&root, "app").unwrap();
    texts.push(bench.call_as(&session, "ListKeys", "{}").unwrap_err().to_string());
    hunt(bench, &canaries, &texts);
}

/// Imports material. Gives back what must not be seen of it, and a request with all of it that must be refused.
fn import_canaries(bench: &Bench) -> ([Canary; 3], Value) {
    let material = *b"canary: thirty-two imported byte";
    let parameters = import::Parameters::new(bench, &import::external_key(bench));
    let request = parameters.request(&material);
    bench.call("ImportKeyMaterial", &request.to_string()).unwrap();
    let sent = |name: &str| STANDARD.decode(request[name].as_str().unwrap()).unwrap();
    let canaries = [
        Canary::new("imported material", &material),
        Canary::new("wrapped material", &sent("EncryptedKeyMaterial")),
        Canary::new("import token", &sent("ImportToken")),
    ];
    let mut broken = request.clone();
    broken["ImportToken"] = request["EncryptedKeyMaterial"].clone();
    (canaries, broken)
}

#[test]
fn no_secret_is_in_any_file_record_or_error() {
    let bench = Bench::new();
    let (engine, root) = (bench.engine(), bench.root());
    let key = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
    let encrypted = engine.encrypt(&root, &key, PLAINTEXT, &[("purpose", "test")]).unwrap();
    let decrypted =
        engine.decrypt(&root, &encrypted.ciphertext_blob, &[("purpose", "test")]).ok().unwrap();
    assert_eq!(decrypted.plaintext.as_slice(), PLAINTEXT);
    let data_key = engine.generate_data_key(&root, &key, 32, &[]).ok().unwrap();
    let access_key = engine.create_user(&root, "alice", &[]).ok().unwrap();
    let grant =
        json!({"KeyId": key, "GranteePrincipal": "111122223333", "Operations": ["Encrypt"]});
    let made = bench.call("CreateGrant", &grant.to_string()).unwrap();
    let token = made["GrantToken"].as_str().unwrap();
    let (imported, broken_import) = import_canaries(&bench);
    let canaries = [
        Canary::new("grant token", token.as_bytes()),
        Canary::new("grant token's bytes", &STANDARD.decode(token).unwrap()),
        Canary::new("plaintext", PLAINTEXT),
        Canary::new("ciphertext", &encrypted.ciphertext_blob),
        Canary::new("data key", &data_key.plaintext),
        Canary::new("encrypted data key", &data_key.ciphertext_blob),
        Canary::new("secret access key", access_key.secret.expose().as_bytes()),
    ];
    let canaries = canaries.into_iter().chain(imported).collect::<Vec<_>>();

    let mut texts = vec![format!("{root:?}")];
    let plaintext = STANDARD.encode(PLAINTEXT);
    let blob = STANDARD.encode(&encrypted.ciphertext_blob);
    for (operation, input) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": format!("{plaintext}*")})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": {"text": plaintext}})),
        ("Encrypt", json!({"KeyId": "none", "Plaintext": plaintext})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": plaintext, "EncryptionAlgorithm": "none"})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": plaintext, "DryRun": plaintext})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ImportKeyMaterial", broken_import),
        (
            "Decrypt",
            json!({"CiphertextBlob": blob, "DryRun": true, "EncryptionContext": {"purpose": "test"}}),
        ),
        ("Sign", json!({"KeyId": key, "Message": plaintext})),
        ("NoSuchOperation", json!({"Plaintext": plaintext})),
        ("Encrypt", json!({"KeyId": "none", "Plaintext": plaintext, "GrantTokens": [token]})),
        ("DescribeKey", json!({"KeyId": key, "GrantTokens": vec![token; 11]})),
        ("RetireGrant", json!({"GrantToken": token, "KeyId": key})),
        ("RetireGrant", json!({"GrantToken": token.repeat(90)})),
        ("RetireGrant", json!({"GrantToken": [token]})),
    ] {
        let refused = bench.call(operation, &input.to_string()).unwrap_err();
        texts.extend([refused.to_string(), format!("{refused:?}"), refused.to_json()]);
    }
    let broken = format!(r#"{{"KeyId": "{key}", "Plaintext": "{plaintext}""#);
    let refused = bench.call("Encrypt", &broken).unwrap_err();
    texts.extend([refused.to_string(), format!("{refused:?}")]);

    hunt(bench, &canaries, &texts);
}

/// A secret in an answer, in base64, by what it is.
type Secret = (&'static str, String);

/// Keeps a member of an answer as a secret.
fn keep(secrets: &mut Vec<Secret>, what: &'static str, answer: &Value, member: &str) {
    secrets.push((what, text(answer, member).to_owned()));
}

/// Signs and verifies with each kind of signing key; gives calls that will be refused.
fn sign_with_all(bench: &Bench, secrets: &mut Vec<Secret>) -> Vec<(&'static str, Value)> {
    let message = STANDARD.encode(PLAINTEXT);
    let mut refused = Vec::new();
    for (spec, algorithm) in [
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
        ("ML_DSA_44", "ML_DSA_SHAKE_256"),
    ] {
        let key = key_of(bench, spec, "SIGN_VERIFY");
        let sign = json!({"KeyId": key, "Message": message, "SigningAlgorithm": algorithm});
        let signed = call(bench, "Sign", &sign);
        keep(secrets, "signature", &signed, "Signature");
        let public_key = call(bench, "GetPublicKey", &json!({"KeyId": key}));
        keep(secrets, "public key", &public_key, "PublicKey");
        let verify = with(&sign, json!({"Signature": signed["Signature"]}));
        call(bench, "Verify", &verify);
        refused.push(("Verify", with(&verify, json!({"MessageType": "DIGEST"}))));
        refused.push(("Verify", with(&verify, json!({"DryRun": message}))));
        refused.push(("GenerateMac", sign));
    }
    refused
}

/// Makes everything else that is secret; gives calls that will be refused.
fn use_all_others(bench: &Bench, secrets: &mut Vec<Secret>) -> Vec<(&'static str, Value)> {
    let message = STANDARD.encode(PLAINTEXT);
    let hmac = key_of(bench, "HMAC_256", "GENERATE_VERIFY_MAC");
    let mac = json!({"KeyId": hmac, "Message": message, "MacAlgorithm": "HMAC_SHA_256"});
    keep(secrets, "MAC", &call(bench, "GenerateMac", &mac), "Mac");
    let agreement = key_of(bench, "ECC_NIST_P256", "KEY_AGREEMENT");
    let peer = call(bench, "GetPublicKey", &json!({"KeyId": agreement}))["PublicKey"].clone();
    let derive = json!({"KeyId": agreement, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer});
    let derived = call(bench, "DeriveSharedSecret", &derive);
    keep(secrets, "shared secret", &derived, "SharedSecret");
    let symmetric = bench.key();
    for spec in ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_EDWARDS25519"] {
        let input = json!({"KeyId": symmetric, "KeyPairSpec": spec});
        let pair = call(bench, "GenerateDataKeyPair", &input);
        keep(secrets, "private key", &pair, "PrivateKeyPlaintext");
        keep(secrets, "encrypted private key", &pair, "PrivateKeyCiphertextBlob");
    }
    let random = call(bench, "GenerateRandom", &json!({"NumberOfBytes": 32}));
    keep(secrets, "random bytes", &random, "Plaintext");
    let encrypted = call(bench, "Encrypt", &json!({"KeyId": symmetric, "Plaintext": message}));
    let input =
        json!({"CiphertextBlob": encrypted["CiphertextBlob"], "DestinationKeyId": symmetric});
    let moved = call(bench, "ReEncrypt", &input);
    keep(secrets, "ciphertext", &moved, "CiphertextBlob");
    vec![
        ("VerifyMac", with(&mac, json!({"Mac": message}))),
        ("DeriveSharedSecret", with(&derive, json!({"PublicKey": message}))),
    ]
}

/// What keys of the other kinds take and make, looked for like the secrets above.
#[test]
fn no_message_signature_mac_or_private_key_is_in_any_file_record_or_error() {
    let bench = Bench::new();
    let mut secrets = vec![("message", STANDARD.encode(PLAINTEXT))];
    let mut refused = sign_with_all(&bench, &mut secrets);
    refused.extend(use_all_others(&bench, &mut secrets));
    let texts = refused.into_iter().flat_map(|(operation, input)| {
        let refused = bench.call(operation, &input.to_string()).unwrap_err();
        [refused.to_string(), format!("{refused:?}"), refused.to_json()]
    });
    let texts = texts.collect::<Vec<_>>();
    let canaries = secrets.into_iter().map(|(what, secret)| {
        let secret = STANDARD.decode(secret).unwrap();
        // The heads of encodings are the same for all keys: what is unique is at the end.
        Canary::new(what, &secret[secret.len().saturating_sub(64)..])
    });
    hunt(bench, &canaries.collect::<Vec<_>>(), &texts);
}

#[cfg(unix)]
#[test]
fn sealed_files_lie_in_a_folder_that_only_its_owner_enters() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let mode = std::fs::metadata(bench.data().join("keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn with_real_randomness_nothing_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let root_key = RootKey::generate(&keytrail_kms::OsRandom);
    let (engine, _) =
        Engine::create(folder.path(), config(), root_key, Environment::system()).ok().unwrap();
    let root = engine.root_caller().unwrap();
    let key = engine.create_key(&root, &CreateKeyRequest::default()).unwrap().key_id;
    let blobs =
        [(); 2].map(|()| engine.encrypt(&root, &key, b"same", &[]).unwrap().ciphertext_blob);
    assert_ne!(blobs[0], blobs[1]);
    let year_2025 = 1_735_689_600;
    assert!(engine.describe_key(&root, &key).unwrap().creation_date.unix_seconds() > year_2025);
}
