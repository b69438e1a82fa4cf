//! The endpoint as its users see it: made from an engine, run on a listener, stopped by a future.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keytrail_event::{Json, Region};
use keytrail_kms::{Engine, Environment};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::connection::{self, Peer};
use crate::log::{self, Level, Log};
use crate::metrics::Metrics;
use crate::tls::Agreed;
use crate::{Limits, ServerError, TlsIdentity};

/// How long no connection is taken after taking one has failed: the cause (no file descriptors) passes, if at all, slowly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An HTTP endpoint over an engine that it owns.
pub struct Server {
    shared: Arc<Shared>,
}

/// What all connections have in common.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) environment: Environment,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) log: Arc<dyn Log>,
    /// The Regions that requests to STS may be signed for.
    pub(crate) sts_regions: Vec<Region>,
    /// Permits for calls: see [`Limits::calls_in_flight`].
    pub(crate) turns: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
    stopping: AtomicBool,
}

impl Server {
    /// An endpoint that answers for this engine, over TLS if there is an identity. Nothing runs yet.
    ///
    /// `environment` tells the time by which signatures are judged, and gives the ids of requests that are no calls.
    pub fn new(
        engine: Engine,
        environment: Environment,
        limits: Limits,
        tls: Option<TlsIdentity>,
        log: Arc<dyn Log>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(limits.calls_in_flight));
        let (metrics, stopping) = (Metrics::default(), AtomicBool::new(false));
        let tls = tls.map(TlsIdentity::acceptor);
        let sts_regions = engine.config().sts_regions();
        let shared =
            Shared { engine, environment, limits, metrics, log, sts_regions, turns, tls, stopping };
        Self { shared: Arc::new(shared) }
    }

    /// Answers requests until `stop` is ready, then takes no new ones, finishes those under way
    /// (at most [`Limits::stop_wait`]), and closes the engine.
    ///
    /// Needs a tokio runtime with timers, networking and at least [`Limits::calls_in_flight`] blocking threads.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        let shared = self.shared;
        let (tell_stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let slots = Arc::new(Semaphore::new(shared.limits.connections));
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = stop.as_mut() => break,
                // Connections that have ended are taken out as they do, so that the set does not grow.
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, &slots) => accepted,
            };
            match accepted {
                Ok((stream, address, slot)) => {
                    let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
                    connections.spawn(async move {
                        let _slot = slot;
                        serve(shared, stream, address, stopped).await;
                    });
                }
                Err(error) => {
                    let fields = Json::object().with("reason", error.to_string());
                    shared.log(Level::Warning, "accept failed", fields);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        shared.stopping.store(true, Ordering::Relaxed);
        tell_stop.send_replace(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(shared.limits.stop_wait, all_ended).await.is_ok();
        connections.shutdown().await;
        close(shared, in_time).await
    }
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    // Only for speed. It fails when the client is gone already, which whoever reads will find out.
    let _ = stream.set_nodelay(true);
    Ok((stream, address, slot))
}

async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    stopped: watch::Receiver<bool>,
) {
    let counted = Arc::clone(&shared);
    let _inside = counted.metrics.connections.enter();
    // An IPv4 client of an IPv6 socket is known by its own address.
    let address = address.ip().to_canonical().to_string();
    let Some(acceptor) = &counted.tls else {
        return connection::serve(shared, stream, Peer { address, tls: None }, stopped).await;
    };
    let handshake = tokio::time::timeout(counted.limits.header_wait, acceptor.accept(stream));
    match handshake.await {
        Ok(Ok(stream)) => {
            let tls = Some(Agreed::by(stream.get_ref().1));
            connection::serve(shared, stream, Peer { address, tls }, stopped).await;
        }
        // Plain HTTP, a client that does not trust the certificate, or one that is too slow: it has made no request.
        Ok(Err(error)) => {
            let fields = Json::object().with("source", address).with("reason", error.to_string());
            counted.log(Level::Info, "handshake failed", fields);
        }
        Err(_) => {}
    }
}

/// Closes the engine after the last call. A call that hangs in the disk keeps it: then it is closed when that call ends, or
/// not at all, and the next opening reads the ledger instead of the snapshot.
async fn close(shared: Arc<Shared>, in_time: bool) -> Result<(), ServerError> {
    let all = u32::try_from(shared.limits.calls_in_flight).unwrap_or(u32::MAX);
    let ended = shared.turns.acquire_many(all);
    let idle = tokio::time::timeout(shared.limits.stop_wait, ended).await.is_ok();
    if !(in_time && idle) {
        shared.log(Level::Warning, "stopped with requests under way", Json::object());
    }
    match Arc::into_inner(shared) {
        Some(shared) => shared.engine.close().map_err(ServerError::Close),
        None => Ok(()),
    }
}

impl Shared {
    /// Whether calls are taken.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && !self.engine.is_stopped()
    }

    pub(crate) fn log(&self, level: Level, event: &str, fields: Json) {
        log::event(&*self.log, level, self.environment.clock.now(), event, fields);
    }
}
