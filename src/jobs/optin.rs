//! An opt-in message: sent once, and journaled.
//!
//! It does not go through the outbox, whose requests are those of `send`: another endpoint with other members. So it is
//! not tried again when Sobot is away, and no evidence settles it when its outcome is unknown.

use super::parts::{in_parts, store_part};
use crate::clock;
use crate::dialect::sobot as told;
use crate::ids::Mid;
use crate::outbound::sobot::{OptIn, SendOutcome, Sobot, SobotError};
use crate::store::Store;

/// Why an opt-in message is not known to be sent and kept.
#[derive(Debug, thiserror::Error)]
pub enum OptInError {
    #[error("not sent: {0}")]
    NotSent(SobotError),
    #[error("perhaps sent ({0}); look into the conversation before you send it again")]
    Unknown(SobotError),
    #[error("sent as {mid}, but not kept in the journal: {problem}; its echo will be, so do not send it again")]
    NotKept { mid: String, problem: String },
}

/// Sends it once, and journals it under the message's id, which Sobot may not tell.
///
/// # Errors
/// It was not sent, nobody knows, or it could not be journaled.
pub async fn send(store: &Store, sobot: &Sobot, optin: &OptIn) -> Result<Option<Mid>, OptInError> {
    let sent = match sobot.send_opt_in_message(optin).await {
        SendOutcome::Sent(sent) => sent,
        SendOutcome::NotSent(error) => return Err(OptInError::NotSent(error)),
        SendOutcome::Unknown { why, .. } => return Err(OptInError::Unknown(why)),
    };
    let Some(mid) = sent.mid else { return Ok(None) };
    let kept = journal(store, optin, &mid).await;
    kept.map_err(|problem| OptInError::NotKept { mid: mid.as_str().to_owned(), problem })?;
    Ok(Some(mid))
}

async fn journal(store: &Store, optin: &OptIn, mid: &Mid) -> Result<(), String> {
    let request = serde_json::to_string(&optin.request()).map_err(|error| error.to_string())?;
    let event = told::sent(&told::Sent {
        page_id: &optin.page_id,
        user_id: &optin.user_id,
        mid: Some(mid.as_str()),
        request: &request,
        answered_at: clock::now(),
    });
    let event = event.map_err(|error| error.to_string())?;
    let left = in_parts(store, &mut store.session(), &[event], store_part).await;
    left.map_err(|error| error.to_string())?.map_or(Ok(()), Err)
}
