//! Who is turned away: counted, and told in the log by the reason, at most once a minute each. A failed rotation of the
//! secret looks like this, and the sender tells nobody. Neither the guess nor the path is told.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::error::WebhookError;
use crate::http::server::ServerError;
use crate::telemetry::metrics::{self, TurnedAway};
use crate::telemetry::repeated::Repeated;

/// How often somebody has been turned away, by the reason.
#[derive(Debug, Default)]
pub struct Strangers {
    told: [Mutex<Repeated>; TurnedAway::ALL.len()],
}

impl Strangers {
    /// Counts one more, and answers what the caller may know.
    pub fn turn_away(&self, reason: TurnedAway) -> WebhookError {
        metrics::turned_away(reason);
        let reasons = TurnedAway::ALL.iter().zip(&self.told);
        for (_, told) in reasons.filter(|(of, _)| **of == reason) {
            let due = told.lock().unwrap_or_else(PoisonError::into_inner).happened(1, Instant::now());
            if let Some(requests) = due {
                tracing::warn!(reason = reason.as_str(), requests, "{}", advice(reason));
            }
        }
        match reason {
            TurnedAway::WrongSecret => ServerError::NotFound.into(),
            TurnedAway::Address => WebhookError::Forbidden,
            TurnedAway::Signature => WebhookError::BadSignature,
            TurnedAway::VerifyToken => WebhookError::WrongVerifyToken,
        }
    }
}

fn advice(reason: TurnedAway) -> &'static str {
    match reason {
        TurnedAway::WrongSecret => {
            "turned away: the URL's secret is not in webhook.secrets; if it was changed, register the new URL"
        }
        TurnedAway::Address => "turned away: the address is not in webhook.allow_from",
        TurnedAway::Signature => {
            "turned away: no valid X-Hub-Signature-256; behind Sobot leave webhook.app_secret empty"
        }
        TurnedAway::VerifyToken => "turned away: no handshake with webhook.verify_token",
    }
}
