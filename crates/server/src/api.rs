//! A signed request: body, turn, signature, call, answer; and one log line and one count for each.
//!
//! The engine is synchronous: a call waits, on its thread, until its record is durable, and whoever waits longest commits for
//! all. So each call gets a thread of tokio's blocking pool, bounded by [`Limits::calls_in_flight`](crate::Limits): a pool of
//! its own would do the same with more code, and a call on a worker thread would stop the connections of that worker for the
//! length of a sync. The signature is verified on that thread too, because hashing a body takes up to a millisecond.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, StatusCode};
use keytrail_auth::sigv4::{self, Expected, SignedRequest, Unauthenticated};
use keytrail_event::{Guid, Json};
use keytrail_kms::{Caller, Engine, EngineError};

use crate::answer::{self, Body};
use crate::connection::Peer;
use crate::log::Level;
use crate::server::Shared;
use crate::{form, query};

const TARGET: &str = "x-amz-target";
/// The name of KMS on the wire; AWS's own.
const TARGET_PREFIX: &str = "TrentService.";
/// What a request is recorded as that names no operation.
const UNNAMED: &str = "UnknownOperation";
/// What a record says where a client names itself by nothing.
const NO_USER_AGENT: &str = "-";

/// How a client speaks, and hence which service it means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// KMS: JSON 1.1, the operation in a header.
    Json,
    /// STS: a form in, XML out, the operation in the body.
    Query,
}

impl Protocol {
    fn of(headers: &HeaderMap) -> Self {
        let form = headers.get(CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().starts_with(b"application/x-www-form-urlencoded")
        });
        if form && !headers.contains_key(TARGET) { Self::Query } else { Self::Json }
    }

    const fn service(self) -> &'static str {
        match self {
            Self::Json => "kms",
            Self::Query => "sts",
        }
    }

    /// A refusal that the engine knows nothing of.
    fn refuse(
        self,
        status: StatusCode,
        code: &'static str,
        message: &str,
        id: Guid,
    ) -> Response<Body> {
        match self {
            Self::Json => answer::json_refusal(status, code, Some(message), id),
            Self::Query => query::refuse(status, code, message, id),
        }
    }
}

/// What became of a request: the answer, and what the log says.
struct Outcome {
    response: Response<Body>,
    operation: String,
    /// `OK` or the error's name.
    result: &'static str,
    /// `None` if nobody is proven to have made the request.
    caller: Option<Caller>,
    request_id: Guid,
}

pub(crate) async fn answer(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    request: Request<Incoming>,
) -> Response<Body> {
    let protocol = Protocol::of(request.headers());
    let (head, body) = request.into_parts();
    let body = match read(body, shared).await {
        Ok(body) => body,
        Err((status, code, message)) => {
            let response = protocol.refuse(status, code, &message, new_id(shared));
            return closing(response);
        }
    };
    let started = Instant::now();
    let turn = Arc::clone(&shared.turns).acquire_owned();
    let Ok(Ok(turn)) = tokio::time::timeout(shared.limits.turn_wait, turn).await else {
        shared.metrics.turned_away.fetch_add(1, Ordering::Relaxed);
        let status = StatusCode::BAD_REQUEST; // as AWS throttles; its clients try again
        return protocol.refuse(status, "ThrottlingException", "Rate exceeded", new_id(shared));
    };
    let work = {
        let (shared, peer) = (Arc::clone(shared), Arc::clone(peer));
        move || {
            let _inside = shared.metrics.in_flight.enter();
            let outcome = carry_out(&shared, &peer, protocol, &head, &body);
            report(&shared, &peer, protocol, &outcome, started.elapsed());
            drop(turn);
            outcome.response
        }
    };
    if let Ok(response) = tokio::task::spawn_blocking(work).await {
        return response;
    }
    // The engine panicked, which is our bug; what it said is on standard error. This client is told that the call failed, and
    // no other is concerned unless the state was being changed: then the engine has stopped.
    let request_id = new_id(shared);
    let fields = Json::object()
        .with("service", protocol.service())
        .with("source", peer.address.as_str())
        .with("requestId", request_id.to_string());
    shared.log(Level::Warning, "call panicked", fields);
    internal(protocol, request_id)
}

/// The whole body, or why not: status, code, message.
async fn read(
    body: Incoming,
    shared: &Shared,
) -> Result<Bytes, (StatusCode, &'static str, String)> {
    let (max, wait) = (shared.limits.body_bytes, shared.limits.body_wait);
    let too_long = || {
        let text = format!("The body must not have more than {max} bytes.");
        Err((StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", text))
    };
    // Announced, so that not even the beginning need be read.
    if body.size_hint().lower() > u64::try_from(max).unwrap_or(u64::MAX) {
        return too_long();
    }
    match tokio::time::timeout(wait, Limited::new(body, max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_long(),
        Ok(Err(_)) => Err((
            StatusCode::BAD_REQUEST,
            "SerializationException",
            "The body ended before its end.".to_owned(),
        )),
        Err(_) => Err((
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeoutException",
            format!("The body did not arrive within {} seconds.", wait.as_secs()),
        )),
    }
}

/// Verifies who calls, and calls the engine. Blocks until the record is durable.
fn carry_out(
    shared: &Shared,
    peer: &Peer,
    protocol: Protocol,
    head: &Parts,
    body: &[u8],
) -> Outcome {
    let operation = match protocol {
        Protocol::Json => target(&head.headers),
        Protocol::Query => form::action(body).unwrap_or(UNNAMED).to_owned(),
    };
    match authenticate(shared, protocol, head, body) {
        Ok(caller) => call(shared, protocol, operation, describe(caller, peer, head), body),
        Err(Refused::Unauthenticated(refusal)) => {
            let request_id = new_id(shared);
            let response = match protocol {
                Protocol::Json => {
                    let (status, text) = (StatusCode::BAD_REQUEST, refusal.to_string());
                    answer::json_refusal(status, refusal.code(), Some(&text), request_id)
                }
                Protocol::Query => query::unauthenticated(&refusal, request_id),
            };
            Outcome { response, operation, result: refusal.code(), caller: None, request_id }
        }
        Err(Refused::Engine) => {
            let (result, request_id) = ("KMSInternalException", new_id(shared));
            let response = internal(protocol, request_id);
            Outcome { response, operation, result, caller: None, request_id }
        }
    }
}

/// Why there is no caller.
enum Refused {
    Unauthenticated(Unauthenticated),
    /// The engine cannot even say whose key it is.
    Engine,
}

fn authenticate(
    shared: &Shared,
    protocol: Protocol,
    head: &Parts,
    body: &[u8],
) -> Result<Caller, Refused> {
    let headers: Vec<(&str, &[u8])> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = SignedRequest { method: head.method.as_str(), headers: &headers, body };
    let expected = Expected {
        regions: match protocol {
            Protocol::Json => &shared.engine.config().regions,
            Protocol::Query => &shared.sts_regions,
        },
        service: protocol.service(),
        now: shared.environment.clock.now(),
    };
    let (mut engine_failed, mut claimed) = (false, None);
    let proof = sigv4::verify(&request, &expected, |claim| {
        match shared.engine.credentials(claim.access_key_id, claim.session_token) {
            Ok((secret, caller)) => {
                claimed = Some(caller);
                Ok(secret)
            }
            Err(EngineError::ExpiredToken) => Err(Unauthenticated::ExpiredToken),
            Err(error) => {
                engine_failed = !matches!(error, EngineError::UnknownAccessKey { .. });
                Err(Unauthenticated::UnknownAccessKey)
            }
        }
    });
    if engine_failed {
        return Err(Refused::Engine);
    }
    // Only now is the claimed caller who called.
    let proof = proof.map_err(Refused::Unauthenticated)?;
    let caller = claimed.ok_or(Refused::Engine)?;
    Ok(caller.in_region(proof.region().clone()))
}

/// The caller with what the record says about its connection.
fn describe(caller: Caller, peer: &Peer, head: &Parts) -> Caller {
    let text = |name| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let user_agent = text(USER_AGENT);
    let caller = caller
        .from_source(&peer.address)
        .with_user_agent(user_agent.as_deref().unwrap_or(NO_USER_AGENT));
    match &peer.tls {
        Some(agreed) => caller.with_tls(agreed.details(&text(HOST).unwrap_or_default())),
        None => caller,
    }
}

fn call(
    shared: &Shared,
    protocol: Protocol,
    operation: String,
    caller: Caller,
    body: &[u8],
) -> Outcome {
    let answered = match protocol {
        Protocol::Json => shared.engine.call(&caller, &operation, body),
        Protocol::Query => {
            // What is no form has no parameters that the engine could read: it says so, and it is recorded.
            let input = form::parameters(body).map(|form| form.to_string());
            shared.engine.call_sts(&caller, &operation, input.as_deref().unwrap_or("").as_bytes())
        }
    };
    let (response, result, request_id) = match answered {
        Ok(answer) => {
            let request_id = answer.request_id();
            let response = match protocol {
                Protocol::Json => answer::success(answer),
                Protocol::Query => query::success(&operation, &caller, &answer),
            };
            (response, "OK", request_id)
        }
        Err(error) => {
            let response = match protocol {
                Protocol::Json => {
                    let status = StatusCode::from_u16(error.http_status())
                        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    let code = error.code().as_str();
                    answer::json_refusal(status, code, error.message(), error.request_id())
                }
                Protocol::Query => query::refusal(&error),
            };
            (response, error.code().as_str(), error.request_id())
        }
    };
    Outcome { response, operation, result, caller: Some(caller), request_id }
}

/// Counts and logs.
fn report(shared: &Shared, peer: &Peer, protocol: Protocol, outcome: &Outcome, took: Duration) {
    let Outcome { operation, result, caller, .. } = outcome;
    let service = protocol.service();
    match caller {
        Some(_) => {
            let known = Engine::known_operation(operation);
            shared.metrics.call(service, known, result, took);
        }
        None => shared.metrics.unauthenticated(result),
    }
    warn_of_worn_materials(shared);
    let is_ours = outcome.response.status().is_server_error();
    let level = if caller.is_none() || is_ours { Level::Warning } else { Level::Info };
    if !shared.log.wants(level) {
        return;
    }
    let event = if caller.is_some() { "request" } else { "unauthenticated request" };
    let fields = Json::object()
        .with("service", service)
        .with("operation", operation.chars().take(64).collect::<String>())
        .with("outcome", *result)
        .with("status", i64::from(outcome.response.status().as_u16()))
        .with("micros", i64::try_from(took.as_micros()).unwrap_or(i64::MAX))
        .with("source", peer.address.as_str())
        .with_some("principal", caller.as_ref().map(|caller| caller.principal().to_string()))
        .with_some("accessKeyId", caller.as_ref().map(|caller| caller.access_key_id().as_str()))
        .with("requestId", outcome.request_id.to_string());
    shared.log(level, event, fields);
}

/// Names the key materials that encrypted more than is set, whenever there is one more of them.
fn warn_of_worn_materials(shared: &Shared) {
    let worn = shared.engine.worn_material_count();
    if worn <= shared.metrics.worn_told.load(Ordering::Relaxed)
        || shared.metrics.worn_told.fetch_max(worn, Ordering::Relaxed) >= worn
    {
        return;
    }
    for material in shared.engine.worn_materials().unwrap_or_default() {
        let fields = Json::object()
            .with("keyArn", material.key_arn)
            .with("keyMaterialId", material.key_material_id)
            .with("encryptions", i64::try_from(material.encryptions).unwrap_or(i64::MAX));
        shared.log(Level::Warning, "key material is worn: rotate the key", fields);
    }
}

/// The operation that `x-amz-target` names. Another service's is passed on whole: the engine knows none of that name.
fn target(headers: &HeaderMap) -> String {
    let target = headers.get(TARGET).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let target = target.as_deref().unwrap_or(UNNAMED);
    target.strip_prefix(TARGET_PREFIX).unwrap_or(target).to_owned()
}

fn internal(protocol: Protocol, request_id: Guid) -> Response<Body> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let text = "The request was rejected because an internal exception occurred. The request can be retried.";
    match protocol {
        Protocol::Json => protocol.refuse(status, "KMSInternalException", text, request_id),
        Protocol::Query => protocol.refuse(status, "InternalFailure", text, request_id),
    }
}

/// The rest of the body is not read, so nothing can follow on this connection.
fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The id of a request that becomes no call.
fn new_id(shared: &Shared) -> Guid {
    let mut bytes = [0; 16];
    shared.environment.random.fill(&mut bytes);
    Guid::from_random(bytes)
}
