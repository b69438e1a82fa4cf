//! The query protocol of STS: a form comes in (`form`), XML goes out.
//!
//! Its errors have other names than those of the JSON protocol, and status 403 where that has 400
//! ([common errors](https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html)).

use hyper::{Response, StatusCode};
use keytrail_auth::sigv4::Unauthenticated;
use keytrail_event::Guid;
use keytrail_kms::{Answer, Caller, ErrorCode, KmsError, SessionCredentials};
use zeroize::Zeroizing;

use crate::answer::{self, Body};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The answer of `GetCallerIdentity`.
fn caller_identity(caller: &Caller, request_id: Guid) -> Response<Body> {
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

/// The answer of an action that succeeded.
pub(crate) fn success(operation: &str, caller: &Caller, answer: &Answer) -> Response<Body> {
    match operation {
        "AssumeRole" => assumed_role(answer),
        _ => caller_identity(caller, answer.request_id()),
    }
}

/// The answer of `AssumeRole`. It holds secrets: it is written into memory that is wiped when it was sent.
fn assumed_role(answer: &Answer) -> Response<Body> {
    let request_id = answer.request_id();
    let Some(session) = SessionCredentials::read(answer) else {
        let text = "The request processing has failed because of an unknown error.";
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", text, request_id);
    };
    let token = session.session_token.as_str();
    let begin = format!(
        "<AssumeRoleResponse xmlns=\"{NAMESPACE}\"><AssumeRoleResult><Credentials><AccessKeyId>{}</AccessKeyId>\
         <SecretAccessKey>",
        session.access_key.id
    );
    let user = format!(
        "</SessionToken><Expiration>{}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>",
        session.expiration.event_time(),
        escape(&session.assumed_role_id),
        escape(&session.arn),
    );
    let size = session.packed_policy_size;
    let size = size.map(|percent| format!("<PackedPolicySize>{percent}</PackedPolicySize>"));
    let identity = session.source_identity.as_deref().map(escape);
    let identity = identity.map(|name| format!("<SourceIdentity>{name}</SourceIdentity>"));
    let end = format!(
        "</AssumeRoleResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></AssumeRoleResponse>"
    );
    // The secrets have letters, digits, + / and = only: nothing to escape.
    let pieces = [
        begin.as_str(),
        session.access_key.secret.expose(),
        "</SecretAccessKey><SessionToken>",
        token,
        &user,
        size.as_deref().unwrap_or_default(),
        identity.as_deref().unwrap_or_default(),
        &end,
    ];
    // Room for all of it from the start: growing would leave copies of the secrets in freed memory.
    let mut body = Zeroizing::new(String::with_capacity(pieces.iter().map(|it| it.len()).sum()));
    for piece in pieces {
        body.push_str(piece);
    }
    answer::secret_xml(StatusCode::OK, body, request_id)
}

/// A call that the engine refused.
pub(crate) fn refusal(error: &KmsError) -> Response<Body> {
    let (status, code) = match error.code() {
        ErrorCode::UnknownOperationException => (StatusCode::BAD_REQUEST, "InvalidAction"),
        ErrorCode::UnrecognizedClientException => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        ErrorCode::AccessDeniedException => (StatusCode::FORBIDDEN, "AccessDenied"),
        ErrorCode::KMSInternalException => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        ErrorCode::ExpiredTokenException => (StatusCode::FORBIDDEN, "ExpiredToken"),
        ErrorCode::ValidationException => (StatusCode::BAD_REQUEST, "ValidationError"),
        ErrorCode::SerializationException => (StatusCode::BAD_REQUEST, "MalformedInput"),
        ErrorCode::InvalidInputException => (StatusCode::BAD_REQUEST, "InvalidParameterValue"),
        ErrorCode::MalformedPolicyDocumentException => {
            (StatusCode::BAD_REQUEST, "MalformedPolicyDocument")
        }
        ErrorCode::PackedPolicyTooLargeException => {
            (StatusCode::BAD_REQUEST, "PackedPolicyTooLarge")
        }
        other => (StatusCode::BAD_REQUEST, other.as_str()),
    };
    let text = error.message().unwrap_or(match error.code() {
        ErrorCode::UnknownOperationException => "There is no such action in version 2011-06-15.",
        _ => "The request is not one of this action.",
    });
    refuse(status, code, text, error.request_id())
}

/// A request that nobody is proven to have made.
pub(crate) fn unauthenticated(refusal: &Unauthenticated, request_id: Guid) -> Response<Body> {
    let (status, code) = match refusal {
        Unauthenticated::Anonymous => (StatusCode::FORBIDDEN, "MissingAuthenticationToken"),
        Unauthenticated::Incomplete(_) => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
        Unauthenticated::UnknownAccessKey => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        Unauthenticated::ExpiredToken => (StatusCode::FORBIDDEN, "ExpiredToken"),
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
    fn markup_in_texts_stays_text() {
        assert_eq!(escape("a<b>&'c'"), "a&lt;b&gt;&amp;'c'");
    }
}
