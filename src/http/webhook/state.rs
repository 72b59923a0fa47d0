//! What the webhook needs.

use std::sync::Arc;
use std::time::Duration;

use super::strangers::Strangers;
use crate::config::Webhook;
use crate::intake::Intake;

#[derive(Debug)]
pub struct WebhookState {
    /// Where events go.
    pub intake: Arc<Intake>,
    /// Who may post.
    pub config: Webhook,
    /// Who may not, so far.
    pub strangers: Strangers,
    pub body_limit_bytes: usize,
    /// Within it a request is answered, whatever has become of it.
    pub request_timeout: Duration,
}
