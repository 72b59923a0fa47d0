//! `/healthz`: the process serves. `/readyz`: a POST would be durable now, and what each part says.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::time::timeout;

use crate::clock;
use crate::intake::Intake;
use crate::spool::Spool;
use crate::store::Store;

/// A database that takes longer to answer a health check is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whoever takes part in making a POST durable.
#[derive(Debug)]
pub struct HealthState {
    pub intake: Arc<Intake>,
    pub store: Store,
    pub spool: Spool,
}

pub fn router(state: HealthState) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(Arc::new(state))
}

async fn alive() -> &'static str {
    "ok"
}

/// 200 while either the database with an up-to-date schema or the spool takes events.
async fn ready(State(parts): State<Arc<HealthState>>) -> impl IntoResponse {
    // Why it is away is in the log; here anyone may look.
    let (database, migrations) = match timeout(PATIENCE, parts.store.pending_migrations()).await {
        Ok(Ok(_)) if parts.intake.is_database_away() => ("away", "unknown".to_owned()),
        Ok(Ok(0)) => ("ok", "ok".to_owned()),
        Ok(Ok(pending)) => ("ok", format!("{pending} pending")),
        Ok(Err(_)) | Err(_) => ("away", "unknown".to_owned()),
    };
    let spool = parts.spool.check();
    let waiting = parts.spool.waiting();
    let is_ready = migrations == "ok" || spool.is_ok();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let spool = json!({
        "state": spool.map_or_else(|error| error.as_str(), |()| "ok"),
        "entries": waiting.entries,
        "bytes": waiting.bytes,
        "age_seconds": waiting.age(clock::now()).as_secs(),
    });
    (status, Json(json!({ "database": database, "migrations": migrations, "spool": spool })))
}
