//! A body whose sender has been checked. Handlers take [`Verified`]; there is no other way to a body.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sha2::Sha256;
use tokio::time::{Instant, timeout_at};

use super::caller;
use super::error::WebhookError;
use super::state::WebhookState;
use crate::clock;
use crate::config::Webhook;
use crate::http::server::Peer;
use crate::intake::Room;
use crate::telemetry::metrics::TurnedAway;

/// A body from someone who may post, as it arrived.
pub struct Verified {
    pub body: Bytes,
    /// When its last byte had arrived.
    pub received_at: DateTime<Utc>,
    /// When the request must have been answered.
    pub deadline: Instant,
    /// Its share of memory.
    pub room: Room,
}

impl FromRequest<Arc<WebhookState>> for Verified {
    type Rejection = WebhookError;

    async fn from_request(request: Request, webhook: &Arc<WebhookState>) -> Result<Self, WebhookError> {
        let deadline = Instant::now() + webhook.request_timeout;
        check_caller(webhook, &request)?;
        let (parts, body) = request.into_parts();
        let too_large = WebhookError::TooLarge(webhook.body_limit_bytes);
        if content_length(&parts.headers).is_some_and(|length| length > webhook.body_limit_bytes as u64) {
            return Err(too_large);
        }
        // Before the first byte is read: a flood of long bodies must not take all memory. A body that does not tell
        // its length may be as long as is allowed.
        let length = content_length(&parts.headers).and_then(|length| usize::try_from(length).ok());
        let room = webhook.intake.reserve(length.unwrap_or(webhook.body_limit_bytes))?;
        let body = timeout_at(deadline, Limited::new(body, webhook.body_limit_bytes).collect()).await;
        let body = match body.map_err(|_| WebhookError::BodyTooSlow)? {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large),
            Err(_) => return Err(WebhookError::BodyBroken),
        };
        if !is_signed(&webhook.config, &parts.headers, &body) {
            return Err(webhook.strangers.turn_away(TurnedAway::Signature));
        }
        Ok(Self { body, received_at: clock::now(), deadline, room })
    }
}

/// Address first, then secret: from elsewhere even the right secret shows nothing.
pub fn check_caller(webhook: &WebhookState, request: &Request) -> Result<(), WebhookError> {
    let peer = request.extensions().get::<Peer>().ok_or(WebhookError::Forbidden)?;
    if !caller::is_allowed(&webhook.config, *peer, request.headers()) {
        return Err(webhook.strangers.turn_away(TurnedAway::Address));
    }
    let is_right = match request.uri().path().strip_prefix("/webhook/") {
        Some(secret) => is_secret(&webhook.config, secret),
        None => webhook.config.secrets.is_empty(),
    };
    if is_right { Ok(()) } else { Err(webhook.strangers.turn_away(TurnedAway::WrongSecret)) }
}

/// Asks every configured secret, so that the time taken does not tell which one was right.
fn is_secret(webhook: &Webhook, guess: &str) -> bool {
    webhook.secrets.iter().fold(false, |is_any, secret| is_any | secret.matches(guess))
}

/// `X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the body, keyed with the app's secret>` (Meta, "Validating
/// Payloads"). Asked for only where the app's secret is configured.
fn is_signed(webhook: &Webhook, headers: &HeaderMap, body: &[u8]) -> bool {
    let app_secret = webhook.app_secret.expose();
    if app_secret.is_empty() {
        return true;
    }
    let signature = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|value| hex::decode(value.strip_prefix("sha256=")?).ok());
    let (Some(signature), Ok(mut mac)) = (signature, Hmac::<Sha256>::new_from_slice(app_secret.as_bytes())) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
