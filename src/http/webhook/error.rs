//! Why the webhook did not take what was posted. The text is for the caller: it names no secret, no expected value and
//! nothing of the body.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::server::{ServerError, failure};
use crate::intake::Refusal;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A wrong secret is answered like any path that does not exist.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The body is not one JSON document. It is in quarantine.
    #[error("{0}; the bytes are kept in quarantine")]
    NotJson(String),
    /// The same, and the quarantine is full.
    #[error("{0}; the bytes are not kept, because the quarantine is full (retention.quarantine_max_bytes)")]
    NotKept(String),
    /// The sender is not on the allow-list.
    #[error("this address may not post here (webhook.allow_from)")]
    Forbidden,
    /// Meta's handshake with a wrong token.
    #[error("hub.mode must be subscribe and hub.verify_token the configured one (webhook.verify_token)")]
    WrongVerifyToken,
    /// The signature is missing or not that of the body.
    #[error("X-Hub-Signature-256 is missing or does not match the body")]
    BadSignature,
    /// The body is longer than so many bytes.
    #[error("the body is longer than {0} bytes (http.body_limit_bytes)")]
    TooLarge(usize),
    #[error("the body did not arrive in time (http.request_timeout_ms)")]
    BodyTooSlow,
    /// The connection ended within the body.
    #[error("the body broke off")]
    BodyBroken,
    /// Nothing could be stored; the request is to be repeated.
    #[error("not stored: {0}; repeat the request")]
    NotStored(#[from] Refusal),
    /// It may or may not have been stored.
    #[error("not stored in time (http.request_timeout_ms); repeat the request")]
    Timeout,
}

impl WebhookError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Server(error) => error.status_and_code(),
            Self::NotJson(_) | Self::NotKept(_) | Self::NotStored(Refusal::QuarantineFull) => {
                (StatusCode::BAD_REQUEST, "not_json")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "address_not_allowed"),
            Self::WrongVerifyToken => (StatusCode::FORBIDDEN, "wrong_verify_token"),
            Self::BadSignature => (StatusCode::UNAUTHORIZED, "bad_signature"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
            Self::NotStored(Refusal::Full) => (StatusCode::SERVICE_UNAVAILABLE, "queue_full"),
            Self::NotStored(Refusal::Closed) => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
            Self::NotStored(Refusal::Away) => (StatusCode::SERVICE_UNAVAILABLE, "not_stored"),
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        }
    }
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        failure(self.status_and_code(), &self)
    }
}
