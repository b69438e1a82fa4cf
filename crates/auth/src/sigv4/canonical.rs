//! What is signed, and with what: canonical request, string to sign, signing key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::authorization::Authorization;
use super::date::SigningTime;
use super::verify::SignedRequest;
use super::{ALGORITHM, TERMINATOR};
use crate::SecretAccessKey;

/// The canonical request: method, path, query, signed headers, their names, hash of the body.
///
/// A signed header that is not there counts as empty, as with AWS; `verify` makes sure that the ones that matter are.
pub(super) fn request(request: &SignedRequest<'_>, signed_headers: &[&str]) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(request.method.as_bytes());
    text.extend_from_slice(b"\n/\n\n");
    for name in signed_headers {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        for (position, value) in request.values(name).enumerate() {
            if position > 0 {
                text.push(b',');
            }
            push_folded(&mut text, value);
        }
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(signed_headers.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(hex(&Sha256::digest(request.body).into()).as_bytes());
    text
}

/// The value without spaces at its ends, and with one space where there are several. Tabs at the ends do not come this
/// far: HTTP does not count them to the value.
fn push_folded(text: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    for (position, word) in words.enumerate() {
        if position > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

/// The string to sign.
pub(super) fn string_to_sign(
    time: &SigningTime,
    scope: &Authorization<'_>,
    canonical_request: &[u8],
) -> String {
    format!(
        "{ALGORITHM}\n{}\n{}/{}/{}/{TERMINATOR}\n{}",
        time.as_str(),
        scope.date,
        scope.region,
        scope.service,
        hex(&Sha256::digest(canonical_request).into())
    )
}

/// The key for one day, Region and service. It opens nothing else, and yet is wiped like the secret it comes from.
pub(super) struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    pub(super) fn derive(
        secret: &SecretAccessKey,
        date: &str,
        region: &str,
        service: &str,
    ) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.expose().len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.expose().as_bytes());
        let mut key = hmac(&first, date);
        for part in [region, service, TERMINATOR] {
            key = hmac(&*key, part);
        }
        Self(key)
    }

    /// The signature of the text.
    pub(super) fn sign(&self, string_to_sign: &str) -> String {
        hex(&hmac(&*self.0, string_to_sign))
    }

    /// Whether this is the signature of the text. Takes the same time wherever the first difference is.
    pub(super) fn verifies(&self, string_to_sign: &str, signature: &str) -> bool {
        let Some(signature) = unhex(signature) else { return false };
        mac(&*self.0).chain_update(string_to_sign).verify_slice(&signature).is_ok()
    }
}

fn hmac(key: &[u8], text: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(mac(key).chain_update(text).finalize().into_bytes().into())
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8; 32]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(HEX[usize::from(digit)])).collect()
}

/// 64 lower-case digits: one spelling, so that no other text passes for the signature.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn secret() -> SecretAccessKey {
        SecretAccessKey::from_sealed(Zeroizing::new(SECRET.to_owned()))
    }

    /// The example of AWS's description: the key of 30 August 2015 for IAM in us-east-1.
    #[test]
    fn the_signing_key_is_that_of_the_published_example() {
        let key = SigningKey::derive(&secret(), "20150830", "us-east-1", "iam");
        assert_eq!(hex(&key.0), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    struct Published {
        name: &'static str,
        method: &'static str,
        /// Beside `host` and `x-amz-date`.
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
        signature: &'static str,
    }

    /// Cases of AWS's published test suite (`aws-sig-v4-test-suite`), those for the path `/` without a query.
    const SUITE: &[Published] = &[
        Published {
            name: "get-vanilla",
            method: "GET",
            headers: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Published {
            name: "post-vanilla",
            method: "POST",
            headers: &[],
            body: "",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        },
        Published {
            name: "get-header-key-duplicate",
            method: "GET",
            headers: &[
                ("my-header1", "value2"),
                ("my-header1", "value2"),
                ("my-header1", "value1"),
            ],
            body: "",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        },
        Published {
            name: "get-header-value-order",
            method: "GET",
            headers: &[
                ("my-header1", "value4"),
                ("my-header1", "value1"),
                ("my-header1", "value3"),
                ("my-header1", "value2"),
            ],
            body: "",
            signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        },
        Published {
            name: "get-header-value-trim",
            method: "GET",
            headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            body: "",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        },
        Published {
            name: "post-header-key-sort",
            method: "POST",
            headers: &[("my-header1", "value1")],
            body: "",
            signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        },
        Published {
            name: "post-x-www-form-urlencoded",
            method: "POST",
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            body: "Param1=value1",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        },
    ];

    #[test]
    fn signatures_are_those_of_the_published_suite() {
        for Published { name, method, headers, body, signature } in SUITE {
            let fixed = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
            let headers: Vec<(&str, &[u8])> = fixed
                .iter()
                .chain(*headers)
                .map(|(name, value)| (*name, value.as_bytes()))
                .collect();
            let mut signed_headers: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
            signed_headers.sort_unstable();
            signed_headers.dedup();
            let request = SignedRequest { method, headers: &headers, body: body.as_bytes() };
            let canonical = super::request(&request, &signed_headers);
            let scope = Authorization {
                access_key_id: "AKIDEXAMPLE",
                date: "20150830",
                region: "us-east-1",
                service: "service",
                terminator: TERMINATOR,
                signed_headers,
                signature,
            };
            let time = SigningTime::parse("20150830T123600Z").unwrap();
            let text = string_to_sign(&time, &scope, &canonical);
            let key = SigningKey::derive(&secret(), scope.date, scope.region, scope.service);
            assert!(key.verifies(&text, signature), "{name}:\n{text}");
        }
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(hex(&unhex(&good).unwrap()), good);
        for text in ["", &good[1..], &good.to_uppercase(), &format!("{good}0"), &"g".repeat(64)] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
