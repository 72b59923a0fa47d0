//! A small server that stands in for somebody else's API, on a port of this machine's own. What it holds can be filled and
//! read while it serves.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http::server::{self, Limits};

const LIMITS: Limits = Limits { max_connections: 1_024, grace: Duration::ZERO };

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    /// As it was sent, escapes included.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    /// Null if there is none, or if it is no JSON.
    pub body: Value,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

/// What is stood in for.
pub trait Api: std::fmt::Debug + Send + 'static {
    fn answer(&mut self, call: &Call) -> Reply;
}

/// The API, and every call that it has answered.
#[derive(Debug)]
pub struct Simulated<A> {
    pub api: A,
    pub calls: Vec<Call>,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Simulator<A> {
    simulated: Arc<Mutex<Simulated<A>>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl<A: Api> Simulator<A> {
    /// Begins to serve on a free port.
    ///
    /// # Errors
    /// The system gives no port.
    pub async fn start(api: A) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let simulated = Arc::new(Mutex::new(Simulated { api, calls: Vec::new() }));
        let routes = Router::new().fallback(answer::<A>).with_state(Arc::clone(&simulated));
        let task = tokio::spawn(server::serve(listener, routes, LIMITS, std::future::pending()));
        Ok(Self { simulated, address, task })
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it holds; it answers nobody while this is held.
    pub fn lock(&self) -> MutexGuard<'_, Simulated<A>> {
        self.simulated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A> Drop for Simulator<A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Call {
    /// A parameter of the URL; empty if it is missing.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// What stands between the path's slashes, without escapes.
    pub fn parts(&self) -> Vec<String> {
        // A plus stands for itself in a path.
        let whole = |part: &str| format!("part={}", part.replace('+', "%2B"));
        let decoded =
            |part| url::form_urlencoded::parse(whole(part).as_bytes()).next().map(|(_, part)| part.into_owned());
        self.path.split('/').skip(1).filter_map(decoded).collect()
    }

    /// A header; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A text of the body; empty if it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

impl Reply {
    /// An answer with the status 200.
    pub fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body }
    }
}

async fn answer<A: Api>(
    State(simulated): State<Arc<Mutex<Simulated<A>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let path = uri.path().to_owned();
    let call = Call { method, path, query, headers, body: serde_json::from_slice(&body).unwrap_or_default() };
    let reply = {
        let mut simulated = simulated.lock().unwrap_or_else(PoisonError::into_inner);
        simulated.calls.push(call.clone());
        simulated.api.answer(&call)
    };
    let mut response = Response::builder().status(reply.status).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body.to_string())).unwrap_or_default()
}
