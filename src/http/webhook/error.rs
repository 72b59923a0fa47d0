//! What a caller is told when a request fails. Only this file knows status codes of failures. The text is
//! for the caller: it names no secret, no expected value and nothing of the body.

use std::any::Any;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::intake::Refusal;

/// Seconds after which a refused request may be worth repeating.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is nothing at this path, or the secret in it is wrong.
    #[error("there is nothing here")]
    NotFound,
    /// The body is not one JSON document. It is in quarantine.
    #[error("{0}; the bytes are kept in quarantine")]
    NotJson(String),
    /// The sender is not on the allow-list.
    #[error("this address may not post here (webhook.allow_from)")]
    Forbidden,
    /// Meta's handshake with a wrong token.
    #[error("hub.mode must be subscribe and hub.verify_token the configured one (webhook.verify_token)")]
    WrongVerifyToken,
    /// The signature is missing or not that of the body.
    #[error("X-Hub-Signature-256 is missing or does not match the body")]
    BadSignature,
    /// The body is longer than allowed.
    #[error("the body is longer than {0} bytes (http.body_limit_bytes)")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the body did not arrive in time (http.request_timeout_ms)")]
    BodyTooSlow,
    /// The connection broke off within the body.
    #[error("the body broke off")]
    BodyBroken,
    /// Nothing could be stored; the request is to be repeated.
    #[error("not stored: {0}; repeat the request")]
    NotStored(#[from] Refusal),
    /// It may or may not have been stored.
    #[error("not stored in time (http.request_timeout_ms); repeat the request")]
    Timeout,
    /// A fault of this program.
    #[error("an internal error; repeat the request")]
    Panicked,
}

impl ApiError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::NotJson(_) => (StatusCode::BAD_REQUEST, "not_json"),
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
            Self::Panicked => (StatusCode::SERVICE_UNAVAILABLE, "internal"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let body = Json(json!({ "error": { "code": code, "message": self.to_string() } }));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            (status, [(RETRY_AFTER, RETRY_AFTER_SECONDS)], body).into_response()
        } else {
            (status, body).into_response()
        }
    }
}

/// Any path that does not exist.
pub async fn not_found() -> ApiError {
    ApiError::NotFound
}

/// The panic itself has been logged by the panic hook, without its message.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::Panicked.into_response()
}
