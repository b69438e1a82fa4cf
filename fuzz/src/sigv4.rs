//! Request signatures: nothing passes that was not signed, and what was signed passes.
//!
//! The input is written as HTTP writes it: lines `name: value`, an empty line, the body. It is tried twice: as it is, with
//! any `Authorization` that it has, and signed by us with every header that it has.

use keytrail_auth::sigv4::{Expected, SignedRequest, Unauthenticated, sign, verify};
use keytrail_auth::{AccessKey, AccessKeyId, SecretAccessKey};
use keytrail_event::Timestamp;

/// A request's headers and body, apart.
pub(crate) struct Written<'a> {
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: &'a [u8],
}

impl<'a> Written<'a> {
    /// Takes the text apart. A line without a colon is a header without a value; a name that is not UTF-8 is skipped.
    pub(crate) fn read(text: &'a [u8]) -> Self {
        let mut headers = Vec::new();
        let mut rest = text;
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return Self { headers, body: rest };
            }
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
            if let Ok(name) = std::str::from_utf8(&line[..colon]) {
                headers.push((name, value));
            }
        }
    }
}

/// The token that the session's access key comes with.
const TOKEN: &str = "session-token";

/// Verifies a request as it is, and once more when it is signed: by a session if it has a token.
pub fn sigv4(data: &[u8]) {
    let Written { headers, body } = Written::read(data);
    let request = SignedRequest { method: "POST", headers: &headers, body };
    let refused = judge(&request);
    assert!(refused.is_err(), "somebody signed without the secret");

    let mut headers = headers;
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    let has_token =
        headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-amz-security-token"));
    let unsigned = SignedRequest { method: "POST", headers: &headers, body };
    let signer = if has_token { session_key() } else { lasting_key() };
    let Some(authorization) = sign(&unsigned, &signer, "us-east-1", "kms") else { return };
    headers.push(("authorization", authorization.as_bytes()));
    let signed = SignedRequest { method: "POST", headers: &headers, body };
    match judge(&signed) {
        Ok(id) => {
            assert_eq!(id, signer.id);
            let mut other = body.to_vec();
            other.push(b' ');
            let tampered = SignedRequest { body: &other, ..signed };
            assert_eq!(judge(&tampered), Err(Unauthenticated::Mismatch));
            let tampered = SignedRequest { method: "PUT", ..signed };
            assert_eq!(judge(&tampered), Err(Unauthenticated::Mismatch));
        }
        Err(refusal) => {
            assert_ne!(refusal, Unauthenticated::Mismatch, "both sides see the same request");
            assert!(!refusal.to_string().is_empty() && !refusal.code().is_empty());
        }
    }
}

/// Who signed it, at a time when `x-amz-date: 20260102T030405Z` is good.
fn judge(request: &SignedRequest<'_>) -> Result<AccessKeyId, Unauthenticated> {
    let now = Timestamp::from_unix_seconds(1_767_323_045);
    let regions = ["us-east-1".parse().expect("a Region")];
    let expected = Expected { regions: &regions, service: "kms", now };
    let proof = verify(request, &expected, |claim| {
        let known = match claim.session_token {
            None => lasting_key(),
            Some(TOKEN) => session_key(),
            Some(_) => return Err(Unauthenticated::UnknownAccessKey),
        };
        let is_known = *claim.access_key_id == known.id;
        is_known.then_some(known.secret).ok_or(Unauthenticated::UnknownAccessKey)
    });
    proof.map(|proof| proof.access_key_id().clone())
}

fn lasting_key() -> AccessKey {
    AccessKey { id: AccessKeyId::from_random([7; 10]), secret: secret() }
}

fn session_key() -> AccessKey {
    AccessKey { id: AccessKeyId::temporary_from_random([7; 10]), secret: secret() }
}

fn secret() -> SecretAccessKey {
    SecretAccessKey::from_random(&[7; 30].into())
}
