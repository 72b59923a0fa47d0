//! The journal's partitions: one a month (UTC) of `occurred_at`, made when its first event comes.
//!
//! A month is made as a table of its own and then attached, which on the journal takes a lock that neither
//! readers nor writers nor a running dump wait for. `create table … partition of` would wait for all of
//! them, and every writer behind it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, Months as MonthCount, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::detached;
use crate::event::Event;
use crate::store::error::StoreError;

/// Serialises the making and dropping of months between processes; any constant will do.
pub const LOCK: i64 = 0x0073_6f62_6f74;

/// The first month with a partition of its own; what is older rests in `events_before_2016_04`.
const FIRST: (i32, u32) = (2016, 4);

/// For so long a month that others hold is not asked for again.
const HELD_TIME: Duration = Duration::from_secs(2);

/// The months that a session knows to exist.
#[derive(Debug, Default)]
pub struct Months {
    known: BTreeSet<NaiveDate>,
    /// Others held it a moment ago.
    held: Option<(NaiveDate, Instant)>,
}

impl Months {
    /// Makes the months that these events need.
    pub async fn prepare(&mut self, connection: &mut PgConnection, events: &[&Event]) -> Result<(), StoreError> {
        // An event that is timed by its receipt may have been received before: its month then exists.
        for event in events {
            if let Some(month) = month(event.occurred_at).filter(|month| !self.known.contains(month)) {
                if self.held.is_some_and(|(held, since)| held == month && since.elapsed() < HELD_TIME) {
                    return Err(StoreError::Held);
                }
                let created = create(connection, month).await;
                if let Err(StoreError::Held) = created {
                    self.held = Some((month, Instant::now()));
                }
                created?;
                self.known.insert(month);
            }
        }
        Ok(())
    }

    /// A month may have been dropped.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}

/// Makes the month of a time unless it exists.
pub async fn make(connection: &mut PgConnection, at: DateTime<Utc>) -> Result<(), StoreError> {
    match month(at) {
        Some(month) => create(connection, month).await,
        None => Ok(()),
    }
}

/// The first day of the event's month, if that has a partition.
fn month(at: DateTime<Utc>) -> Option<NaiveDate> {
    let month = (at.year(), at.month());
    if month < FIRST { None } else { NaiveDate::from_ymd_opt(month.0, month.1, 1) }
}

async fn create(connection: &mut PgConnection, month: NaiveDate) -> Result<(), StoreError> {
    let name = month.format("events_%Y_%m");
    let next = month + MonthCount::new(1);
    let mut transaction = connection.begin().await?;
    // Attaching waits for whoever reads the month, or analyses the journal. Others must not wait for that.
    transaction.execute("set local lock_timeout = '100ms'").await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).fetch_one(&mut *transaction).await?;
    let found = sqlx::query!(
        r#"
        select to_regclass($1::text) is not null as "is_there!",
               exists (select from pg_inherits where inhrelid = to_regclass($1::text)) as "is_attached!"
        "#,
        name.to_string()
    )
    .fetch_one(&mut *transaction)
    .await?;
    if !found.is_attached {
        // One that somebody has detached comes back with all that it holds.
        let statements = [
            format!("create table if not exists {name} (like events including all)"),
            format!(
                "alter table events attach partition {name} for values from ('{month} 00:00:00+00') to ('{next} 00:00:00+00')"
            ),
        ];
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
        }
        detached::attached(&mut transaction, &name.to_string(), found.is_there).await?;
        tracing::info!(partition = %name, "made a month of the journal");
    }
    transaction.commit().await?;
    Ok(())
}
