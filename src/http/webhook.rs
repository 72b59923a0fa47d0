//! `POST /webhook/{secret}`: a body becomes events that are safe, or the caller learns that it did not.

use std::sync::Arc;

use axum::extract::State;
use tokio::time::timeout_at;

use super::error::ApiError;
use super::hook::Hook;
use super::verified::Verified;
use crate::intake::{Content, Submission};

/// Answers `EVENT_RECEIVED` once every event of the body is committed, or the body is in the spool.
pub async fn receive(State(hook): State<Arc<Hook>>, verified: Verified) -> Result<&'static str, ApiError> {
    let submission = Submission::read(verified.body, verified.received_at);
    let answer = match &submission.content {
        Content::Events(_) => Ok("EVENT_RECEIVED"),
        Content::Unreadable(reason) => Err(ApiError::NotJson(reason.clone())),
    };
    // The write goes on even when nobody waits for it any more.
    timeout_at(verified.deadline, hook.intake.submit(submission)).await.map_err(|_| ApiError::Timeout)??;
    answer
}
