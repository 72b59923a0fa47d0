//! Dropping old months of the journal, without making anybody wait.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::months;
use crate::store::error::StoreError;
use crate::store::pool::Store;

impl Store {
    /// Makes the month of a time, so that its first event need not wait for whoever locks the journal.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn make_month(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        months::make(&mut connection, at).await
    }

    /// Drops every month of the journal that ends at or before `before`, the first day of a month, and everything
    /// older that rests elsewhere. Returns the names of the months. State stays.
    ///
    /// # Errors
    /// PostgreSQL is away. What is half done is finished by the next call.
    pub async fn drop_months(&self, before: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let oldest_kept = before.format("events_%Y_%m").to_string();
        // A month that an earlier call detached but did not drop is a table of its own by now.
        let months = sqlx::query_scalar!(
            r#"
            select relname::text as "name!"
            from pg_class
            where relnamespace = current_schema()::regnamespace
              and relkind = 'r'
              and relname ~ '^events_[0-9]{4}_[0-9]{2}$'
              and relname < $1
            order by relname
            "#,
            oldest_kept,
        )
        .fetch_all(&self.pool)
        .await?;
        let older =
            sqlx::query_scalar!("select exists (select from events_before_2016_04 where occurred_at < $1)", before)
                .fetch_one(&self.pool)
                .await?;
        if months.is_empty() && older != Some(true) {
            return Ok(months);
        }
        // The horizon first: a rebuild must never take a dropped month for an empty one.
        sqlx::query!(
            r#"
            insert into journal_horizon as horizon (begins_at)
            values ($1)
            on conflict (id) do update
            set begins_at = greatest(horizon.begins_at, excluded.begins_at)
            "#,
            before,
        )
        .execute(&self.pool)
        .await?;
        // A connection of its own, which may wait as long as somebody reads; closed at the end.
        let mut connection = self.pool.acquire().await?.detach();
        connection.execute("set statement_timeout = 0").await?;
        for month in &months {
            drop_month(&mut connection, month).await?;
        }
        sqlx::query!("delete from events_before_2016_04 where occurred_at < $1", before)
            .execute(&mut connection)
            .await?;
        sqlx::query!("delete from first_receipts where occurred_at < $1", before).execute(&mut connection).await?;
        Ok(months)
    }
}

/// Detached concurrently, which waits for those who read the month but lets nobody wait; then dropped.
async fn drop_month(connection: &mut PgConnection, month: &str) -> Result<(), StoreError> {
    let pending = sqlx::query_scalar!(
        "select inhdetachpending from pg_inherits where inhrelid = to_regclass($1::text)",
        month.to_owned()
    )
    .fetch_optional(&mut *connection)
    .await?;
    let detach = match pending {
        None => None,
        Some(false) => Some(format!("alter table events detach partition {month} concurrently")),
        Some(true) => Some(format!("alter table events detach partition {month} finalize")),
    };
    for statement in detach.into_iter().chain([format!("drop table {month}")]) {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}
