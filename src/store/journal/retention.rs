//! Dropping old months of the journal, without making anybody wait.
//!
//! Each step may be the last one before a kill. The next run finishes what is left: the months that are written down in
//! `detached_months`, and what else lies before the horizon.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::detached::{self, Leaving};
use super::months;
use crate::store::error::StoreError;
use crate::store::pool::Store;

/// Held by the one service that drops months; any number does that is always the same one.
const LOCK: i64 = 0x0064_726f_7073;

/// SQLSTATE.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What else than the service's clock tells the time.
#[derive(Debug, Clone, Copy)]
pub struct Witnesses {
    /// PostgreSQL's clock.
    pub database: DateTime<Utc>,
    /// The latest time that an event of the journal told by itself. The time of an event that tells none is the service's
    /// own.
    pub newest_event: Option<DateTime<Utc>>,
}

impl Store {
    /// Makes the month of a time, so that its first event need not wait for whoever locks the journal.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn make_month(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        months::make(&mut connection, at).await
    }

    /// Asks PostgreSQL's clock and the journal.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn witnesses(&self) -> Result<Witnesses, StoreError> {
        let witnesses = sqlx::query_as!(
            Witnesses,
            r#"
            select now() as "database!", (
                select occurred_at from events where occurred_at <> received_at order by occurred_at desc limit 1
            ) as newest_event
            "#
        );
        Ok(witnesses.fetch_one(&self.pool).await?)
    }

    /// The server's version as a number, such as 150018.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn server_version(&self) -> Result<i32, StoreError> {
        let version = sqlx::query_scalar!(r#"select current_setting('server_version_num')::int as "version!""#);
        Ok(version.fetch_one(&self.pool).await?)
    }

    /// Drops every month of the journal that ends at or before `before`, the first day of a month, and all of that time
    /// that rests elsewhere: older events, first receipts, uploads that nobody has asked for. Returns the names of the
    /// months. State stays, and so does what somebody else has detached.
    ///
    /// # Errors
    /// PostgreSQL is away, or somebody else is detaching a month. What is half done is finished by the next call.
    pub async fn drop_months(&self, before: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        // A month cannot be detached within a transaction, hence the lock in one of its own. It ends with its connection.
        let mut guard = self.pool.begin().await?;
        let is_alone = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "is_alone!""#, LOCK);
        if !is_alone.fetch_one(&mut *guard).await? {
            return Ok(Vec::new());
        }
        // A connection of its own, which may wait as long as somebody reads; closed at the end.
        let mut connection = self.pool.acquire().await?.detach();
        connection.execute("set statement_timeout = 0").await?;
        let left_over = detached::left_over(&mut connection).await?;
        let oldest_kept = before.format("events_%Y_%m").to_string();
        let old = detached::attached_before(&mut connection, &oldest_kept).await?;
        // The horizon first: a rebuild must never take a dropped month for an empty one.
        move_horizon(&mut connection, before, !old.is_empty()).await?;
        for month in &left_over {
            if month.is_pending {
                detach(&mut connection, &month.name, "finalize").await?;
            }
            finish(&mut connection, month).await?;
        }
        for name in &old {
            let month = detached::leave(&mut connection, name).await?;
            if let Err(error) = detach(&mut connection, name, "concurrently").await {
                detached::forget_untouched(&mut connection).await?;
                return Err(error);
            }
            finish(&mut connection, &month).await?;
        }
        sweep(&mut connection).await?;
        drop(guard);
        Ok(left_over.into_iter().map(|month| month.name).chain(old).collect())
    }
}

/// Moves it to `before` if months are to go, or events that are older than any month.
async fn move_horizon(connection: &mut PgConnection, before: DateTime<Utc>, is_needed: bool) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into journal_horizon as horizon (begins_at)
        select $1
        where $2 or exists (select from events_before_2016_04 where occurred_at < $1)
        on conflict (id) do update
        set begins_at = greatest(horizon.begins_at, excluded.begins_at)
        "#,
        before,
        is_needed,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Concurrently, which waits for those who read the month but lets nobody wait.
async fn detach(connection: &mut PgConnection, month: &str, how: &str) -> Result<(), StoreError> {
    connection.execute(AssertSqlSafe(format!("alter table events detach partition {month} {how}"))).await?;
    Ok(())
}

/// Drops a detached month, or leaves it to whom it belongs.
async fn finish(connection: &mut PgConnection, month: &Leaving) -> Result<(), StoreError> {
    if month.is_kept {
        return detached::forget(connection, &month.name).await;
    }
    match drop_detached(connection, &month.name).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
            tracing::info!(month = month.name, "somebody reads a detached month; it is dropped later");
            Ok(())
        }
        dropped => Ok(dropped?),
    }
}

/// Whoever reads the table by its own name is not waited for: the making of months would wait, too.
async fn drop_detached(connection: &mut PgConnection, month: &str) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    transaction.execute("set local lock_timeout = '500ms'").await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", months::LOCK).fetch_one(&mut *transaction).await?;
    // A late event may have brought it back: dropped now, all would wait for those who read the journal.
    let is_back = sqlx::query_scalar!(
        r#"select exists (select from pg_inherits where inhrelid = to_regclass($1::text)) as "is_back!""#,
        month.to_owned()
    );
    if !is_back.fetch_one(&mut *transaction).await? {
        transaction.execute(AssertSqlSafe(format!("drop table if exists {month}"))).await?;
        sqlx::query!("delete from detached_months where name = $1", month).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// What else lies before the horizon, also what a killed run has left there. A first receipt that stayed would give a
/// repetition of its event a time in a dropped month for ever.
async fn sweep(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    for statement in [
        "delete from events_before_2016_04 using journal_horizon where occurred_at < begins_at",
        "delete from first_receipts using journal_horizon where occurred_at < begins_at",
        // Of an upload that somebody has asked for, the asker's side stays.
        "delete from uploads using journal_horizon where requested_at is null and completed_at < begins_at",
    ] {
        transaction.execute(statement).await?;
    }
    Ok(transaction.commit().await?)
}
