//! Events of the journal that the service's clock alone found too late, for a rebuild that judges them again: what was stored
//! before the clocks were known to be apart, or where somebody has said later that they were (`events.clock_skew`).
//!
//! They are read from one snapshot; each part of them is then replaced in a transaction of its own, by the way of every
//! event, so that nobody waits. Where the journal has the event already, because it was repeated under a right clock, the
//! misjudged copy just goes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres, Row, Transaction};
use tokio::time::timeout;

use super::commit::{Batch, COMMIT_BUDGET, write};
use super::erasure::Erasures;
use super::error::StoreError;
use super::journal::{self, Months};
use super::pool::Store;
use super::session::Session;
use super::shadow::Difference;
use crate::event::{Event, Note};
use crate::ids::PageId;

/// Events that are replaced together.
const PART_EVENTS: usize = 500;

/// To find the next ones, much of the journal may have to be read.
const READ_LIMIT: Duration = Duration::from_hours(4);

/// An event as the journal has it, and as it should be.
#[derive(Debug)]
pub struct Misjudged {
    occurred_at: DateTime<Utc>,
    event_key: Vec<u8>,
    user_id: String,
    judged: Event,
}

/// The misjudged events of a snapshot of the journal.
#[derive(Debug)]
pub struct MisjudgedEvents(Transaction<'static, Postgres>);

impl Store {
    /// Takes the snapshot.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn misjudged(&self) -> Result<MisjudgedEvents, StoreError> {
        let mut transaction = self.pool.begin().await?;
        transaction.execute("set local statement_timeout = 0").await?;
        let cursor = format!(
            "declare misjudged no scroll cursor for
             select {}, user_id, object, envelope from events where note = '{}' and clock_skew > interval '0'",
            journal::RECALLED,
            Note::TimeTooLate.as_str()
        );
        transaction.execute(AssertSqlSafe(cursor)).await?;
        Ok(MisjudgedEvents(transaction))
    }
}

impl MisjudgedEvents {
    /// The next ones, perhaps none of those that were read; `None` at the end.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn next(&mut self) -> Result<Option<Vec<Misjudged>>, StoreError> {
        let fetch = AssertSqlSafe(format!("fetch {PART_EVENTS} from misjudged"));
        let rows = timeout(READ_LIMIT, sqlx::query(fetch).fetch_all(&mut *self.0)).await;
        let rows = rows.map_err(|_| StoreError::Slow)??;
        if rows.is_empty() {
            return Ok(None);
        }
        let misjudged: sqlx::Result<Vec<_>> = rows.iter().filter_map(|row| misjudged(row).transpose()).collect();
        Ok(Some(misjudged?))
    }
}

/// The event of a row, if it should be another one.
fn misjudged(row: &PgRow) -> sqlx::Result<Option<Misjudged>> {
    let (occurred_at, event_key) = (row.try_get("occurred_at")?, row.try_get("event_key")?);
    let Some(judged) = journal::judge(row)? else { return Ok(None) };
    // The time of a receipt stays what it is, and so does the time of a told one beside which a watermark is too late.
    if judged.is_timed_by_receipt || (judged.occurred_at == occurred_at && judged.key.0[..] == event_key) {
        return Ok(None);
    }
    let object: Option<&str> = row.try_get("object")?;
    let judged = Event { object: object.map(Into::into), envelope: row.try_get("envelope")?, ..judged };
    Ok(Some(Misjudged { occurred_at, event_key, user_id: row.try_get("user_id")?, judged }))
}

impl Misjudged {
    /// For people.
    #[must_use]
    pub fn difference(&self) -> Difference {
        let Self { occurred_at, user_id, judged, .. } = self;
        let page_id = judged.page_id.as_ref().map_or("", PageId::as_str);
        let key = format!("user_id={user_id} page_id={page_id} received_at={}", judged.received_at.to_rfc3339());
        let (too_late, note) = (Note::TimeTooLate.as_str(), judged.note.map_or("nothing", Note::as_str));
        let (from, to) = (occurred_at.to_rfc3339(), judged.occurred_at.to_rfc3339());
        Difference {
            table: "events", key, columns: format!("note: {too_late} → {note}, occurred_at: {from} → {to}")
        }
    }
}

impl Session {
    /// Replaces events of the journal by what they should be, and merges what they tell into the state, in one transaction.
    ///
    /// # Errors
    /// As [`Session::commit`].
    pub async fn correct(&mut self, misjudged: &[Misjudged]) -> Result<(), StoreError> {
        let mut own = self.take().await?;
        let Ok(corrected) = timeout(COMMIT_BUDGET, correct(&mut own.connection, &mut self.months, misjudged)).await
        else {
            return Err(StoreError::Slow);
        };
        self.finish(own, corrected)
    }
}

async fn correct(
    connection: &mut PgConnection,
    months: &mut Months,
    misjudged: &[Misjudged],
) -> Result<(), StoreError> {
    let batch = Batch { events: misjudged.iter().map(|event| &event.judged).collect(), quarantined: Vec::new() };
    // Outside of the transaction, which would hold the journal's lock until its end.
    months.prepare(connection, &batch.events).await?;
    let erasures = Erasures::load(connection).await?;
    let times: Vec<_> = misjudged.iter().map(|event| event.occurred_at).collect();
    let keys: Vec<_> = misjudged.iter().map(|event| event.event_key.clone()).collect();
    let users: Vec<_> = misjudged.iter().map(|event| event.user_id.clone()).collect();
    let mut transaction = connection.begin().await?;
    // In the order in which writers come to these tables.
    let forget = sqlx::query!(
        "
        delete from first_receipts as first
        using unnest($1::bytea[], $2::text[]) as misjudged (event_key, user_id)
        where first.event_key = misjudged.event_key and first.user_id = misjudged.user_id
        ",
        &keys,
        &users
    );
    forget.execute(&mut *transaction).await?;
    let take_out = sqlx::query!(
        "
        delete from events as event
        using unnest($1::timestamptz[], $2::bytea[], $3::text[]) as misjudged (occurred_at, event_key, user_id)
        where event.occurred_at = misjudged.occurred_at
          and event.event_key = misjudged.event_key
          and event.user_id = misjudged.user_id
        ",
        &times,
        &keys,
        &users
    );
    take_out.execute(&mut *transaction).await?;
    write(&mut transaction, months, &erasures, &batch).await?;
    Ok(transaction.commit().await?)
}
