//! `/healthz`: the process serves. `/readyz`: a POST would be durable now, and what each part says.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use chrono::TimeDelta;
use serde_json::json;

use crate::clock;
use crate::intake::{DatabaseState, Intake};
use crate::spool::Spool;

/// Whoever takes part in making a POST durable.
#[derive(Debug)]
pub struct HealthState {
    pub intake: Arc<Intake>,
    pub spool: Spool,
}

pub fn router(state: HealthState) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(Arc::new(state))
}

async fn alive() -> &'static str {
    "ok"
}

/// 200 while either the database or the spool takes events.
async fn ready(State(parts): State<Arc<HealthState>>) -> impl IntoResponse {
    let database = parts.intake.database();
    let spool = parts.spool.check();
    let waiting = parts.spool.waiting();
    let is_ready = database == DatabaseState::Ok || spool.is_ok();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let migrations = match database {
        DatabaseState::Ok => "ok".to_owned(),
        DatabaseState::Behind(pending) => format!("{pending} pending"),
        _ => "unknown".to_owned(),
    };
    // Why it is away is in the log; here anyone may look.
    let (state, advice) = match database {
        DatabaseState::Starting => ("starting", None),
        DatabaseState::Behind(_) => ("migrating", None),
        DatabaseState::Ok => ("ok", None),
        DatabaseState::Away => ("away", None),
        DatabaseState::Unusable(advice) => ("unusable", Some(advice)),
    };
    let spool = json!({
        "state": spool.map_or_else(|error| error.as_str(), |()| "ok"),
        "entries": waiting.entries,
        "bytes": waiting.bytes,
        "age_seconds": waiting.age(clock::now()).as_secs(),
    });
    let clock_skew = parts.intake.clock_skew().map(TimeDelta::as_seconds_f64);
    let mut report =
        json!({ "database": state, "migrations": migrations, "clock_skew_seconds": clock_skew, "spool": spool });
    if let Some(advice) = advice {
        report["advice"] = advice.into();
    }
    (status, Json(report))
}
