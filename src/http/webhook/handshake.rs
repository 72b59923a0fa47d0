//! `GET /webhook/{secret}?hub.mode=subscribe&…`: Meta's proof that the URL is ours ("Verification Requests").

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query, Request, State};
use serde::Deserialize;

use super::error::WebhookError;
use super::state::WebhookState;
use super::verified::check_caller;
use crate::telemetry::metrics::TurnedAway;

#[derive(Deserialize)]
struct Handshake {
    #[serde(rename = "hub.mode")]
    mode: String,
    #[serde(rename = "hub.verify_token")]
    verify_token: String,
    #[serde(rename = "hub.challenge")]
    challenge: String,
}

/// Answers with the challenge.
pub async fn answer(State(webhook): State<Arc<WebhookState>>, request: Request) -> Result<String, WebhookError> {
    check_caller(&webhook, &request)?;
    let (mut parts, _) = request.into_parts();
    let handshake = Query::<Handshake>::from_request_parts(&mut parts, &webhook).await;
    let Query(handshake) = handshake.map_err(|_| webhook.strangers.turn_away(TurnedAway::VerifyToken))?;
    if handshake.mode != "subscribe" || !webhook.config.verify_token.matches(&handshake.verify_token) {
        return Err(webhook.strangers.turn_away(TurnedAway::VerifyToken));
    }
    Ok(handshake.challenge)
}
