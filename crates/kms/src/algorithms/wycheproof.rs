//! Every algorithm against [Wycheproof](https://github.com/C2SP/wycheproof)'s vectors: known answers, and the malformed,
//! forged and corner cases that other libraries got wrong.
//!
//! A vector is valid, invalid, or acceptable, which leaves the answer open. Some are about parameters that AWS does not have
//! (labels, contexts, truncated tags): they must be refused here or are left out, as said where it happens.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use keytrail_ledger::Random;
use serde_json::Value;
use wycheproof::{aead, ecdh, ecdsa, eddsa, mac, mldsa_sign, mldsa_verify};
use wycheproof::{rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};
use zeroize::Zeroizing;

use super::{
    EncryptionAlgorithm, KeySpec, MacAlgorithm, Message, MessageType, PublicKey, SecretKey,
    SigningAlgorithm, ec,
};

/// Runs all vectors of a file. `answer` says whether ours is the vector's answer, or nothing if the vector is about what is
/// not here. At least `at_least` vectors must have been run.
#[track_caller]
fn check(json: &str, at_least: usize, answer: impl Fn(&Value, &Value) -> Option<bool>) {
    let file: Value = serde_json::from_str(json).unwrap();
    let (mut run, mut wrong) = (0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let Some(answer) = answer(group, test) else { continue };
            run += 1;
            let expected = test["result"].as_str().unwrap();
            if expected != "acceptable" && answer != (expected == "valid") {
                wrong.push(format!("{}: {} {}", test["tcId"], expected, test["comment"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {run} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(run >= at_least, "{run} vectors");
}

/// A member in hexadecimal.
fn hex(of: &Value, member: &str) -> Vec<u8> {
    let digits = of[member].as_str().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Whether the vector's signature verifies, as `Verify` would do it, with the message as it is.
fn verifies(spec: KeySpec, algorithm: SigningAlgorithm, group: &Value, test: &Value) -> bool {
    let (spki, message, signature) =
        (hex(group, "publicKeyDer"), hex(test, "msg"), hex(test, "sig"));
    let key = PublicKey { spec, spki: &spki };
    let message = Message::new(MessageType::Raw, spec, algorithm, &message).ok().unwrap();
    key.verify(algorithm, &message, &signature)
}

#[test]
fn ecdsa_verifies_as_it_should() {
    use ecdsa::TestName as Name;
    for (name, spec, algorithm, at_least) in [
        (Name::EcdsaSecp256r1Sha256, KeySpec::P256, SigningAlgorithm::EcdsaSha256, 480),
        (Name::EcdsaSecp384r1Sha384, KeySpec::P384, SigningAlgorithm::EcdsaSha384, 500),
        (Name::EcdsaSecp521r1Sha512, KeySpec::P521, SigningAlgorithm::EcdsaSha512, 540),
        (Name::EcdsaSecp256k1Sha256, KeySpec::Secp256k1, SigningAlgorithm::EcdsaSha256, 470),
    ] {
        check(name.json_data(), at_least, |group, test| {
            Some(verifies(spec, algorithm, group, test))
        });
    }
}

#[test]
fn ed25519_verifies_as_it_should() {
    check(eddsa::TestName::Ed25519.json_data(), 150, |group, test| {
        Some(verifies(KeySpec::Ed25519, SigningAlgorithm::Ed25519, group, test))
    });
}

#[test]
fn rsa_pkcs1_verifies_as_it_should() {
    use SigningAlgorithm::{Pkcs1Sha256, Pkcs1Sha384, Pkcs1Sha512};
    use rsa_pkcs1_verify::TestName as Name;
    for (name, spec, algorithm) in [
        (Name::Rsa2048Sha256, KeySpec::Rsa2048, Pkcs1Sha256),
        (Name::Rsa2048Sha384, KeySpec::Rsa2048, Pkcs1Sha384),
        (Name::Rsa2048Sha512, KeySpec::Rsa2048, Pkcs1Sha512),
        (Name::Rsa3072Sha256, KeySpec::Rsa3072, Pkcs1Sha256),
        (Name::Rsa3072Sha384, KeySpec::Rsa3072, Pkcs1Sha384),
        (Name::Rsa3072Sha512, KeySpec::Rsa3072, Pkcs1Sha512),
        (Name::Rsa4096Sha256, KeySpec::Rsa4096, Pkcs1Sha256),
        (Name::Rsa4096Sha384, KeySpec::Rsa4096, Pkcs1Sha384),
        (Name::Rsa4096Sha512, KeySpec::Rsa4096, Pkcs1Sha512),
    ] {
        check(name.json_data(), 250, |group, test| Some(verifies(spec, algorithm, group, test)));
    }
}

/// The salt is as long as the hash; files with other salts hold nothing that may verify here.
#[test]
fn rsa_pss_verifies_as_it_should() {
    use SigningAlgorithm::{PssSha256, PssSha384, PssSha512};
    use rsa_pss_verify::TestName as Name;
    for (name, spec, algorithm) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, KeySpec::Rsa2048, PssSha256),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, KeySpec::Rsa2048, PssSha384),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, KeySpec::Rsa3072, PssSha256),
        (Name::RsaPss4096Sha256Mgf1SaltLen32, KeySpec::Rsa4096, PssSha256),
        (Name::RsaPss4096Sha384Mgf1SaltLen48, KeySpec::Rsa4096, PssSha384),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, KeySpec::Rsa4096, PssSha512),
    ] {
        check(name.json_data(), 100, |group, test| Some(verifies(spec, algorithm, group, test)));
    }
    for (name, spec, algorithm) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen0, KeySpec::Rsa2048, PssSha256),
        (Name::RsaPss2048Sha256Mgf1Sha1_20, KeySpec::Rsa2048, PssSha256),
        (Name::RsaPss4096Sha512Mgf1SaltLen32, KeySpec::Rsa4096, PssSha512),
    ] {
        // Each has a few about the salt's length itself, so what is valid is asked for, not the rest.
        check(name.json_data(), 1, |group, test| {
            (test["result"] == "valid").then(|| !verifies(spec, algorithm, group, test))
        });
    }
}

/// Signs nothing at random: FIPS 204's deterministic variant, which has known answers.
struct Zeros;

impl Random for Zeros {
    fn fill(&self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

#[test]
fn ml_dsa_verifies_as_it_should() {
    use mldsa_verify::TestName as Name;
    for (name, spec, at_least) in [
        (Name::MlDsa44Verify, KeySpec::MlDsa44, 150),
        (Name::MlDsa65Verify, KeySpec::MlDsa65, 150),
        (Name::MlDsa87Verify, KeySpec::MlDsa87, 150),
    ] {
        check(name.json_data(), at_least, |group, test| {
            // AWS has no contexts, so one that is not empty belongs to another message.
            let context = !hex(test, "ctx").is_empty() && test["result"] == "valid";
            (!context).then(|| verifies(spec, SigningAlgorithm::MlDsa, group, test))
        });
    }
}

/// A twelfth of the vectors: many are about signatures that take the library hundreds of attempts, which is what the library's
/// own tests are for.
#[test]
fn ml_dsa_signs_messages_and_mu_with_the_known_answers() {
    use mldsa_sign::TestName as Name;
    let algorithm = SigningAlgorithm::MlDsa;
    for (name, spec) in [
        (Name::MlDsa44SignSeed, KeySpec::MlDsa44),
        (Name::MlDsa65SignSeed, KeySpec::MlDsa65),
        (Name::MlDsa87SignSeed, KeySpec::MlDsa87),
    ] {
        check(name.json_data(), 5, |group, test| {
            if test["tcId"].as_u64().unwrap() % 12 != 1 {
                return None;
            }
            if !hex(test, "ctx").is_empty() || test.get("rnd").is_some() {
                return None;
            }
            let seed = Zeroizing::new(hex(group, "privateSeed"));
            let key = SecretKey::from_bytes(spec, seed);
            let (message, mu) = (hex(test, "msg"), hex(test, "mu"));
            let signed = |kind, bytes: &[u8]| {
                let message = Message::new(kind, spec, algorithm, bytes).ok()?;
                key.sign(algorithm, &message, &Zeros).ok()
            };
            let by_mu = signed(MessageType::ExternalMu, &mu);
            let by_message = signed(MessageType::Raw, &message);
            let expected = Some(hex(test, "sig"));
            let has = |member: &str| test.get(member).is_some();
            Some(
                (!has("mu") || by_mu == expected)
                    && (!has("msg") || by_message == expected)
                    && (has("mu") || has("msg")),
            )
        });
    }
}

#[test]
fn hmac_verifies_whole_tags_only() {
    use mac::TestName as Name;
    for (name, spec, algorithm, at_least) in [
        (Name::HmacSha224, KeySpec::Hmac224, MacAlgorithm::HmacSha224, 170),
        (Name::HmacSha256, KeySpec::Hmac256, MacAlgorithm::HmacSha256, 170),
        (Name::HmacSha384, KeySpec::Hmac384, MacAlgorithm::HmacSha384, 170),
        (Name::HmacSha512, KeySpec::Hmac512, MacAlgorithm::HmacSha512, 170),
    ] {
        check(name.json_data(), at_least, |group, test| {
            let key = SecretKey::from_bytes(spec, Zeroizing::new(hex(test, "key")));
            let (message, tag) = (hex(test, "msg"), hex(test, "tag"));
            let verified = key.verify_mac(algorithm, &message, &tag);
            let whole = key.generate_mac(algorithm, &message);
            if tag.len() == whole.len() {
                return Some(verified && whole == tag);
            }
            // A truncated tag is none, even where its beginning is right.
            assert!(!verified && group["tagSize"].as_u64().unwrap() < whole.len() as u64 * 8);
            Some(whole.starts_with(&tag))
        });
    }
}

#[test]
fn oaep_decrypts_as_it_should() {
    use EncryptionAlgorithm::{OaepSha1, OaepSha256};
    use rsa_oaep::TestName as Name;
    for (name, spec, algorithm) in [
        (Name::Rsa2048Sha1Mgf1Sha1, KeySpec::Rsa2048, OaepSha1),
        (Name::Rsa2048Sha256Mgf1Sha256, KeySpec::Rsa2048, OaepSha256),
        (Name::Rsa3072Sha256Mgf1Sha256, KeySpec::Rsa3072, OaepSha256),
        (Name::Rsa4096Sha256Mgf1Sha256, KeySpec::Rsa4096, OaepSha256),
    ] {
        check(name.json_data(), 25, |group, test| {
            let pkcs8 = Zeroizing::new(hex(group, "privateKeyPkcs8"));
            let key = SecretKey::from_bytes(spec, pkcs8);
            let plaintext = key.decrypt(algorithm, &hex(test, "ct"));
            let opened = plaintext.is_some_and(|plaintext| *plaintext == hex(test, "msg"));
            if hex(test, "label").is_empty() {
                return Some(opened);
            }
            // AWS has no labels: a ciphertext with one does not open.
            assert!(!opened, "{test}");
            None
        });
    }
}

#[test]
fn ecdh_agrees_on_the_known_secrets_and_refuses_bad_points() {
    use ecdh::TestName as Name;
    for (name, spec, at_least) in [
        (Name::EcdhSecp256r1, KeySpec::P256, 500),
        (Name::EcdhSecp384r1, KeySpec::P384, 900),
        (Name::EcdhSecp521r1, KeySpec::P521, 800),
    ] {
        check(name.json_data(), at_least, |_, test| {
            let pkcs8 = ec::pkcs8_of_scalar(spec, &hex(test, "private"))?;
            let shared = SecretKey::from_bytes(spec, pkcs8).agree(&hex(test, "public"));
            Some(shared.is_ok_and(|shared| *shared == hex(test, "shared")))
        });
    }
}

/// The cipher of the ciphertext blob, with its nonces and tags.
#[test]
fn aes_256_gcm_opens_as_it_should() {
    check(aead::TestName::AesGcm.json_data(), 60, |group, test| {
        let size = |member: &str| group[member].as_u64().unwrap();
        if (size("keySize"), size("ivSize"), size("tagSize")) != (256, 96, 128) {
            return None;
        }
        let key = Aes256Gcm::new_from_slice(&hex(test, "key")).unwrap();
        let nonce = <[u8; 12]>::try_from(hex(test, "iv")).unwrap();
        let sealed = [hex(test, "ct"), hex(test, "tag")].concat();
        let opened = key.decrypt(&nonce.into(), Payload { msg: &sealed, aad: &hex(test, "aad") });
        Some(opened.is_ok_and(|plaintext| plaintext == hex(test, "msg")))
    });
}
