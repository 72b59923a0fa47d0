//! The webhook: where Sobot posts events, and where Meta proves that the URL is ours.
//!
//! A handler sees a body only as [`verified::Verified`]: sender, secret, length and signature have been
//! checked by then, in this order, so that a stranger's body is not even read.

mod caller;
mod error;
mod handshake;
mod receive;
mod state;
mod verified;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub use state::WebhookState;

/// `/webhook/{secret}`, or `/webhook` where none is configured; the other form is not found, like any path that does
/// not exist.
pub fn router(state: WebhookState) -> Router {
    let path = if state.config.secrets.is_empty() { "/webhook" } else { "/webhook/{secret}" };
    Router::new().route(path, get(handshake::answer).post(receive::receive)).with_state(Arc::new(state))
}
