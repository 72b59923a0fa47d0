//! A batch, and the one transaction that takes all of it.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::error::StoreError;
use super::pool::Store;
use super::quarantine::{self, Quarantined};
use super::{conversations, events, first_receipts, messages, subscriptions, uploads};
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
    /// Journals the batch and folds what is new in it into the state, in one transaction.
    ///
    /// # Errors
    /// Then nothing is stored; the kind of error tells what to do.
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
            Err(_) => {}
        }
        committed
    }

    async fn write(&self, connection: &mut PgConnection, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        self.months.prepare(connection, &batch.events).await?;
        let mut transaction = connection.begin().await?;
        let timed = first_receipts::settle(&mut transaction, &batch.events).await?;
        let is_new = events::insert(&mut transaction, &timed).await?;
        let new = timed.iter().zip(&is_new).filter(|(_, is_new)| **is_new).map(|(event, _)| event.as_ref());
        let state: State<'_> = new.collect();
        messages::upsert(&mut transaction, &state.messages).await?;
        conversations::upsert(&mut transaction, &state.conversations).await?;
        subscriptions::upsert(&mut transaction, &state.subscriptions).await?;
        uploads::upsert(&mut transaction, &state.uploads).await?;
        quarantine::insert(&mut transaction, &batch.quarantined).await?;
        transaction.commit().await?;
        Ok(Committed { is_new })
    }
}
