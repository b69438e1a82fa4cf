//! Answers on the wire: status, content type, `x-amzn-RequestId`, body.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use keytrail_event::{Guid, Json};
use keytrail_kms::Answer;
use zeroize::Zeroizing;

pub(crate) type Body = Full<Bytes>;

/// The content type of the KMS API.
const JSON: &str = "application/x-amz-json-1.1";
/// The content type of the query protocol.
const XML: &str = "text/xml";
/// What people and Prometheus read.
const TEXT: &str = "text/plain; version=0.0.4";

/// A successful call of the KMS API. The answer is handed over, not copied: it is wiped when it was sent.
pub(crate) fn success(answer: Answer) -> Response<Body> {
    struct Wiped(Answer);
    impl AsRef<[u8]> for Wiped {
        fn as_ref(&self) -> &[u8] {
            self.0.json().as_bytes()
        }
    }
    let request_id = answer.request_id();
    with_request_id(respond(StatusCode::OK, JSON, Bytes::from_owner(Wiped(answer))), request_id)
}

/// A refusal in the JSON protocol: `{"__type":"DisabledException","message":"…"}`.
pub(crate) fn json_refusal(
    status: StatusCode,
    code: &str,
    message: Option<&str>,
    request_id: Guid,
) -> Response<Body> {
    let body = Json::object().with("__type", code).with_some("message", message).to_string();
    with_request_id(respond(status, JSON, body.into()), request_id)
}

pub(crate) fn xml(status: StatusCode, body: String, request_id: Guid) -> Response<Body> {
    with_request_id(respond(status, XML, body.into()), request_id)
}

/// XML with secrets in it. It is handed over, not copied, and wiped when it was sent.
pub(crate) fn secret_xml(
    status: StatusCode,
    body: Zeroizing<String>,
    request_id: Guid,
) -> Response<Body> {
    struct Wiped(Zeroizing<String>);
    impl AsRef<[u8]> for Wiped {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    with_request_id(respond(status, XML, Bytes::from_owner(Wiped(body))), request_id)
}

/// For people and for Prometheus.
pub(crate) fn text(status: StatusCode, body: String) -> Response<Body> {
    respond(status, TEXT, body.into())
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn with_request_id(mut response: Response<Body>, request_id: Guid) -> Response<Body> {
    // Hexadecimal digits and hyphens are a header value.
    if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
        response.headers_mut().insert("x-amzn-requestid", value);
    }
    response
}
