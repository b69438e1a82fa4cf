//! The order of checks, from what costs nothing to what needs a secret.

use keytrail_event::{Region, Timestamp};

use super::authorization::Authorization;
use super::canonical::{self, SigningKey};
use super::date::{self, SigningTime};
use super::{TERMINATOR, Unauthenticated};
use crate::{AccessKeyId, SecretAccessKey};

/// How far a signing time may lie from the clock here, either way; AWS's value.
const SKEW_SECONDS_MAX: u64 = 15 * 60;

/// Headers that a server interprets: present at most once, or it could read another one than the signer meant.
const SINGLE: [&str; 5] =
    ["authorization", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"];

/// A request to `/` without a query, as far as a signature covers it.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// In capitals: `POST`.
    pub method: &'a str,
    /// Names (compared without regard to case) and values, in the order in which they came.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The whole body; it is hashed here.
    pub body: &'a [u8],
}

impl<'a> SignedRequest<'a> {
    /// The values of a header; the name in lower case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let wanted = move |(other, _): &&(&str, &[u8])| other.eq_ignore_ascii_case(name);
        self.headers.iter().filter(wanted).map(|(_, value)| *value)
    }

    fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

/// What the signature has to be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The Regions that answer; which one is meant is for the signer to say.
    pub regions: &'a [Region],
    /// The service that answers: `kms`.
    pub service: &'a str,
    /// The time of this machine.
    pub now: Timestamp,
}

/// Whose secret is wanted: what a request claims, unproven.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The access key's id.
    pub access_key_id: &'a AccessKeyId,
    /// The token of a session, which a request has if and only if its access key is a session's.
    pub session_token: Option<&'a str>,
}

/// Proof that a request was signed with the secret of an access key. Only [`verify`] makes one.
#[derive(Debug)]
pub struct Authenticated {
    access_key_id: AccessKeyId,
    region: Region,
}

impl Authenticated {
    /// Whose secret it was.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The one of the expected Regions that it was signed for.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

/// Finds out who signed a request. `secret_of` looks up the secret of an access key, and is asked only about a request that
/// is otherwise in order. It refuses a key that it does not know, or a token that is not good or not good any more.
///
/// # Errors
/// [`Unauthenticated`] says what is wrong, as AWS would.
pub fn verify(
    request: &SignedRequest<'_>,
    expected: &Expected<'_>,
    secret_of: impl FnOnce(&Claim<'_>) -> Result<SecretAccessKey, Unauthenticated>,
) -> Result<Authenticated, Unauthenticated> {
    check_single(request)?;
    let header = request.value("authorization").ok_or(Unauthenticated::Anonymous)?;
    let claimed = Authorization::parse(header)?;
    check_headers(request, &claimed)?;
    let time = signing_time(request)?;
    let region = check_scope(&claimed, &time, expected)?;
    check_skew(&time, expected.now)?;
    let id: AccessKeyId =
        claimed.access_key_id.parse().map_err(|_| Unauthenticated::UnknownAccessKey)?;
    let session_token = session_token(request, &id)?;
    let secret = secret_of(&Claim { access_key_id: &id, session_token })?;

    let canonical = canonical::request(request, &claimed.signed_headers);
    let text = canonical::string_to_sign(&time, &claimed, &canonical);
    let key = SigningKey::derive(&secret, claimed.date, claimed.region, claimed.service);
    if key.verifies(&text, claimed.signature) {
        Ok(Authenticated { access_key_id: id, region: region.clone() })
    } else {
        Err(Unauthenticated::Mismatch)
    }
}

/// What is interpreted is not there twice.
fn check_single(request: &SignedRequest<'_>) -> Result<(), Unauthenticated> {
    let twice = SINGLE.into_iter().find(|name| request.values(name).nth(1).is_some());
    twice.map_or(Ok(()), |name| Err(Unauthenticated::Ambiguous { header: name.to_owned() }))
}

/// What is interpreted is signed; what is said to be signed is there.
fn check_headers(
    request: &SignedRequest<'_>,
    claimed: &Authorization<'_>,
) -> Result<(), Unauthenticated> {
    for name in ["host", "x-amz-date"] {
        if !claimed.signs(name) {
            return Err(Unauthenticated::NotSigned { header: name.to_owned() });
        }
    }
    for (name, _) in request.headers {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") && !claimed.signs(&name) {
            return Err(Unauthenticated::NotSigned { header: name });
        }
    }
    if claimed.signed_headers.iter().any(|name| request.value(name).is_none()) {
        return Err(Unauthenticated::Incomplete(
            "A header in SignedHeaders is not in the request.",
        ));
    }
    Ok(())
}

/// The token, which belongs to a session's access key and to no other.
fn session_token<'a>(
    request: &SignedRequest<'a>,
    id: &AccessKeyId,
) -> Result<Option<&'a str>, Unauthenticated> {
    match (request.value("x-amz-security-token"), id.is_temporary()) {
        (None, false) => Ok(None),
        (Some(token), true) => {
            let text = std::str::from_utf8(token).map_err(|_| Unauthenticated::UnknownAccessKey)?;
            Ok(Some(text.trim_matches(' ')))
        }
        _ => Err(Unauthenticated::UnknownAccessKey),
    }
}

fn signing_time(request: &SignedRequest<'_>) -> Result<SigningTime, Unauthenticated> {
    let value = request.value("x-amz-date").and_then(|value| std::str::from_utf8(value).ok());
    value.and_then(|text| SigningTime::parse(text.trim_matches(' '))).ok_or(
        Unauthenticated::Incomplete(
            "Date must be in ISO-8601 'basic format', e.g. 20150830T123600Z. See \
             http://en.wikipedia.org/wiki/ISO_8601",
        ),
    )
}

/// The Region that was signed for, if the rest of the scope is right too.
fn check_scope<'a>(
    claimed: &Authorization<'_>,
    time: &SigningTime,
    expected: &Expected<'a>,
) -> Result<&'a Region, Unauthenticated> {
    if claimed.terminator != TERMINATOR {
        return Err(Unauthenticated::OtherTerminator);
    }
    let mut regions = expected.regions.iter();
    let Some(region) = regions.find(|region| region.as_str() == claimed.region) else {
        return Err(Unauthenticated::OtherRegion { found: claimed.region.to_owned() });
    };
    if claimed.service != expected.service {
        return Err(Unauthenticated::OtherService { expected: expected.service.to_owned() });
    }
    if claimed.date != time.date() {
        return Err(Unauthenticated::OtherDate {
            scope: claimed.date.to_owned(),
            date: time.date().to_owned(),
            signed: time.as_str().to_owned(),
        });
    }
    Ok(region)
}

/// Whole seconds are compared, because the signing time has no others; a difference of exactly 15 minutes still passes.
fn check_skew(time: &SigningTime, now: Timestamp) -> Result<(), Unauthenticated> {
    let (signed, here) = (time.time().unix_seconds(), now.unix_seconds());
    let earliest = here.saturating_sub(SKEW_SECONDS_MAX);
    let latest = here.saturating_add(SKEW_SECONDS_MAX);
    let text = |seconds| date::format(Timestamp::from_unix_seconds(seconds));
    if signed < earliest {
        return Err(Unauthenticated::Expired {
            signed: time.as_str().to_owned(),
            earliest: text(earliest),
            now: text(here),
        });
    }
    if signed > latest {
        return Err(Unauthenticated::NotYetCurrent {
            signed: time.as_str().to_owned(),
            latest: text(latest),
            now: text(here),
        });
    }
    Ok(())
}
