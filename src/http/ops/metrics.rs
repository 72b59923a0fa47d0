//! The operator's listener: `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock;
use crate::intake::Intake;
use crate::spool::Spool;
use crate::telemetry::metrics;

/// The routes of the admin listener.
pub fn router(handle: PrometheusHandle, intake: Arc<Intake>, spool: Spool) -> Router {
    let render = move || async move {
        let waiting = spool.waiting();
        let age = waiting.age(clock::now());
        metrics::waiting(intake.waiting(), waiting.entries, waiting.bytes, age, intake.is_database_away());
        ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render(&handle))
    };
    Router::new()
        .route("/metrics", get(render))
        .fallback(super::error::not_found)
        .method_not_allowed_fallback(super::error::not_found)
}
