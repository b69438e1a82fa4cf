//! One connection: HTTP/1.1 by `hyper`, with limits on headers and idle time, until it ends or the endpoint stops.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::routes;
use crate::server::Shared;
use crate::stream::Impatient;
use crate::tls::Agreed;

/// The other side, as a record will name it.
pub(crate) struct Peer {
    /// Its IP address, without the port.
    pub(crate) address: String,
    /// What was agreed on, over TLS.
    pub(crate) tls: Option<Agreed>,
}

/// Answers the connection's requests, one after the other.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = shared.limits;
    let peer = Arc::new(peer);
    let service = service_fn(|request| {
        let (shared, peer) = (Arc::clone(&shared), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(routes::answer(&shared, &peer, request).await) }
    });
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_wait)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes);
    let stream = TokioIo::new(Impatient::new(stream, limits.write_wait));
    let mut connection = pin!(protocol.serve_connection(stream, service));
    // How a connection ends (a client that went away, malformed HTTP that hyper has answered with 400) is not an event: what
    // matters was a request, and is counted there.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
