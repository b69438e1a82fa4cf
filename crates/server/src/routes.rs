//! Which path answers what. Only `POST /` is signed; the three others show nothing but the state of the process.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::answer::{self, Body};
use crate::api;
use crate::connection::Peer;
use crate::metrics::EngineGauges;
use crate::server::Shared;

pub(crate) async fn answer(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    request: Request<Incoming>,
) -> Response<Body> {
    let is_get = request.method() == Method::GET;
    match request.uri().path() {
        // A query string would not be covered by the signature, so there is none.
        "/" if request.uri().query().is_some() => not_found(),
        "/" if request.method() == Method::POST => api::answer(shared, peer, request).await,
        "/" => only("POST"),
        "/health" | "/ready" | "/metrics" if !is_get => only("GET"),
        "/health" => answer::text(StatusCode::OK, "OK\n".to_owned()),
        "/ready" if shared.is_ready() => answer::text(StatusCode::OK, "READY\n".to_owned()),
        "/ready" => answer::text(StatusCode::SERVICE_UNAVAILABLE, "NOT READY\n".to_owned()),
        "/metrics" => {
            let engine = EngineGauges {
                ledger_entries: shared.engine.ledger().size(),
                clock_offset_seconds: shared.engine.clock_offset().as_secs(),
                material_encryptions_max: shared.engine.material_encryptions_max(),
                worn_materials: shared.engine.worn_material_count(),
            };
            let text = shared.metrics.text(&engine, shared.is_ready());
            answer::text(StatusCode::OK, text)
        }
        _ => not_found(),
    }
}

fn not_found() -> Response<Body> {
    let text = "Here is the KMS API (POST /, signed), /health, /ready and /metrics.\n";
    answer::text(StatusCode::NOT_FOUND, text.to_owned())
}

fn only(method: &'static str) -> Response<Body> {
    let text = format!("Only {method} is answered here.\n");
    let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, text);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}
