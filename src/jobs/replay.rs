//! Another try for what is in quarantine, with today's parser.

use chrono::{DateTime, Utc};

use super::parts::{in_parts, store_part};
use crate::dialect::webhook;
use crate::store::{Store, StoreError};

/// Which bodies to try.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choice {
    /// This one alone.
    pub id: Option<i64>,
    /// Those received at or after it.
    pub since: Option<DateTime<Utc>>,
}

/// How many bodies became events, and how many stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Marked as replayed.
    pub replayed: u64,
    /// Left, with today's reason.
    pub left: u64,
}

/// Tries each chosen body once, in the order of their numbers. `report` gets number and reason of each that stays.
///
/// # Errors
/// PostgreSQL is away. Those tried so far are marked.
pub async fn replay(
    store: &Store,
    choice: Choice,
    now: DateTime<Utc>,
    mut report: impl FnMut(i64, &str),
) -> Result<Replayed, StoreError> {
    let mut summary = Replayed::default();
    let mut session = store.session();
    let mut after = 0;
    while let Some(body) = store.next_quarantined(after, choice.id, choice.since).await? {
        after = body.id;
        let outcome = match webhook::parse(&body.raw.into(), body.received_at) {
            Err(error) => Err(error.to_string()),
            Ok(events) => in_parts(store, &mut session, &events, store_part).await?.map_or(Ok(now), Err),
        };
        // Stored but not marked, it will be stored again, which changes nothing.
        store.mark_quarantined(body.id, outcome.as_ref().map(|now| *now).map_err(String::as_str)).await?;
        match outcome {
            Ok(_) => summary.replayed += 1,
            Err(reason) => {
                summary.left += 1;
                report(body.id, &reason);
            }
        }
    }
    Ok(summary)
}
