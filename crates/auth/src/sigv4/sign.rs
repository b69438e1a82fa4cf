//! The other side: signing a request, for clients in Rust that have no SDK at hand.

use super::authorization::Authorization;
use super::canonical::{self, SigningKey};
use super::date::SigningTime;
use super::verify::SignedRequest;
use super::{ALGORITHM, TERMINATOR};
use crate::AccessKey;

/// The value of the `Authorization` header that makes a request authenticated. Every header of the request is signed, so
/// leave those out that proxies change.
///
/// `None` if there is no `x-amz-date` header of the form `20150830T123600Z`.
pub fn sign(
    request: &SignedRequest<'_>,
    access_key: &AccessKey,
    region: &str,
    service: &str,
) -> Option<String> {
    let time = request.values("x-amz-date").next();
    let time = SigningTime::parse(std::str::from_utf8(time?).ok()?)?;
    let mut names: Vec<String> =
        request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let scope = Authorization {
        access_key_id: access_key.id.as_str(),
        date: time.date(),
        region,
        service,
        terminator: TERMINATOR,
        signed_headers: names.iter().map(String::as_str).collect(),
        signature: "",
    };
    let canonical = canonical::request(request, &scope.signed_headers);
    let text = canonical::string_to_sign(&time, &scope, &canonical);
    let signature = SigningKey::derive(&access_key.secret, scope.date, region, service).sign(&text);
    Some(format!(
        "{ALGORITHM} Credential={}/{}/{region}/{service}/{TERMINATOR}, SignedHeaders={}, Signature={signature}",
        scope.access_key_id,
        scope.date,
        scope.signed_headers.join(";"),
    ))
}
