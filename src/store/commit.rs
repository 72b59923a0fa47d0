//! A batch, and the one transaction that takes all of it. Missing months, and the first receipts of events without a
//! time, are committed before it; left alone by a failure, they change nothing.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::earlier::{self, Moved};
use super::erasure::Erasures;
use super::error::StoreError;
use super::functions;
use super::journal::{self, EventRow, Months, Settled};
use super::quarantine::Quarantined;
use super::session::Session;
use super::state_rows::StateRows;
use super::two_clocks;
use crate::event::Event;
use crate::state::State;

/// A transaction that takes longer is given up: PostgreSQL counts as away then, and slow is handled as away.
/// Well inside the time that a request may take, and some hundred times what a healthy commit takes.
pub(super) const COMMIT_BUDGET: Duration = Duration::from_secs(2);

/// What is written together.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Events for the journal and the state, in any order, repetitions welcome.
    pub events: Vec<&'a Event>,
    /// What could not be read or stored.
    pub quarantined: Vec<Quarantined<'a>>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the journal now.
    Stored,
    /// The journal had it.
    Known,
    /// It is of somebody who has been erased, and was told before that: nothing of it is kept.
    Erased,
}

/// What became of a batch's events.
#[derive(Debug)]
pub struct Committed {
    /// One an event, in the batch's order.
    pub fates: Vec<Fate>,
}

impl Session {
    /// Journals the batch and, if anything in it is new, merges what it tells into the state, in one transaction. While the
    /// service's clock is known to be behind PostgreSQL's, its times are judged by both.
    ///
    /// # Errors
    /// Then nothing counts as stored; the kind of error tells what to do.
    pub async fn commit(&mut self, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        let judged: Vec<Event>;
        let judged_batch: Batch<'_>;
        let mut batch = batch;
        if let Some(skew) = self.store.clock_skew.noteworthy() {
            judged = batch.events.iter().map(|event| two_clocks::judge(event, skew)).collect();
            judged_batch = Batch { events: judged.iter().collect(), quarantined: batch.quarantined.clone() };
            batch = &judged_batch;
        }
        let mut own = self.take().await?;
        let Ok(committed) = timeout(COMMIT_BUDGET, self.write(&mut own.connection, batch)).await else {
            return Err(StoreError::Slow);
        };
        self.finish(own, committed)
    }

    async fn write(&mut self, connection: &mut PgConnection, batch: &Batch<'_>) -> Result<Committed, StoreError> {
        match write(connection, &mut self.months, &self.erasures, batch).await {
            Err(StoreError::Outdated) => {
                self.erasures = Erasures::load(connection).await?;
                write(connection, &mut self.months, &self.erasures, batch).await
            }
            written => written,
        }
    }
}

impl Session {
    /// Whether the batch could be stored now: it is written and taken back.
    ///
    /// # Errors
    /// As [`Session::commit`].
    pub async fn rehearse(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        let mut own = self.take().await?;
        let rehearsal = async {
            let erasures = Erasures::load(&mut own.connection).await?;
            let mut transaction = own.connection.begin().await?;
            // The months that it makes are taken back, too.
            write(&mut transaction, &mut Months::default(), &erasures, batch).await?;
            Ok(transaction.rollback().await?)
        };
        let rehearsed = timeout(COMMIT_BUDGET, rehearsal).await.unwrap_or(Err(StoreError::Slow));
        if rehearsed.is_ok() {
            self.keep(own);
        }
        rehearsed
    }
}

/// The batch as it is, within whatever transaction the connection is in. It passes over what is of somebody who has been erased.
pub(super) async fn write(
    connection: &mut PgConnection,
    months: &mut Months,
    erasures: &Erasures,
    batch: &Batch<'_>,
) -> Result<Committed, StoreError> {
    let is_erased = |event: &Event| erasures.cover(event);
    if !batch.events.iter().any(|event| is_erased(event)) {
        return write_all(connection, months, erasures.generation, batch).await;
    }
    let events = batch.events.iter().copied().filter(|event| !is_erased(event)).collect();
    let rest = Batch { events, quarantined: batch.quarantined.clone() };
    let mut fates = write_all(connection, months, erasures.generation, &rest).await?.fates.into_iter();
    let fate = |event: &&Event| if is_erased(event) { Some(Fate::Erased) } else { fates.next() };
    Ok(Committed { fates: batch.events.iter().filter_map(fate).collect() })
}

async fn write_all(
    connection: &mut PgConnection,
    months: &mut Months,
    known_erasures: i64,
    batch: &Batch<'_>,
) -> Result<Committed, StoreError> {
    months.prepare(connection, &batch.events).await?;
    if !batch.events.iter().any(|event| event.is_timed_by_receipt) {
        let settled = journal::settle(connection, &batch.events).await?;
        return store(connection, batch, &settled, &Moved::default(), known_erasures).await;
    }
    // When these events were first received shows to others when the journal has them, not before.
    let mut transaction = connection.begin().await?;
    let mut settled = journal::settle(&mut transaction, &batch.events).await?;
    let moved = earlier::move_back(&mut transaction, &mut settled).await?;
    let committed = store(&mut transaction, batch, &settled, &moved, known_erasures).await?;
    transaction.commit().await?;
    Ok(committed)
}

async fn store(
    connection: &mut PgConnection,
    batch: &Batch<'_>,
    settled: &Settled<'_>,
    moved: &Moved,
    known_erasures: i64,
) -> Result<Committed, StoreError> {
    let distinct = journal::distinct(&settled.events);
    let events = || distinct.iter().map(|index| settled.events[*index].as_ref());
    let rows: Vec<EventRow<'_>> = events().map(EventRow::from).collect();
    let state: State<'_> = events().chain(&moved.told).collect();
    let state = StateRows::of(&state);
    let known: Vec<i64> = sqlx::query_scalar(functions::STORE.as_str())
        .bind(&rows)
        .bind(&state.messages)
        .bind(&state.conversations)
        .bind(&state.subscriptions)
        .bind(&state.uploads)
        .bind(&batch.quarantined)
        .bind(known_erasures)
        .fetch_one(connection)
        .await?;
    let known: HashSet<i64> = known.into_iter().collect();
    let mut fates = vec![Fate::Known; batch.events.len()];
    for (index, position) in distinct.into_iter().zip(1..) {
        if !known.contains(&position) && !settled.is_copy_of_any(index, &moved.indexes) {
            fates[index] = Fate::Stored;
        }
    }
    Ok(Committed { fates })
}
