//! Another try for what is in quarantine, with today's parser.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use crate::dialect::webhook;
use crate::event::Event;
use crate::store::{Batch, Session, Store, StoreError};

/// Events a transaction, to begin with.
const PART_EVENTS: usize = 1_000;

/// A lost connection or a conflict is tried again at once.
const TRIES: usize = 8;

/// A transaction that was given up holds its locks until PostgreSQL ends it, up to a second later.
const RELEASE: Duration = Duration::from_secs(1);

/// So many events of one body that do not go in, and its others are not tried any more.
const MAX_LEFT: usize = 10;

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
            Ok(events) => store_parts(store, &mut session, &events).await?.map_or(Ok(now), Err),
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

/// Stores what can be stored, in ever smaller parts where PostgreSQL is slow or refuses something, and tells why something
/// is left, if it is.
///
/// # Errors
/// PostgreSQL is away.
async fn store_parts(store: &Store, session: &mut Session, events: &[Event]) -> Result<Option<String>, StoreError> {
    // The last one is taken first.
    let mut pending: Vec<&[Event]> = events.chunks(PART_EVENTS).rev().collect();
    let mut left = Vec::new();
    while let Some(part) = pending.pop() {
        let Err(error) = store_part(session, part).await else { continue };
        if !matches!(error, StoreError::Refused(_) | StoreError::NoMonth) {
            // If the server is there, it is the affair of some event.
            store.session().look().await?;
        }
        if matches!(error, StoreError::Slow) {
            sleep(RELEASE).await;
        }
        if part.len() > 1 {
            let (first, rest) = part.split_at(part.len() / 2);
            pending.extend([rest, first]);
            continue;
        }
        left.push(error.to_string());
        if left.len() == MAX_LEFT {
            break;
        }
    }
    Ok(left.into_iter().next())
}

async fn store_part(session: &mut Session, part: &[Event]) -> Result<(), StoreError> {
    let batch = Batch { events: part.iter().collect(), quarantined: Vec::new() };
    let mut tries = 1;
    loop {
        match session.commit(&batch).await {
            Err(StoreError::Conflict(_) | StoreError::Lost(_) | StoreError::Outdated) if tries < TRIES => tries += 1,
            outcome => return outcome.map(drop),
        }
    }
}
