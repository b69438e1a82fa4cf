//! Signatures, from outside: requests as botocore signs them are accepted, and nothing near them is.
//!
//! `sigv4/vectors.json` comes from `sigv4/vectors.py`. Every refusal starts from one of these good requests.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use keytrail_auth::sigv4::{Authenticated, Expected, SignedRequest, Unauthenticated, sign, verify};
use keytrail_auth::{AccessKey, SecretAccessKey};
use keytrail_event::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The only session token that is good here.
const TOKEN: &str = "FwoGZXIvYXdzEJr//////////wEaDA==";

#[derive(Deserialize)]
struct Vectors {
    access_key_id: String,
    secret: String,
    now: String,
    requests: Vec<Vector>,
}

#[derive(Deserialize, Clone)]
struct Vector {
    name: String,
    region: String,
    service: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("sigv4/vectors.json")).unwrap()
}

/// A request with everything that decides about it, to be changed and tried again.
#[derive(Clone)]
struct Trial {
    method: String,
    region: String,
    service: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    now: Timestamp,
    access_key_id: String,
    secret: String,
}

impl Trial {
    fn all() -> Vec<(String, Self)> {
        let vectors = vectors();
        let trial = |vector: Vector| {
            let header = |(name, value): (String, String)| (name, value.into_bytes());
            let trial = Self {
                method: "POST".to_owned(),
                region: vector.region,
                service: vector.service,
                headers: vector.headers.into_iter().map(header).collect(),
                body: vector.body.into_bytes(),
                now: Timestamp::parse_event_time(&vectors.now).unwrap(),
                access_key_id: vectors.access_key_id.clone(),
                secret: vectors.secret.clone(),
            };
            (vector.name, trial)
        };
        vectors.requests.into_iter().map(trial).collect()
    }

    /// The first vector, a plain Encrypt.
    fn good() -> Self {
        Self::all().swap_remove(0).1
    }

    fn verify(&self) -> Result<Authenticated, Unauthenticated> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = SignedRequest { method: &self.method, headers: &headers, body: &self.body };
        // The first one answers as well, so that the right one is chosen and not just any.
        let regions = ["ap-south-1", &self.region].map(|region| region.parse().unwrap());
        let expected = Expected { regions: &regions, service: &self.service, now: self.now };
        verify(&request, &expected, |claim| {
            let known = claim.access_key_id.as_str() == self.access_key_id;
            match claim.session_token {
                Some("expired") => Err(Unauthenticated::ExpiredToken),
                token if known && token.is_none_or(|token| token == TOKEN) => {
                    Ok(SecretAccessKey::from_sealed(Zeroizing::new(self.secret.clone())))
                }
                _ => Err(Unauthenticated::UnknownAccessKey),
            }
        })
    }

    fn refusal(&self) -> Unauthenticated {
        self.verify().unwrap_err()
    }

    fn header(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.headers.iter_mut().find(|(other, _)| other == name).unwrap().1
    }

    fn replace(&mut self, name: &str, from: &str, to: &str) {
        let value = String::from_utf8(self.header(name).clone()).unwrap();
        assert!(value.contains(from), "{value}");
        *self.header(name) = value.replace(from, to).into_bytes();
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Whether the signature covers a header.
    fn signs(&self, name: &str) -> bool {
        let (_, authorization) =
            self.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        let text = std::str::from_utf8(authorization).unwrap();
        let names = text.split_once("SignedHeaders=").unwrap().1.split_once(',').unwrap().0;
        names.split(';').any(|signed| signed == name)
    }
}

#[test]
fn requests_signed_by_botocore_are_authenticated() {
    for (name, trial) in Trial::all() {
        let proof = trial.verify().unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(proof.access_key_id().as_str(), trial.access_key_id, "{name}");
        assert_eq!(proof.region().as_str(), trial.region, "{name}");
    }
}

#[test]
fn our_signatures_are_those_of_botocore() {
    for (name, mut trial) in Trial::all() {
        let authorization = String::from_utf8(trial.header("authorization").clone()).unwrap();
        let headers: Vec<(&str, &[u8])> = trial
            .headers
            .iter()
            .filter(|(name, _)| trial.signs(name))
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        let request = SignedRequest { method: "POST", headers: &headers, body: &trial.body };
        let access_key = AccessKey {
            id: trial.access_key_id.parse().unwrap(),
            secret: SecretAccessKey::from_sealed(Zeroizing::new(trial.secret.clone())),
        };
        let ours = sign(&request, &access_key, &trial.region, &trial.service);
        assert_eq!(ours.unwrap(), authorization, "{name}");
        let undated = SignedRequest { headers: &headers[..1], ..request };
        assert_eq!(sign(&undated, &access_key, &trial.region, &trial.service), None);
    }
}

#[test]
fn names_of_headers_are_compared_without_regard_to_case_and_in_any_order() {
    let mut trial = Trial::good();
    for (name, _) in &mut trial.headers {
        *name = name.to_ascii_uppercase();
    }
    trial.headers.reverse();
    assert!(trial.verify().is_ok());
}

/// Each bit of everything that is signed: the `Authorization` header, signed values, the body, the method.
#[test]
fn no_flipped_bit_survives() {
    for (vector, trial) in Trial::all() {
        for position in 0..trial.headers.len() {
            let (name, value) = &trial.headers[position];
            if name != "authorization" && !trial.signs(name) {
                continue;
            }
            for bit in 0..value.len() * 8 {
                let mut changed = trial.clone();
                changed.headers[position].1[bit / 8] ^= 1 << (bit % 8);
                assert!(changed.verify().is_err(), "{vector}: {name}, bit {bit}");
            }
        }
        // Of a long body some thousand bits are enough.
        for bit in (0..trial.body.len() * 8).step_by(1 + trial.body.len() / 128) {
            let mut changed = trial.clone();
            changed.body[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(changed.refusal(), Unauthenticated::Mismatch, "{vector}: body, bit {bit}");
        }
        for method in ["GET", "PUT", "post", "POST ", ""] {
            let changed = Trial { method: method.to_owned(), ..trial.clone() };
            assert_eq!(changed.refusal(), Unauthenticated::Mismatch, "{vector}: {method:?}");
        }
    }
}

#[test]
fn no_truncation_survives() {
    for (vector, trial) in Trial::all() {
        for position in 0..trial.headers.len() {
            let (name, value) = &trial.headers[position];
            if name != "authorization" && !trial.signs(name) {
                continue;
            }
            for length in 0..value.len() {
                let mut changed = trial.clone();
                changed.headers[position].1.truncate(length);
                // The canonical form has no spaces at the end, so a value cut there is the same value.
                let same = value[length..].iter().all(|byte| *byte == b' ');
                assert_eq!(changed.verify().is_ok(), same, "{vector}: {name} cut at {length}");
            }
        }
        for length in (0..trial.body.len()).step_by(1 + trial.body.len() / 256) {
            let mut changed = trial.clone();
            changed.body.truncate(length);
            assert_eq!(
                changed.refusal(),
                Unauthenticated::Mismatch,
                "{vector}: body cut at {length}"
            );
        }
    }
}

#[test]
fn what_is_appended_to_a_signed_part_is_noticed() {
    for (vector, trial) in Trial::all() {
        for extra in
            ["0", "\0", ",", ", Signature=", "\n", "\r\nx-amz-target: TrentService.Decrypt"]
        {
            for position in 0..trial.headers.len() {
                if trial.signs(&trial.headers[position].0) {
                    let mut changed = trial.clone();
                    changed.headers[position].1.extend_from_slice(extra.as_bytes());
                    assert!(changed.verify().is_err(), "{vector}: {position}, {extra:?}");
                }
            }
            let mut changed = trial.clone();
            changed.header("authorization").extend_from_slice(extra.as_bytes());
            assert!(changed.verify().is_err(), "{vector}: {extra:?}");
            let mut changed = trial.clone();
            changed.body.extend_from_slice(extra.as_bytes());
            assert!(changed.verify().is_err(), "{vector}: {extra:?}");
        }
    }
}

#[test]
fn a_header_that_is_interpreted_must_be_signed() {
    // Unsigned in the request, whatever it says.
    for (name, value) in [
        ("x-amz-target", "TrentService.Decrypt"),
        ("x-amz-security-token", "AQo"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("X-Amz-Anything", ""),
    ] {
        let (_, sts) = Trial::all().pop().unwrap();
        let refusal = sts.with(name, value).refusal();
        let header = name.to_ascii_lowercase();
        assert_eq!(refusal, Unauthenticated::NotSigned { header }, "{name}");
    }
    // Struck from the list of signed names.
    for name in ["host", "x-amz-date", "x-amz-target"] {
        let mut trial = Trial::good();
        let with_separator =
            if name == "x-amz-target" { format!(";{name}") } else { format!("{name};") };
        trial.replace("authorization", &with_separator, "");
        assert_eq!(trial.refusal(), Unauthenticated::NotSigned { header: name.to_owned() });
    }
}

#[test]
fn a_header_that_is_interpreted_must_be_there_once() {
    for name in ["authorization", "host", "x-amz-date", "x-amz-target"] {
        let mut trial = Trial::good();
        let value = String::from_utf8(trial.header(name).clone()).unwrap();
        for second in [value.as_str(), "", "TrentService.Decrypt"] {
            let refusal = Trial::good().with(&name.to_ascii_uppercase(), second).refusal();
            assert_eq!(refusal, Unauthenticated::Ambiguous { header: name.to_owned() });
        }
    }
    // Others are signed as the list of their values.
    let twice = Trial::good().with("content-type", "text/plain");
    assert_eq!(twice.refusal(), Unauthenticated::Mismatch);
}

#[test]
fn a_header_that_is_signed_must_be_there() {
    for name in ["host", "x-amz-date", "x-amz-target", "content-type"] {
        let refusal = Trial::good().without(name).refusal();
        assert!(matches!(refusal, Unauthenticated::Incomplete(_)), "{name}: {refusal}");
    }
    assert_eq!(Trial::good().without("authorization").refusal(), Unauthenticated::Anonymous);
}

#[test]
fn a_long_term_key_has_no_session_token() {
    let mut trial = Trial::good().with("x-amz-security-token", TOKEN);
    trial.replace("authorization", ";x-amz-target", ";x-amz-security-token;x-amz-target");
    assert_eq!(trial.refusal(), Unauthenticated::UnknownAccessKey);
}

/// A session's request, signed by our own client side, whose signatures are botocore's.
fn of_session(token: Option<&str>) -> Trial {
    let mut trial = Trial::good().without("authorization");
    "ASIAIOSFODNN7EXAMPLE".clone_into(&mut trial.access_key_id);
    if let Some(token) = token {
        trial = trial.with("x-amz-security-token", token);
    }
    let secret = SecretAccessKey::from_sealed(Zeroizing::new(trial.secret.clone()));
    let access_key = AccessKey { id: trial.access_key_id.parse().unwrap(), secret };
    let headers: Vec<(&str, &[u8])> =
        trial.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let request = SignedRequest { method: "POST", headers: &headers, body: &trial.body };
    let authorization = sign(&request, &access_key, &trial.region, &trial.service).unwrap();
    trial.with("authorization", &authorization)
}

#[test]
fn a_session_s_key_is_good_with_its_token_only() {
    let good = of_session(Some(TOKEN));
    assert_eq!(good.verify().unwrap().access_key_id().as_str(), good.access_key_id);
    for token in [None, Some("another"), Some("")] {
        assert_eq!(of_session(token).refusal(), Unauthenticated::UnknownAccessKey, "{token:?}");
    }
    let expired = of_session(Some("expired")).refusal();
    assert_eq!(expired.code(), "ExpiredTokenException");
    let mut exchanged = of_session(Some("another"));
    exchanged.header("x-amz-security-token").clone_from(&TOKEN.as_bytes().to_vec());
    assert_eq!(exchanged.refusal(), Unauthenticated::Mismatch);
    let mut unsigned = of_session(Some(TOKEN));
    unsigned.replace("authorization", ";x-amz-security-token", "");
    let header = "x-amz-security-token".to_owned();
    assert_eq!(unsigned.refusal(), Unauthenticated::NotSigned { header });
    let twice = good.with("X-Amz-Security-Token", TOKEN).refusal();
    let header = "x-amz-security-token".to_owned();
    assert_eq!(twice, Unauthenticated::Ambiguous { header });
}

#[test]
fn fifteen_minutes_either_way_are_the_limit() {
    let good = Trial::good();
    let signed = good.now.unix_seconds();
    let check =
        |now: u64| Trial { now: Timestamp::from_unix_seconds(now), ..good.clone() }.verify().err();
    for now in [signed - 900, signed - 1, signed, signed + 1, signed + 900] {
        assert_eq!(check(now), None, "{now}");
    }
    let expired = check(signed + 901).unwrap();
    assert_eq!(expired.code(), "InvalidSignatureException");
    assert_eq!(
        expired.to_string(),
        "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T031906Z - 15 min.)"
    );
    assert_eq!(
        check(signed - 901).unwrap().to_string(),
        "Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z (20260102T024904Z + 15 min.)"
    );
    let (first, last) = (check(0).unwrap(), check(u64::MAX / 1_000_000_000).unwrap());
    assert!(matches!(first, Unauthenticated::NotYetCurrent { .. }));
    assert!(matches!(last, Unauthenticated::Expired { .. }));
}

#[test]
fn refusals_have_the_names_and_texts_of_aws() {
    let check = |change: &dyn Fn(&mut Trial), code: &str, text: &str| {
        let mut trial = Trial::good();
        change(&mut trial);
        let refusal = trial.refusal();
        assert_eq!(refusal.code(), code);
        assert!(refusal.to_string().starts_with(text), "{refusal}");
    };
    let invalid = "InvalidSignatureException";
    let mismatch = "The request signature we calculated does not match the signature you provided.";
    check(&|trial| trial.secret.push('x'), invalid, mismatch);
    check(&|trial| trial.secret.clear(), invalid, mismatch);
    check(
        &|trial| trial.access_key_id = "AKIAAAAAAAAAAAAAAAAA".to_owned(),
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    check(
        &|trial| trial.replace("authorization", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"),
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    check(
        &|trial| trial.region = "eu-west-1".to_owned(),
        invalid,
        "Credential should be scoped to a valid region, not 'us-east-1'.",
    );
    check(
        &|trial| trial.service = "sts".to_owned(),
        invalid,
        "Credential should be scoped to correct service: 'sts'.",
    );
    check(
        &|trial| trial.replace("authorization", "aws4_request", "aws5_request"),
        invalid,
        "Credential should be scoped with a valid terminator: 'aws4_request'.",
    );
    check(
        &|trial| trial.replace("authorization", "/20260102/", "/20260103/"),
        invalid,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
         '20260103' != '20260102', from '20260102T030405Z'.",
    );
    check(
        &|trial| trial.headers.clear(),
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    );
    check(
        &|trial| trial.replace("authorization", "Signature", "Sig"),
        "IncompleteSignatureException",
        "Authorization header must have",
    );
    check(
        &|trial| trial.replace("x-amz-date", "20260102T030405Z", "Fri, 02 Jan 2026 03:04:05 GMT"),
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'",
    );
}

/// A signature is for one operation, one body, one address: none can be carried over to another good request.
#[test]
fn no_authorization_fits_another_request() {
    let all = Trial::all();
    for (name, source) in &all {
        for (other, target) in all.iter().filter(|(other, _)| other != name) {
            let mut mixed = target.clone();
            *mixed.header("authorization") = source.clone().header("authorization").clone();
            assert!(mixed.verify().is_err(), "{name} for {other}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_headers_are_answered_without_a_panic_and_never_believed(
        headers in proptest::collection::vec(
            (
                prop_oneof![
                    Just("authorization".to_owned()), Just("host".to_owned()), Just("x-amz-date".to_owned()),
                    Just("x-amz-target".to_owned()), "\\PC{0,20}",
                ],
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..80),
                    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260102/us-east-1/kms/aws4_request, ?\
                     SignedHeaders=(host;x-amz-date|[a-z;-]{0,30}), ?Signature=[0-9a-f]{60,64}"
                        .prop_map(String::into_bytes),
                    Just(b"20260102T030405Z".to_vec()),
                    "[0-9]{8}T[0-9]{6}Z".prop_map(String::into_bytes),
                ],
            ),
            0..8,
        ),
        body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let trial = Trial { headers, body, ..Trial::good() };
        prop_assert!(trial.verify().is_err());
    }
}
