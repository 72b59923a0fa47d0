//! HTTP/1.1 over TCP, directly on hyper: for the header time-out, the connection limit and the graceful
//! end that `axum::serve` does not offer.
//!
//! Limits: `max_connections` connections; about 64 KiB and 100 header lines a request head; a head that is not
//! complete within the header time-out ends its connection, and so does an idle one. When all connections
//! are taken, the one that has been idle longest makes room, so that a crowd of silent ones locks nobody out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt;

use super::source::Peer;

const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;

/// How long to wait before accepting again when the system refuses (no file descriptors left, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub max_connections: usize,
    /// For a request's head, and for the silence between requests.
    pub header_timeout: Duration,
}

/// Serves until `stop` resolves; then takes no more connections, lets requests under way end within
/// `grace`, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let crowd = Arc::new(Crowd::default());
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let accept = async {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if room.available_permits() == 0 {
                crowd.dismiss_idle();
            }
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let connection = connection(stream, router.clone(), Peer(peer), limits, crowd.join());
            let (connection, member) = connection;
            let connection = graceful.watch(connection);
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move {
                tokio::select! {
                    // How a client ends its connection is its own affair.
                    _ = connection => {}
                    () = member.dismissed.notified() => {}
                }
                crowd.leave(&member);
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off unanswered");
    }
}

type Connection<S> = http1::Connection<TokioIo<TcpStream>, S>;

fn connection(
    stream: TcpStream,
    router: Router,
    peer: Peer,
    limits: Limits,
    member: Arc<Member>,
) -> (
    Connection<
        impl hyper::service::HttpService<Incoming, ResBody = axum::body::Body, Error = Infallible, Future: Send> + Send,
    >,
    Arc<Member>,
) {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let activity = Arc::clone(&member);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (router, activity) = (router.clone(), Arc::clone(&activity));
        async move {
            let _busy = activity.busy();
            let response: Result<Response, Infallible> =
                router.oneshot(Request::from(request.map(axum::body::Body::new))).await;
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    (connection, member)
}

/// The open connections, to find the one that has been idle longest.
#[derive(Debug, Default)]
struct Crowd {
    members: Mutex<(u64, BTreeMap<u64, Arc<Member>>)>,
}

#[derive(Debug)]
struct Member {
    id: u64,
    requests: AtomicUsize,
    active_at: Mutex<Instant>,
    dismissed: Notify,
}

impl Crowd {
    fn join(&self) -> Arc<Member> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.0 += 1;
        let id = members.0;
        let (active_at, dismissed) = (Mutex::new(Instant::now()), Notify::new());
        let member = Arc::new(Member { id, requests: AtomicUsize::new(0), active_at, dismissed });
        members.1.insert(id, Arc::clone(&member));
        member
    }

    fn leave(&self, member: &Member) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&member.id);
    }

    fn dismiss_idle(&self) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = members.1.values().filter(|member| member.requests.load(Ordering::Relaxed) == 0);
        let longest = idle.min_by_key(|member| *member.active_at.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(id) = longest.map(|member| member.id) {
            // Taken out at once, so that the next one in need finds another.
            if let Some(member) = members.1.remove(&id) {
                member.dismissed.notify_one();
            }
        }
    }
}

impl Member {
    fn busy(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

/// A request under way.
struct Busy(Arc<Member>);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.active_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
