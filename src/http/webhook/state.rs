//! What the handlers of the public listener share.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Webhook;
use crate::intake::Intake;
use crate::spool::Spool;
use crate::store::Store;

/// What the handlers need.
#[derive(Debug)]
pub struct Hook {
    /// Where events go.
    pub intake: Arc<Intake>,
    /// For readiness.
    pub store: Store,
    /// For readiness.
    pub spool: Spool,
    /// Who may post.
    pub webhook: Webhook,
    /// The longest body, in bytes.
    pub body_limit_bytes: usize,
    /// The time that a request may take.
    pub request_timeout: Duration,
}
