//! HTTP/1.1 over TCP, directly on hyper: for the header time-out, the connection limit and the graceful
//! end that `axum::serve` does not offer.
//!
//! Limits: `max_connections` connections; about 64 KiB and 100 header lines a request head; a head that is not
//! complete within 75 s ends its connection, and so does silence. When all connections are taken, the one that has
//! been idle longest makes room, so that a crowd of silent ones locks nobody out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::connections::{Connection, Connections};
use crate::telemetry::repeated::Repeated;

const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;

/// For a request's head, and for the silence between requests. Longer than proxies keep idle connections to their
/// upstream (nginx: 60 s), so that it is they who close them: a POST that crosses our closing would be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long to wait before accepting again when the system refuses (no file descriptors left, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub max_connections: usize,
    /// For the requests that are under way when the listener stops.
    pub grace: Duration,
}

/// The address at the other end of the connection; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop` resolves; then takes no more connections, lets requests under way end within the grace, and
/// returns.
pub async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Connections::default());
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let accept = async {
        let mut failures = Repeated::default();
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(times) = failures.happened(1, Instant::now()) {
                        tracing::warn!(%error, times, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if room.available_permits() == 0 {
                connections.close_idle();
            }
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let connections = Arc::clone(&connections);
            let connection = connections.open();
            let served = graceful.watch(http(stream, Peer(peer), routes.clone(), Arc::clone(&connection)));
            tokio::spawn(async move {
                tokio::select! {
                    // How a client ends its connection is its own affair.
                    _ = served => {}
                    () = connection.asked_to_close() => {}
                }
                connections.closed(&connection);
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off unanswered");
    }
}

/// Speaks HTTP on one connection.
fn http(
    stream: TcpStream,
    peer: Peer,
    routes: Router,
    connection: Arc<Connection>,
) -> impl GracefulConnection<Output: Send> + Send {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (routes, connection) = (routes.clone(), Arc::clone(&connection));
        async move {
            let _busy = connection.busy();
            let response: Result<Response, Infallible> = routes.oneshot(Request::from(request.map(Body::new))).await;
            response
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}
