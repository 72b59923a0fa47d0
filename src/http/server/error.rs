//! How a failure is told, and the failures that belong to no door. The text is for the caller: it names no secret, no
//! expected value and nothing of the body.

use std::any::Any;
use std::fmt::Display;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

/// Seconds after which a refused request may be worth repeating.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a request failed at any door.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is nothing at this path, or nothing that the caller may know of.
    #[error("there is nothing here")]
    NotFound,
    /// A fault of this program.
    #[error("an internal error; repeat the request")]
    Panicked,
}

impl ServerError {
    #[must_use]
    pub fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Panicked => (StatusCode::SERVICE_UNAVAILABLE, "internal"),
        }
    }
}

impl IntoResponse for ServerError {
    fn into_response(self) -> Response {
        failure(self.status_and_code(), &self)
    }
}

/// The code of a failure, as an extension of its response.
#[derive(Debug, Clone, Copy)]
pub struct Code(pub &'static str);

/// `{"error":{"code":"…","message":"…"}}`; every 503 tells when to come back.
pub fn failure((status, code): (StatusCode, &'static str), message: &impl Display) -> Response {
    let body = Json(json!({ "error": { "code": code, "message": message.to_string() } }));
    let code = Extension(Code(code));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        (status, [(RETRY_AFTER, RETRY_AFTER_SECONDS)], code, body).into_response()
    } else {
        (status, code, body).into_response()
    }
}

/// Any path or method that does not exist.
pub async fn not_found() -> ServerError {
    ServerError::NotFound
}

/// The panic itself has been logged by the panic hook, without its message.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    ServerError::Panicked.into_response()
}
