//! The journal's partitions: one a month (UTC) of `occurred_at`, made when its first event comes.
//!
//! A month is made as a table of its own and then attached, which on the journal takes a lock that neither
//! readers nor writers nor a running dump wait for. `create table … partition of` would wait for all of
//! them, and every writer behind it.
//!
//! A function does it, with the rights of the role that owns the journal: a service that only calls and reads may need a
//! new month, too.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::event::Event;
use crate::store::error::StoreError;
use crate::store::function::{Function, Rights};

/// Serialises the making and dropping of months between processes; any constant will do. `make_month.sql`
/// takes it, too.
pub const LOCK: i64 = 0x0073_6f62_6f74;

/// Makes a month unless it exists. As a statement of its own it is a transaction of its own.
pub static MAKE_MONTH: LazyLock<Function> = LazyLock::new(|| {
    Function::new("make_month", Rights::Owner, "month date", "boolean", include_str!("make_month.sql"))
});

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
    let statement = format!("select {}($1)", MAKE_MONTH.name);
    let is_new: bool = sqlx::query_scalar(AssertSqlSafe(statement)).bind(month).fetch_one(connection).await?;
    if is_new {
        tracing::info!(partition = %month.format("events_%Y_%m"), "made a month of the journal");
    }
    Ok(())
}
