//! The webhook: where Sobot posts events, and where Meta proves that the URL is ours.
//!
//! A handler sees a body only as [`verified::Verified`]: sender, secret, length and signature have been
//! checked by then, in this order, so that a stranger's body is not even read.

mod caller;
mod error;
mod handshake;
mod receive;
mod state;
mod strangers;
mod verified;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub use state::WebhookState;
pub use strangers::Strangers;

/// `/webhook/{secret}`, or `/webhook` where none is configured. The other form is answered like any path that does not
/// exist, but it comes here, too: somebody may have registered it.
pub fn router(state: WebhookState) -> Router {
    let door = || get(handshake::answer).post(receive::receive);
    let routes = ["/webhook", "/webhook/", "/webhook/{secret}"].into_iter();
    routes.fold(Router::new(), |router, path| router.route(path, door())).with_state(Arc::new(state))
}
