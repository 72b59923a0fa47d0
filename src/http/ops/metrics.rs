//! `/metrics`, for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock;
use crate::intake::{DatabaseState, Intake};
use crate::spool::Spool;
use crate::telemetry::metrics;

/// Renders what was recorded, and what waits at the moment.
pub fn router(recorded: PrometheusHandle, intake: Arc<Intake>, spool: Spool) -> Router {
    metrics::spool_bound(spool.max_bytes());
    let render = move || async move {
        let waiting = spool.waiting();
        let age = waiting.age(clock::now());
        metrics::waiting(intake.waiting(), waiting.entries, waiting.bytes, age, intake.database() != DatabaseState::Ok);
        ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render(&recorded))
    };
    Router::new().route("/metrics", get(render))
}
