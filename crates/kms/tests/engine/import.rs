//! Imported material: in by every way of wrapping, gone by hand or by date, back only as the same bytes.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_kms::Caller;
use serde_json::{Value, json};

use crate::support::{Bench, DAY_NS, HELLO, arn, call, check_refused, text};

const START: u64 = 1_747_806_465;
const DAY: u64 = 86_400;

/// Wraps material as a client does.
fn wrap(algorithm: &str, public_key: &[u8], material: &[u8]) -> Vec<u8> {
    let key = PublicEncryptingKey::from_der(public_key).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let oaep =
        if algorithm.ends_with("SHA_1") { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 };
    let under_rsa = |plaintext: &[u8]| {
        let mut out = vec![0; key.ciphertext_size()];
        key.encrypt(oaep, plaintext, &mut out, None).unwrap().to_vec()
    };
    if algorithm.starts_with("RSAES") {
        return under_rsa(material);
    }
    let (aes_key, mut out) = ([7; 32], vec![0; material.len() + 16]);
    let wrapped = AesKek::new(&AES_256, &aes_key).unwrap();
    let wrapped = wrapped.wrap_with_padding(material, &mut out).unwrap().to_vec();
    [under_rsa(&aes_key), wrapped].concat()
}

/// A public key with its token, for as many imports as one likes.
#[derive(Clone)]
pub(crate) struct Parameters {
    key: String,
    algorithm: &'static str,
    token: String,
    public_key: Vec<u8>,
}

impl Parameters {
    pub(crate) fn new(bench: &Bench, key: &str) -> Self {
        Self::with(bench, key, "RSAES_OAEP_SHA_256", "RSA_2048")
    }

    /// For a key in the Region of this caller.
    pub(crate) fn to(bench: &Bench, caller: &Caller, key: &str) -> Self {
        Self::made(bench, caller, key, "RSAES_OAEP_SHA_256", "RSA_2048")
    }

    fn with(bench: &Bench, key: &str, algorithm: &'static str, spec: &str) -> Self {
        Self::made(bench, &bench.root(), key, algorithm, spec)
    }

    fn made(
        bench: &Bench,
        caller: &Caller,
        key: &str,
        algorithm: &'static str,
        spec: &str,
    ) -> Self {
        let input = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        let input = input.to_string();
        let answer = bench.call_as(caller, "GetParametersForImport", &input).unwrap();
        assert_eq!(answer["KeyId"], arn(key).replace("us-east-1", caller.region().as_str()));
        Self {
            key: key.to_owned(),
            algorithm,
            token: text(&answer, "ImportToken").to_owned(),
            public_key: STANDARD.decode(text(&answer, "PublicKey")).unwrap(),
        }
    }

    /// A request that imports material for good.
    pub(crate) fn request(&self, material: &[u8]) -> Value {
        let wrapped = wrap(self.algorithm, &self.public_key, material);
        json!({"KeyId": self.key, "ImportToken": self.token, "EncryptedKeyMaterial": STANDARD.encode(wrapped),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
    }

    fn expiring(&self, material: &[u8], days: u64) -> Value {
        let mut request = self.request(material);
        request["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
        request["ValidTo"] = json!(START + days * DAY);
        request
    }

    pub(crate) fn new_one(&self, material: &[u8]) -> Value {
        let mut request = self.request(material);
        request["ImportType"] = json!("NEW_KEY_MATERIAL");
        request
    }
}

pub(crate) fn external_key(bench: &Bench) -> String {
    let created = call(bench, "CreateKey", &json!({"Origin": "EXTERNAL"}));
    text(&created["KeyMetadata"], "KeyId").to_owned()
}

fn metadata(bench: &Bench, key: &str) -> Value {
    call(bench, "DescribeKey", &json!({"KeyId": key}))["KeyMetadata"].clone()
}

fn encrypt(bench: &Bench, key: &str) -> Value {
    call(bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}))["CiphertextBlob"].clone()
}

fn opens_with(bench: &Bench, blob: &Value) -> String {
    let opened = call(bench, "Decrypt", &json!({"CiphertextBlob": blob}));
    assert_eq!(opened["Plaintext"], HELLO);
    text(&opened, "KeyMaterialId").to_owned()
}

fn pending_import(key: &str) -> String {
    format!("KMSInvalidStateException: {} is pending import.", arn(key))
}

#[test]
fn material_comes_in_by_every_way_of_wrapping() {
    let bench = Bench::new();
    let algorithms = [
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
        "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256",
    ];
    let mut ways = algorithms.map(|algorithm| (algorithm, "RSA_2048")).to_vec();
    ways.extend([("RSAES_OAEP_SHA_256", "RSA_4096"), ("RSA_AES_KEY_WRAP_SHA_256", "RSA_3072")]);
    for (algorithm, spec) in ways {
        let key = external_key(&bench);
        let parameters = Parameters::with(&bench, &key, algorithm, spec);
        let imported = call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
        let id = text(&imported, "KeyMaterialId");
        assert_eq!(imported["KeyId"], arn(&key));
        assert_eq!(opens_with(&bench, &encrypt(&bench, &key)), id, "{algorithm} {spec}");
    }
    let key = external_key(&bench);
    for (algorithm, spec, refused) in [
        (
            "RSAES_PKCS1_V1_5",
            "RSA_2048",
            "UnsupportedOperationException: WrappingAlgorithm RSAES_PKCS1_V1_5 is not supported.",
        ),
        (
            "SM2PKE",
            "SM2",
            "UnsupportedOperationException: SM2 is not supported: it exists in the China Regions only.",
        ),
    ] {
        let input = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        check_refused(&bench, "GetParametersForImport", &input, refused);
    }
}

#[test]
fn a_key_for_import_is_of_no_use_until_its_material_is_there() {
    let bench = Bench::new();
    let key = external_key(&bench);
    let named = json!({"KeyId": key});
    let before = metadata(&bench, &key);
    assert_eq!((&before["KeyState"], &before["Enabled"]), (&json!("PendingImport"), &json!(false)));
    assert_eq!(before["Origin"], "EXTERNAL");
    for absent in ["CurrentKeyMaterialId", "ExpirationModel", "ValidTo"] {
        assert!(before.get(absent).is_none(), "{absent}");
    }
    let pending = pending_import(&key);
    for operation in ["EnableKey", "DisableKey", "RotateKeyOnDemand"] {
        check_refused(&bench, operation, &named, &pending);
    }
    check_refused(&bench, "Encrypt", &json!({"KeyId": key, "Plaintext": HELLO}), &pending);
    call(&bench, "TagResource", &json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}));
    let nothing = call(&bench, "DeleteImportedKeyMaterial", &named);
    assert_eq!(nothing, json!({"KeyId": arn(&key)}));

    let parameters = Parameters::new(&bench, &key);
    call(&bench, "ImportKeyMaterial", &parameters.expiring(&[1; 32], 30));
    let after = metadata(&bench, &key);
    assert_eq!((&after["KeyState"], &after["Enabled"]), (&json!("Enabled"), &json!(true)));
    assert_eq!(after["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
    #[expect(clippy::cast_precision_loss, reason = "ten digits")]
    let date = (START + 30 * DAY) as f64;
    assert_eq!(after["ValidTo"], date);
    assert_eq!(text(&after, "CurrentKeyMaterialId").len(), 64);
    call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    let lasting = metadata(&bench, &key);
    assert_eq!(lasting["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    assert!(lasting.get("ValidTo").is_none());
}

#[test]
fn deleted_material_comes_back_as_the_same_bytes_only() {
    let bench = Bench::new();
    let key = external_key(&bench);
    let parameters = Parameters::new(&bench, &key);
    let id =
        call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]))["KeyMaterialId"].clone();
    let blob = encrypt(&bench, &key);
    let deleted = call(&bench, "DeleteImportedKeyMaterial", &json!({"KeyId": key}));
    assert_eq!(deleted, json!({"KeyId": arn(&key), "KeyMaterialId": id}));
    let decrypt = json!({"CiphertextBlob": blob});
    check_refused(&bench, "Decrypt", &decrypt, &pending_import(&key));
    let other = "IncorrectKeyMaterialException: The key material is not one that was imported into this key before.";
    check_refused(&bench, "ImportKeyMaterial", &parameters.request(&[2; 32]), other);
    let mut named = parameters.request(&[2; 32]);
    named["KeyMaterialId"] = id.clone();
    let named_other =
        "IncorrectKeyMaterialException: The key material is not the one that KeyMaterialId names.";
    check_refused(&bench, "ImportKeyMaterial", &named, named_other);
    let unknown = json!({"KeyId": key, "KeyMaterialId": "0".repeat(64)});
    let absent = format!("NotFoundException: The key {} has no such key material.", arn(&key));
    check_refused(&bench, "DeleteImportedKeyMaterial", &unknown, &absent);
    let again = call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    assert_eq!(again["KeyMaterialId"], id);
    assert_eq!(json!(opens_with(&bench, &blob)), id);
    // The same bytes in another key are another material.
    let second = external_key(&bench);
    let parameters = Parameters::new(&bench, &second);
    let imported = call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    assert_ne!(imported["KeyMaterialId"], id);
}

#[test]
fn material_expires_on_its_day_even_while_nobody_looks() {
    let mut bench = Bench::new();
    let key = external_key(&bench);
    let parameters = Parameters::new(&bench, &key);
    call(&bench, "ImportKeyMaterial", &parameters.expiring(&[1; 32], 1));
    let blob = encrypt(&bench, &key);
    bench.advance(DAY_NS - 1);
    opens_with(&bench, &blob);
    bench.reopen(|bench| bench.advance(1));
    check_refused(&bench, "Decrypt", &json!({"CiphertextBlob": blob}), &pending_import(&key));
    let events = bench.records();
    let expired = events.iter().filter(|record| record["eventName"] == "DeleteExpiredKeyMaterial");
    assert_eq!(expired.count(), 1);
    // The token of yesterday is too old, a new one is not.
    check_refused(
        &bench,
        "ImportKeyMaterial",
        &parameters.request(&[1; 32]),
        "ExpiredImportTokenException",
    );
    let parameters = Parameters::new(&bench, &key);
    call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    opens_with(&bench, &blob);
    bench.advance(400 * DAY_NS);
    opens_with(&bench, &blob);
}

#[test]
fn further_material_waits_for_its_rotation_and_the_old_one_goes_on_opening() {
    let mut bench = Bench::new();
    let key = external_key(&bench);
    let named = json!({"KeyId": key});
    let parameters = Parameters::new(&bench, &key);
    let import = |bench: &Bench, request: Value| {
        call(bench, "ImportKeyMaterial", &request)["KeyMaterialId"].clone()
    };
    let first = import(&bench, parameters.request(&[1; 32]));
    let old = encrypt(&bench, &key);
    let nothing = format!(
        "KMSInvalidStateException: No available key material pending rotation for the key: {}.",
        arn(&key)
    );
    check_refused(&bench, "RotateKeyOnDemand", &named, &nothing);
    let before =
        "IncorrectKeyMaterialException: The key material was imported into this key before.";
    check_refused(&bench, "ImportKeyMaterial", &parameters.new_one(&[1; 32]), before);
    let mut request = parameters.new_one(&[2; 32]);
    request["KeyMaterialDescription"] = json!("summer 2025");
    let second = import(&bench, request);
    assert_eq!(json!(opens_with(&bench, &encrypt(&bench, &key))), first);
    let third = parameters.new_one(&[3; 32]);
    let refused = bench.call("ImportKeyMaterial", &third.to_string()).unwrap_err().to_string();
    let waiting = format!(
        "because another key material (id: {}) is pending rotation.",
        second.as_str().unwrap()
    );
    assert!(refused.starts_with("KMSInvalidStateException: New key material (id: "), "{refused}");
    assert!(refused.ends_with(&waiting), "{refused}");

    call(&bench, "RotateKeyOnDemand", &named);
    bench.reopen(|bench| std::fs::remove_file(bench.snapshot_file()).unwrap());
    assert_eq!(json!(opens_with(&bench, &encrypt(&bench, &key))), second);
    assert_eq!(json!(opens_with(&bench, &old)), first);
    // Without the old one the key is of no use, although it encrypts with the new one.
    let delete = json!({"KeyId": key, "KeyMaterialId": first});
    call(&bench, "DeleteImportedKeyMaterial", &delete);
    let input = json!({"KeyId": key, "Plaintext": HELLO});
    check_refused(&bench, "Encrypt", &input, &pending_import(&key));
    import(&bench, parameters.new_one(&[3; 32]));
    let all = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let listed = call(&bench, "ListKeyRotations", &all)["Rotations"].clone();
    let told = |place: usize| {
        let entry = &listed[place];
        [&entry["KeyMaterialState"], &entry["ImportState"]].map(|state| state.as_str().unwrap())
    };
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(told(0), ["NON_CURRENT", "PENDING_IMPORT"]);
    assert_eq!(told(1), ["CURRENT", "IMPORTED"]);
    assert_eq!(told(2), ["PENDING_ROTATION", "IMPORTED"]);
    assert_eq!(listed[1]["KeyMaterialDescription"], "summer 2025");
    assert_eq!(listed[1]["RotationType"], "ON_DEMAND");
    import(&bench, parameters.request(&[1; 32]));
    assert_eq!(json!(opens_with(&bench, &old)), first);
    // One that only waited leaves no place behind.
    let waiting = json!({"KeyId": key, "KeyMaterialId": listed[2]["KeyMaterialId"]});
    call(&bench, "DeleteImportedKeyMaterial", &waiting);
    assert_eq!(call(&bench, "ListKeyRotations", &all)["Rotations"].as_array().unwrap().len(), 2);
    assert_eq!(metadata(&bench, &key)["KeyState"], "Enabled");
}

#[test]
fn a_token_is_for_its_key_its_wrapping_and_its_day() {
    let mut bench = Bench::new();
    let [key, other] = [external_key(&bench), external_key(&bench)];
    let parameters = Parameters::new(&bench, &key);
    let good = parameters.request(&[1; 32]);
    let spoiled = |member: &str, value: Value| {
        let mut request = good.clone();
        request[member] = value;
        request
    };
    let refused = |bench: &Bench, request: &Value, code: &str| {
        check_refused(bench, "ImportKeyMaterial", request, code);
    };
    refused(&bench, &spoiled("KeyId", json!(other)), "InvalidImportTokenException");
    refused(&bench, &spoiled("ImportToken", json!(HELLO)), "InvalidImportTokenException");
    let token = STANDARD.decode(&parameters.token).unwrap();
    for bit in (0..token.len() * 8).step_by(97) {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let request = spoiled("ImportToken", json!(STANDARD.encode(flipped)));
        refused(&bench, &request, "InvalidImportTokenException");
    }
    let wrapped = wrap("RSAES_OAEP_SHA_1", &parameters.public_key, &[1; 32]);
    let request = spoiled("EncryptedKeyMaterial", json!(STANDARD.encode(wrapped)));
    refused(&bench, &request, "InvalidCiphertextException");
    refused(&bench, &spoiled("EncryptedKeyMaterial", json!(HELLO)), "InvalidCiphertextException");
    let invalid = "IncorrectKeyMaterialException: The key material is not valid for key spec SYMMETRIC_DEFAULT.";
    for length in [16, 31, 33] {
        refused(&bench, &parameters.request(&vec![1; length]), invalid);
    }
    bench.reopen(|bench| bench.advance(DAY_NS - 1));
    call(&bench, "ImportKeyMaterial", &good);
    bench.advance(1);
    refused(&bench, &good, "ExpiredImportTokenException");
}

#[test]
fn an_expiry_has_to_be_said_and_near() {
    let bench = Bench::new();
    let key = external_key(&bench);
    let parameters = Parameters::new(&bench, &key);
    let with = |model: Option<&str>, valid_to: Option<u64>| {
        let mut request = parameters.request(&[1; 32]);
        let members = request.as_object_mut().unwrap();
        members.remove("ExpirationModel");
        members.extend(model.map(|model| ("ExpirationModel".to_owned(), json!(model))));
        members.extend(valid_to.map(|date| ("ValidTo".to_owned(), json!(date))));
        request
    };
    let must = "ValidationException: A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES";
    check_refused(&bench, "ImportKeyMaterial", &with(None, None), must);
    check_refused(&bench, "ImportKeyMaterial", &with(Some("KEY_MATERIAL_EXPIRES"), None), must);
    let both = with(Some("KEY_MATERIAL_DOES_NOT_EXPIRE"), Some(START + DAY));
    let must_not = "ValidationException: A validTo date must not be set if the ExpirationModel is \
                    KEY_MATERIAL_DOES_NOT_EXPIRE";
    check_refused(&bench, "ImportKeyMaterial", &both, must_not);
    let past = "ValidationException: The validTo date must be in the future";
    check_refused(&bench, "ImportKeyMaterial", &with(None, Some(START)), past);
    let far = "ValidationException: The validTo date must be at most 365 days ahead";
    check_refused(&bench, "ImportKeyMaterial", &with(None, Some(START + 366 * DAY)), far);
    call(&bench, "ImportKeyMaterial", &with(None, Some(START + 365 * DAY)));
    let mut both = parameters.new_one(&[2; 32]);
    both["KeyMaterialId"] = json!("0".repeat(64));
    let named =
        "ValidationException: You cannot specify KeyMaterialId if ImportType is NEW_KEY_MATERIAL";
    check_refused(&bench, "ImportKeyMaterial", &both, named);
}

#[test]
fn each_origin_has_its_own_operations() {
    let bench = Bench::new();
    let [own, external] = [bench.key(), external_key(&bench)];
    let parameters = Parameters::new(&bench, &external);
    let not = |key: &str, origin: &str| {
        format!(
            "UnsupportedOperationException: {} origin is {origin} which is not valid for this operation.",
            arn(key)
        )
    };
    let mut import = parameters.request(&[1; 32]);
    import["KeyId"] = json!(own);
    let wrapping = json!({"KeyId": own, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    for (operation, input) in [
        ("GetParametersForImport", &wrapping),
        ("ImportKeyMaterial", &import),
        ("DeleteImportedKeyMaterial", &json!({"KeyId": own})),
    ] {
        check_refused(&bench, operation, input, &not(&own, "AWS_KMS"));
    }
    call(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]));
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus"] {
        check_refused(&bench, operation, &json!({"KeyId": external}), &not(&external, "EXTERNAL"));
    }
    call(&bench, "ScheduleKeyDeletion", &json!({"KeyId": external}));
    let pending = format!("KMSInvalidStateException: {} is pending deletion.", arn(&external));
    check_refused(&bench, "ImportKeyMaterial", &parameters.request(&[1; 32]), &pending);
    // The state stays, and what it goes back to misses its material.
    call(&bench, "DeleteImportedKeyMaterial", &json!({"KeyId": external}));
    assert_eq!(metadata(&bench, &external)["KeyState"], "PendingDeletion");
    call(&bench, "CancelKeyDeletion", &json!({"KeyId": external}));
    assert_eq!(metadata(&bench, &external)["KeyState"], "PendingImport");
}

/// A key of this spec with this material.
fn imported(bench: &Bench, spec: &str, usage: &str, material: &[u8]) -> String {
    let input = json!({"Origin": "EXTERNAL", "KeySpec": spec, "KeyUsage": usage});
    let created = call(bench, "CreateKey", &input);
    let key = text(&created["KeyMetadata"], "KeyId").to_owned();
    let parameters = Parameters::with(bench, &key, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048");
    call(bench, "ImportKeyMaterial", &parameters.request(material));
    key
}

#[test]
fn keys_that_are_not_symmetric_get_the_key_that_is_imported() {
    let bench = Bench::new();
    // RFC 4231, test case 6, has a longer key than AWS takes; so a key of our own, and HMAC by its definition elsewhere.
    let key = imported(&bench, "HMAC_256", "GENERATE_VERIFY_MAC", &[0x0b; 32]);
    let mac = json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
    let expected = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[0x0b; 32]);
    let expected = aws_lc_rs::hmac::sign(&expected, b"hello");
    assert_eq!(call(&bench, "GenerateMac", &mac)["Mac"], STANDARD.encode(expected));

    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let key = imported(&bench, "RSA_2048", "ENCRYPT_DECRYPT", pkcs8.as_ref());
    let shown = call(&bench, "GetPublicKey", &json!({"KeyId": key}));
    let spki = STANDARD.decode(text(&shown, "PublicKey")).unwrap();
    let blob = STANDARD.encode(wrap("RSAES_OAEP_SHA_256", &spki, b"hello"));
    let input =
        json!({"KeyId": key, "CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    assert_eq!(call(&bench, "Decrypt", &input)["Plaintext"], HELLO);

    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let key = imported(&bench, "ECC_NIST_P256", "SIGN_VERIFY", pkcs8.as_ref());
    let sign = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let signature = STANDARD.decode(text(&call(&bench, "Sign", &sign), "Signature")).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let public = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    let verifier = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        public,
    );
    verifier.verify(b"hello", &signature).unwrap();

    // One material for life: neither another one nor a rotation.
    let parameters = Parameters::with(&bench, &key, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048");
    let other = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let refused = "IncorrectKeyMaterialException: The key material is not one that was imported into this key before.";
    check_refused(&bench, "ImportKeyMaterial", &parameters.request(other.as_ref()), refused);
    let symmetric_only = format!(
        "UnsupportedOperationException: ImportType is not valid for {}: it is not a symmetric key.",
        arn(&key)
    );
    check_refused(
        &bench,
        "ImportKeyMaterial",
        &parameters.new_one(other.as_ref()),
        &symmetric_only,
    );
    check_refused(
        &bench,
        "RotateKeyOnDemand",
        &json!({"KeyId": key}),
        "UnsupportedOperationException",
    );
    call(&bench, "DeleteImportedKeyMaterial", &json!({"KeyId": key}));
    check_refused(&bench, "Sign", &sign, &pending_import(&key));
    call(&bench, "ImportKeyMaterial", &parameters.request(pkcs8.as_ref()));
    call(&bench, "Sign", &sign);
}

#[test]
fn keys_that_are_seeds_are_taken_out_of_their_wrapping() {
    let bench = Bench::new();
    let symmetric = bench.key();
    let input = json!({"KeyId": symmetric, "KeyPairSpec": "ECC_NIST_EDWARDS25519"});
    let pair = call(&bench, "GenerateDataKeyPair", &input);
    let pkcs8 = STANDARD.decode(text(&pair, "PrivateKeyPlaintext")).unwrap();
    let key = imported(&bench, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY", &pkcs8);
    let shown = call(&bench, "GetPublicKey", &json!({"KeyId": key}));
    assert_eq!(shown["PublicKey"], pair["PublicKey"]);

    // RFC 9881: 2.16.840.1.101.3.4.3.18 is ML-DSA-65, and [0] holds the seed.
    let head = [
        0x30, 0x34, 2, 1, 0, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18, 4, 0x22,
        0x80, 0x20,
    ];
    let key = imported(&bench, "ML_DSA_65", "SIGN_VERIFY", &[&head[..], &[5; 32]].concat());
    let mut message =
        json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": "ML_DSA_SHAKE_256"});
    message["Signature"] = call(&bench, "Sign", &message)["Signature"].clone();
    call(&bench, "Verify", &message);
    let spki =
        STANDARD.decode(text(&call(&bench, "GetPublicKey", &json!({"KeyId": key})), "PublicKey"));
    let expected = ml_dsa::SigningKey::<ml_dsa::MlDsa65>::from_seed(&[5; 32].into());
    let expected = ml_dsa::Keypair::verifying_key(&expected).encode();
    assert!(spki.unwrap().ends_with(&expected));
}

#[test]
fn material_of_another_kind_is_refused() {
    let bench = Bench::new();
    for (spec, usage, material) in [
        ("HMAC_512", "GENERATE_VERIFY_MAC", vec![1; 63]),
        ("HMAC_512", "GENERATE_VERIFY_MAC", vec![1; 129]),
        ("RSA_2048", "SIGN_VERIFY", vec![1; 64]),
        ("ECC_NIST_P256", "SIGN_VERIFY", vec![1; 32]),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", vec![1; 32]),
        ("ML_DSA_65", "SIGN_VERIFY", vec![1; 32]),
    ] {
        let input = json!({"Origin": "EXTERNAL", "KeySpec": spec, "KeyUsage": usage});
        let created = call(&bench, "CreateKey", &input);
        let key = text(&created["KeyMetadata"], "KeyId");
        let parameters = Parameters::with(&bench, key, "RSA_AES_KEY_WRAP_SHA_1", "RSA_2048");
        let refused = format!(
            "IncorrectKeyMaterialException: The key material is not valid for key spec {spec}."
        );
        check_refused(&bench, "ImportKeyMaterial", &parameters.request(&material), &refused);
    }
}
