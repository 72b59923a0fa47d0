//! `POST /webhook/{secret}`: a body becomes events that are safe, or the caller learns that it did not.

use std::sync::Arc;

use axum::extract::State;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::timeout_at;

use super::error::WebhookError;
use super::state::WebhookState;
use super::verified::Verified;
use crate::http::server::ServerError;
use crate::intake::{Parsed, Refusal, Submission};

/// Longer bodies are read on a thread that may take its time: two megabytes of the worst take some hundredths
/// of a second, and everyone else is served meanwhile.
const LONG_BODY_BYTES: usize = 64 << 10;

/// Answers `EVENT_RECEIVED` once every event of the body is committed, or the body is in the spool.
pub async fn receive(
    State(webhook): State<Arc<WebhookState>>,
    verified: Verified,
) -> Result<&'static str, WebhookError> {
    let submission = read(verified.body, verified.received_at).await?;
    let answer = match &submission.content {
        Parsed::Events(_) => Ok("EVENT_RECEIVED"),
        Parsed::Unreadable(reason) => Err(WebhookError::NotJson(reason.clone())),
    };
    // The write goes on even when nobody waits for it any more.
    let stored = timeout_at(verified.deadline, webhook.intake.submit(submission, verified.room)).await;
    match (answer, stored.map_err(|_| WebhookError::Timeout)?) {
        (Err(WebhookError::NotJson(reason)), Err(Refusal::QuarantineFull)) => Err(WebhookError::NotKept(reason)),
        (answer, stored) => stored.map_err(WebhookError::from).and(answer),
    }
}

async fn read(body: Bytes, received_at: DateTime<Utc>) -> Result<Submission, WebhookError> {
    if body.len() < LONG_BODY_BYTES {
        return Ok(Submission::read(body, received_at));
    }
    let reading = tokio::task::spawn_blocking(move || Submission::read(body, received_at));
    reading.await.map_err(|_| ServerError::Panicked.into())
}
