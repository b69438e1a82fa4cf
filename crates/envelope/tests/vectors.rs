//! Messages that AWS's SDKs for Python and JavaScript wrote (`vectors/make.py`, `vectors/make.cjs`), two programs that share
//! nothing: every suite, frames and none, under a known wrapping key.
//!
//! The wrapping key is AWS's "raw AES keyring": it encrypts a data key with AES-256-GCM under the encryption context.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_envelope::{
    Commitment, DataKey, Demands, EncryptedDataKey, EncryptionContext, EnvelopeError, Release, open,
};
use serde_json::Value;
use zeroize::Zeroizing;

/// `provider info = name ‖ tag bits u32 ‖ nonce bytes u32 ‖ nonce`, `aad` = the pairs of the context, as the header has them.
fn unwrap(keys: &[EncryptedDataKey], context: &EncryptionContext) -> Result<DataKey, String> {
    // Neither provider nor name is looked at: that they were changed is for the header's tag to find.
    let [EncryptedDataKey { provider_info, ciphertext, .. }] = keys else {
        return Err("not one key".to_owned());
    };
    let nonce = provider_info.last_chunk::<12>().ok_or("no nonce")?;
    let pairs: Vec<_> = context.pairs().collect();
    let number = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
    let mut aad = if pairs.is_empty() { Vec::new() } else { number(pairs.len()).to_vec() };
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        aad.extend(number(text.len()));
        aad.extend(text.as_bytes());
    }
    let wrapping_key: Vec<u8> = (0..32).collect();
    let wrapping_key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &wrapping_key).unwrap());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let mut data_key = ciphertext.clone();
    let opened = wrapping_key.open_in_place(nonce, Aad::from(aad), &mut data_key);
    let opened = opened.map_err(|_| "the data key does not open")?;
    Ok(DataKey::new(Zeroizing::new(opened.to_vec())))
}

struct Vector {
    name: String,
    suite: u16,
    plaintext: Vec<u8>,
    context: Vec<(String, String)>,
    message: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let files = [
        ("Python", include_str!("vectors/python-sdk.json")),
        ("JavaScript", include_str!("vectors/javascript-sdk.json")),
    ];
    files.iter().flat_map(|(sdk, text)| read(sdk, text)).collect()
}

fn read(sdk: &str, text: &str) -> Vec<Vector> {
    let all: Value = serde_json::from_str(text).unwrap();
    let read = |vector: &Value| {
        let suite = vector["suite"].as_str().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let context = vector["context"].as_object().unwrap();
        Vector {
            name: format!(
                "{sdk}, {suite}, {} bytes in {}",
                vector["length"], vector["frame_length"]
            ),
            suite: u16::from_str_radix(suite.trim_start_matches("0x"), 16).unwrap(),
            plaintext: (0..=250)
                .cycle()
                .take(vector["length"].as_u64().unwrap().try_into().unwrap())
                .collect(),
            context: context.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
            message: STANDARD.decode(vector["message"].as_str().unwrap()).unwrap(),
        }
    };
    all.as_array().unwrap().iter().map(read).collect()
}

fn opened(message: &[u8], demands: &Demands) -> Result<(u16, Release, Vec<u8>), EnvelopeError> {
    let mut message = message;
    let opened = open(&mut message, demands, unwrap)?;
    let (suite, release) = (opened.suite().id(), opened.release());
    let mut plaintext = Vec::new();
    let contents = opened.write_to(&mut plaintext)?;
    assert_eq!(contents.plaintext_bytes, plaintext.len() as u64);
    Ok((suite, release, plaintext))
}

fn any_suite(context: Vec<(String, String)>) -> Demands {
    Demands { commitment: Commitment::Optional, context }
}

#[test]
fn every_message_of_awss_sdk_opens() {
    let vectors = vectors();
    for vector in &vectors {
        let (suite, release, plaintext) =
            opened(&vector.message, &any_suite(vector.context.clone()))
                .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!((suite, &plaintext), (vector.suite, &vector.plaintext), "{}", vector.name);
        let is_signed = [0x0214, 0x0346, 0x0378, 0x0578].contains(&suite);
        assert_eq!(release == Release::AtTheEnd, is_signed, "{}", vector.name);
    }
    let suites: BTreeSet<u16> = vectors.iter().map(|vector| vector.suite).collect();
    assert_eq!(suites.len(), 11, "{suites:x?}");
}

#[test]
fn messages_without_commitment_are_refused_unless_asked_for() {
    for vector in vectors() {
        let found = opened(&vector.message, &Demands::default());
        match vector.suite {
            0x0478 | 0x0578 => assert_eq!(found.unwrap().2, vector.plaintext),
            _ => assert!(
                matches!(found, Err(EnvelopeError::NotCommitted { suite }) if suite.id() == vector.suite),
                "{}",
                vector.name
            ),
        }
    }
}

/// The longest vectors of each kind: cut at each byte, each bit turned, and one byte more.
#[test]
fn no_message_that_was_changed_opens() {
    for vector in vectors().iter().filter(|vector| [40, 300].contains(&vector.plaintext.len())) {
        let demands = any_suite(Vec::new());
        let refused = |message: &[u8], how: String| {
            assert!(opened(message, &demands).is_err(), "{}: {how}", vector.name);
        };
        for end in 0..vector.message.len() {
            refused(&vector.message[..end], format!("cut at {end}"));
        }
        for byte in 0..vector.message.len() {
            // One bit of each byte: the SDK's own messages differ from ours in nothing that more bits would find.
            let mut turned = vector.message.clone();
            turned[byte] ^= 1 << (byte % 8);
            refused(&turned, format!("a bit of byte {byte} turned"));
        }
        refused(&[&vector.message[..], &[0]].concat(), "one byte more".to_owned());
    }
}
