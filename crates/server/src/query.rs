//! The query protocol of STS: a form comes in, XML goes out.
//!
//! Its errors have other names than those of the JSON protocol, and status 403 where that has 400
//! ([common errors](https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html)).

use hyper::{Response, StatusCode};
use keytrail_auth::sigv4::Unauthenticated;
use keytrail_event::Guid;
use keytrail_kms::{Caller, ErrorCode, KmsError};

use crate::answer::{self, Body};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The longest name of an action that is looked at.
const ACTION_CHARS_MAX: usize = 64;

/// The `Action` of a form. Names of actions have letters only, so nothing need be decoded; another text is no action.
pub(crate) fn action(body: &[u8]) -> Option<&str> {
    let form = std::str::from_utf8(body).ok()?;
    let action = form.split('&').find_map(|field| field.strip_prefix("Action="))?;
    let is_name = (1..=ACTION_CHARS_MAX).contains(&action.len())
        && action.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name.then_some(action)
}

/// The answer of `GetCallerIdentity`.
pub(crate) fn caller_identity(caller: &Caller, request_id: Guid) -> Response<Body> {
    let principal = caller.principal();
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\">\
         <GetCallerIdentityResult><Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        escape(&principal.to_string()),
        escape(caller.principal_id()),
        principal.account(),
    );
    answer::xml(StatusCode::OK, body, request_id)
}

/// A call that the engine refused.
pub(crate) fn refusal(error: &KmsError) -> Response<Body> {
    let (status, code) = match error.code() {
        ErrorCode::UnknownOperationException => (StatusCode::BAD_REQUEST, "InvalidAction"),
        ErrorCode::UnrecognizedClientException => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        ErrorCode::AccessDeniedException => (StatusCode::FORBIDDEN, "AccessDenied"),
        ErrorCode::KMSInternalException => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        other => (StatusCode::BAD_REQUEST, other.as_str()),
    };
    let text = error.message().unwrap_or("There is no such action in version 2011-06-15.");
    refuse(status, code, text, error.request_id())
}

/// A request that nobody is proven to have made.
pub(crate) fn unauthenticated(refusal: &Unauthenticated, request_id: Guid) -> Response<Body> {
    let (status, code) = match refusal {
        Unauthenticated::Anonymous => (StatusCode::FORBIDDEN, "MissingAuthenticationToken"),
        Unauthenticated::Incomplete(_) => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
        Unauthenticated::UnknownAccessKey => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        _ => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
    };
    refuse(status, code, &refusal.to_string(), request_id)
}

pub(crate) fn refuse(
    status: StatusCode,
    code: &str,
    message: &str,
    request_id: Guid,
) -> Response<Body> {
    let blame = if status.is_server_error() { "Receiver" } else { "Sender" };
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{blame}</Type><Code>{code}</Code>\
         <Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escape(message)
    );
    answer::xml(status, body, request_id)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_is_found_in_the_form() {
        assert_eq!(
            action(b"Action=GetCallerIdentity&Version=2011-06-15"),
            Some("GetCallerIdentity")
        );
        assert_eq!(action(b"Version=2011-06-15&Action=AssumeRole"), Some("AssumeRole"));
        let long = format!("Action={}", "A".repeat(65));
        for form in ["", "Action=", "action=X", "XAction=Y", "Action=A%20B", "Action=<x>", &long] {
            assert_eq!(action(form.as_bytes()), None, "{form}");
        }
        assert_eq!(action(b"Action=\xff"), None);
    }

    #[test]
    fn markup_in_texts_stays_text() {
        assert_eq!(escape("a<b>&'c'"), "a&lt;b&gt;&amp;'c'");
    }
}
