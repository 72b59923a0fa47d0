//! `GET /webhook/{secret}?hub.mode=subscribe&…`: Meta's proof that the URL is ours ("Verification Requests").

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query, Request, State};
use serde::Deserialize;

use super::error::ApiError;
use super::hook::Hook;
use super::verified::check_caller;

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
pub async fn answer(State(hook): State<Arc<Hook>>, request: Request) -> Result<String, ApiError> {
    check_caller(&hook.webhook, &request)?;
    let (mut parts, _) = request.into_parts();
    let handshake = Query::<Handshake>::from_request_parts(&mut parts, &hook).await;
    let Query(handshake) = handshake.map_err(|_| ApiError::WrongVerifyToken)?;
    if handshake.mode != "subscribe" || !hook.webhook.verify_token.matches(&handshake.verify_token) {
        return Err(ApiError::WrongVerifyToken);
    }
    Ok(handshake.challenge)
}
