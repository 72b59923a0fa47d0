//! `/healthz`: the process serves. `/readyz`: a POST would be durable now, and if not, which part is missing.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use tokio::time::timeout;

use super::hook::Hook;

/// A database that takes longer to answer a health check is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn alive() -> &'static str {
    "ok"
}

pub async fn ready(State(hook): State<Arc<Hook>>) -> impl IntoResponse {
    let (database, migrations) = match timeout(PATIENCE, hook.store.pending_migrations()).await {
        Ok(Ok(0)) => ("ok".to_owned(), "ok".to_owned()),
        Ok(Ok(pending)) => ("ok".to_owned(), format!("{pending} pending")),
        Ok(Err(error)) => (error.to_string(), "unknown".to_owned()),
        Err(_) => ("no answer in time".to_owned(), "unknown".to_owned()),
    };
    let status = if migrations == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "database": database, "migrations": migrations })))
}
