//! A batch, and the one transaction that takes all of it.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use super::error::StoreError;
use super::events::{self, EventRow};
use super::first_receipts;
use super::fold::StateRows;
use super::pool::Store;
use super::quarantine::Quarantined;
use crate::messenger::Event;
use crate::state::State;

/// A transaction that takes longer is given up: PostgreSQL counts as away then, and slow is handled as away.
/// Well inside the time that a request may take, and some hundred times what a healthy commit takes.
const COMMIT_BUDGET: Duration = Duration::from_secs(2);

/// What is written together.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Events for the journal and the state, in any order, repetitions welcome.
    pub events: Vec<&'a Event>,
    /// What could not be read or stored.
    pub quarantined: Vec<Quarantined<'a>>,
}

/// What became of a batch's events: for each, in the batch's order, whether it was new.
#[derive(Debug)]
pub struct Committed {
    /// False for an event that the journal already had.
    pub is_new: Vec<bool>,
}

impl Store {
    /// Journals the batch and, if anything in it is new, merges what it tells into the state, in one transaction.
    ///
    /// # Errors
    /// Then nothing counts as stored; the kind of error tells what to do.
    pub async fn commit(&self, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        let mut connection = self.borrow().await?;
        let Ok(committed) = timeout(COMMIT_BUDGET, self.write(&mut connection, batch)).await else {
            // Closed, not returned: nobody can tell what this connection still waits for.
            drop(connection.detach());
            return Err(StoreError::Slow);
        };
        match committed {
            Ok(_) => self.give_back(connection),
            Err(StoreError::NoMonth) => self.months.forget(),
            // Perhaps it leads to a server that is no longer the right one, or knows types that have been made anew.
            Err(StoreError::Away(_) | StoreError::Lost(_)) => {
                drop(connection.detach());
                self.forget_idle();
            }
            Err(_) => {}
        }
        committed
    }

    async fn write(&self, connection: &mut PgConnection, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        self.months.prepare(connection, &batch.events).await?;
        let timed = first_receipts::settle(connection, &batch.events).await?;
        let distinct = events::distinct(&timed);
        let events = || distinct.iter().map(|index| timed[*index].as_ref());
        let rows: Vec<EventRow<'_>> = events().map(EventRow::from).collect();
        let state: State<'_> = events().collect();
        let state = StateRows::of(&state);
        let known = sqlx::query_scalar!(
            r#"select store($1, $2, $3, $4, $5, $6) as "known!""#,
            &rows as _,
            &state.messages as _,
            &state.conversations as _,
            &state.subscriptions as _,
            &state.uploads as _,
            &batch.quarantined as _,
        )
        .fetch_one(connection)
        .await?;
        let known: HashSet<i64> = known.into_iter().collect();
        let mut is_new = vec![false; batch.events.len()];
        for (index, position) in distinct.into_iter().zip(1..) {
            is_new[index] = !known.contains(&position);
        }
        Ok(Committed { is_new })
    }
}
