//! `POST /webhook/{secret}`: a body becomes committed events, or the caller learns that it did not.

use std::sync::Arc;

use axum::extract::State;
use tokio::time::timeout_at;

use super::error::ApiError;
use super::hook::Hook;
use super::verified::Verified;
use crate::intake::{Content, Submission};
use crate::messenger;
use crate::telemetry::metrics;

/// Answers `EVENT_RECEIVED` once every event of the body is committed.
pub async fn receive(State(hook): State<Arc<Hook>>, verified: Verified) -> Result<&'static str, ApiError> {
    let Verified { body, received_at, deadline } = verified;
    let (content, answer) = match messenger::parse(&body, received_at) {
        Ok(events) => (Content::Events(events), Ok("EVENT_RECEIVED")),
        Err(error) => (Content::Unreadable(error.to_string()), Err(ApiError::NotJson(error))),
    };
    let submission = Submission { body, received_at, content };
    metrics::received(submission.events());
    // The write goes on even when nobody waits for it any more.
    timeout_at(deadline, hook.intake.submit(submission)).await.map_err(|_| ApiError::Timeout)??;
    answer
}
