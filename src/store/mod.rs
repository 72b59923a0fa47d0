//! All SQL. One file a table; [`Store::commit`] writes a batch to all of them in one transaction.
//!
//! Guarantees: what [`Store::commit`] has answered with `Ok` is committed (and on disk, as PostgreSQL's
//! `synchronous_commit` is never turned off); on any `Err` nothing of the batch counts as stored. Each
//! statement writes one table, its rows sorted by key, the tables in one fixed order: so two writers, or
//! two processes, wait for each other but cannot deadlock.

mod conversations;
mod error;
mod events;
mod first_receipts;
mod messages;
mod months;
mod quarantine;
mod schema;
mod subscriptions;
mod uploads;
mod views;

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use error::StoreError;
pub use quarantine::Quarantined;
pub use schema::MigrationError;
pub use views::{Table, View};

use crate::messenger::Event;
use crate::state::State;

/// How long a writer waits for a connection before PostgreSQL counts as away: well inside the time that
/// a request may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    months: months::Months,
}

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
    /// Prepares connections to `url`, opening none yet.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn connect_lazily(url: &str, max_connections: u32) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            // A dead connection shows itself in the transaction, which is tried again; a ping would cost a
            // round trip in each.
            .test_before_acquire(false)
            .connect_lazy_with(options.application_name("sobot-hook"));
        Ok(Self { pool, months: months::Months::default() })
    }

    /// Journals the batch and folds what is new in it into the state, in one transaction.
    ///
    /// # Errors
    /// Then nothing is stored; the kind of error tells what to do.
    pub async fn commit(&self, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        self.months.prepare(&self.pool, &batch.events).await?;
        let mut transaction = self.pool.begin().await?;
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

    /// Closes every connection, after the statements under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
