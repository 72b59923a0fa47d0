//! The doors: the public listener with the webhook and the health endpoints, and the operator's listener
//! with the metrics.
//!
//! A handler sees a body only as [`verified::Verified`]: sender, secret, length and signature have been
//! checked by then, in this order, so that a stranger's body is not even read.

mod admin;
mod error;
mod handshake;
mod health;
mod hook;
mod server;
mod source;
mod verified;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Router, body::Body};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

pub use admin::router as admin_router;
pub use hook::Hook;
pub use server::{Limits, serve};

use crate::config::Config;
use crate::telemetry::metrics;

/// The public routes.
pub fn router(hook: Arc<Hook>) -> Router {
    let webhook: MethodRouter<Arc<Hook>> = post(webhook::receive).get(handshake::answer);
    // The other form is not found, like any path that does not exist.
    let path = if hook.webhook.secrets.is_empty() { "/webhook" } else { "/webhook/{secret}" };
    let routes = Router::new()
        .route(path, webhook)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_found)
        .with_state(hook);
    observed(routes)
}

/// Counts and traces every request by its route, never by its path, which holds the secret; and answers
/// where a handler panics.
fn observed(routes: Router) -> Router {
    let span = |request: &Request| {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        tracing::debug_span!("request", method = %request.method(), route)
    };
    let answered = |response: &Response<Body>, took: Duration, _: &Span| {
        metrics::request(response.status().as_u16());
        tracing::debug!(status = response.status().as_u16(), took_us = took.as_micros(), "answered");
    };
    let trace = TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(answered).on_failure(());
    routes.layer(CatchPanicLayer::custom(error::panicked)).layer(trace)
}

/// Longer than proxies keep idle connections to their upstream (nginx: 60 s), so that it is they who close
/// them: a POST that crosses our closing would be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The public listener's limits.
#[must_use]
pub fn limits(config: &Config) -> Limits {
    Limits { max_connections: config.http.max_connections, header_timeout: IDLE_TIMEOUT }
}
