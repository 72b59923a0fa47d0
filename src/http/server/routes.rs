//! What holds for the routes of all doors of a listener.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::response::Response;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use super::error::{Code, not_found, panicked};
use crate::telemetry::metrics;
use crate::telemetry::repeated::Repeated;

/// Answers where no door is, and where a handler panics.
pub fn guarded(doors: Router) -> Router {
    let routes = doors.fallback(not_found).method_not_allowed_fallback(not_found);
    routes.layer(CatchPanicLayer::custom(panicked))
}

/// The same for the public listener: each request is counted and traced, by its route and never by its path, which
/// holds the secret.
pub fn observed(doors: Router) -> Router {
    let span = |request: &Request| {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
        tracing::debug_span!("request", method = %request.method(), route)
    };
    let refusals = Arc::new(Refusals::default());
    let answered = move |response: &Response<Body>, took: Duration, _: &Span| {
        metrics::request(response.status().as_u16());
        if response.status() == StatusCode::SERVICE_UNAVAILABLE
            && let Some(Code(code)) = response.extensions().get()
        {
            refusals.tell(code);
        }
        tracing::debug!(status = response.status().as_u16(), took_us = took.as_micros(), "answered");
    };
    let trace = TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(answered).on_failure(());
    guarded(doors).layer(trace)
}

/// How often requests were refused, by the code of the answer, which nobody but the sender sees.
#[derive(Debug, Default)]
struct Refusals(Mutex<HashMap<&'static str, Repeated>>);

impl Refusals {
    fn tell(&self, code: &'static str) {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = refusals.entry(code).or_default().happened(1, Instant::now()) {
            tracing::error!(code, requests, "requests were answered with 503; what they hold may be lost");
        }
    }
}
