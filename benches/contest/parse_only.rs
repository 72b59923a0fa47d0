//! The limit of HTTP: every body is taken apart into its events, and nothing is stored.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use sobot_hook::clock;
use sobot_hook::dialect::webhook;

pub fn router() -> Router {
    Router::new().route("/webhook", post(receive))
}

async fn receive(body: Bytes) -> Result<&'static str, StatusCode> {
    let events = webhook::parse(&body, clock::now()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if events.is_empty() { Err(StatusCode::BAD_REQUEST) } else { Ok("EVENT_RECEIVED") }
}
