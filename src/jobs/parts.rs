//! Storing much that nobody waits for: in ever smaller parts where PostgreSQL is slow or refuses something.

use std::time::Duration;

use tokio::time::sleep;

use crate::event::Event;
use crate::store::{Batch, Session, Store, StoreError};

/// Events a transaction, to begin with.
const PART_EVENTS: usize = 1_000;

/// A lost connection or a conflict is tried again at once.
const TRIES: usize = 8;

/// A transaction that was given up holds its locks until PostgreSQL ends it, up to a second later.
const RELEASE: Duration = Duration::from_secs(1);

/// So many events that do not go in, and the others are not tried any more.
const MAX_LEFT: usize = 10;

/// Stores what can be stored, by `store_part`, which is a transaction; and tells why something is left, if it is.
///
/// # Errors
/// PostgreSQL is away.
pub async fn in_parts<T>(
    store: &Store,
    session: &mut Session,
    events: &[T],
    store_part: impl AsyncFn(&mut Session, &[T]) -> Result<(), StoreError>,
) -> Result<Option<String>, StoreError> {
    // The last one is taken first.
    let mut pending: Vec<&[T]> = events.chunks(PART_EVENTS).rev().collect();
    let mut left = Vec::new();
    while let Some(part) = pending.pop() {
        let Err(error) = try_again(session, part, &store_part).await else { continue };
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

/// A part of events in one transaction.
///
/// # Errors
/// Nothing of it is stored.
pub async fn store_part(session: &mut Session, part: &[Event]) -> Result<(), StoreError> {
    let batch = Batch { events: part.iter().collect(), quarantined: Vec::new() };
    session.commit(&batch).await.map(drop)
}

async fn try_again<T>(
    session: &mut Session,
    part: &[T],
    store_part: &impl AsyncFn(&mut Session, &[T]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match store_part(session, part).await {
            Err(StoreError::Conflict(_) | StoreError::Lost(_) | StoreError::Outdated) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}
