//! Signature Version 4: who made this request, proven by a secret that never travelled.
//!
//! [`verify()`] takes a request as it came in, what it should be for ([`Expected`]) and a way to look up secrets. It answers
//! with [`Authenticated`], which nothing else can make, or with [`Unauthenticated`] in AWS's words. The scheme is that of
//! [AWS's description](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html):
//!
//! ```text
//! canonical request = METHOD \n / \n (no query) \n name:value\n … \n signed names \n hex(SHA-256(body))
//! string to sign    = AWS4-HMAC-SHA256 \n date and time \n date/region/service/aws4_request \n hex(SHA-256(canonical request))
//! signing key       = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")
//! signature         = hex(HMAC(signing key, string to sign))
//! ```
//!
//! Stricter than the description, because all clients are and every freedom is an attacker's: `host`, `x-amz-date` and each
//! `x-amz-…` header that is present must be signed (an unsigned `x-amz-target` would let somebody else choose the
//! operation); no header that is interpreted may be there twice; the body is always hashed here, whatever
//! `x-amz-content-sha256` claims; names are sorted and lower case, the signature is lower case, and nothing unknown is in
//! the `Authorization` header, so that a request has one spelling.
//!
//! A session signs with its own secret and sends its token in `x-amz-security-token`; what the token says is for whoever
//! issued it to tell ([`Claim`]).
//!
//! Not here: query-string signatures, chunked payloads, any path but `/`, and `SigV4a`. Replays within the 15 minutes are
//! not recognised, as with AWS; TLS is what keeps requests from being seen.
//!
//! - `date`: the time in `x-amz-date`.
//! - `authorization`: the `Authorization` header, taken apart.
//! - `canonical`: canonical request, string to sign, signing key.
//! - `verify`: the order of checks.
//! - `sign`: the client's side.
//! - `refusal`: how it says no.

mod authorization;
mod canonical;
mod date;
mod refusal;
mod sign;
mod verify;

pub use refusal::Unauthenticated;
pub use sign::sign;
pub use verify::{Authenticated, Claim, Expected, SignedRequest, verify};

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The last part of every credential scope.
const TERMINATOR: &str = "aws4_request";
