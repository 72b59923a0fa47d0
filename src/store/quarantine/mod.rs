//! `quarantine`: bodies that could not become events, whole, with the reason.

mod room;

use chrono::{DateTime, Utc};
use sqlx::Executor;

use crate::store::error::StoreError;
use crate::store::pool::Store;
use crate::store::row::row;

/// Puts rows into quarantine: the body of a function whose argument is `rows`.
pub const INSERT: &str = include_str!("insert.sql");

row! {
    /// One body for the quarantine.
    #[derive(Debug, Clone, Copy)]
    pub struct Quarantined<'a> as "quarantine_row" {
        /// When it arrived.
        pub received_at: DateTime<Utc>,
        /// Why it is here, in words that quote nothing of it.
        pub reason: &'a str,
        /// All of it.
        pub raw: &'a [u8],
    }
}

/// A body that lies in quarantine.
#[derive(Debug)]
pub struct QuarantinedBody {
    /// Its number.
    pub id: i64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// All of it.
    pub raw: Vec<u8>,
}

impl Store {
    /// Drops what was received before a time, replayed or not, and tells how many bodies that were.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn drop_quarantined(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        transaction.execute("set local statement_timeout = 0").await?;
        let dropped = sqlx::query!("delete from quarantine where received_at < $1", before);
        let bodies = dropped.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(bodies)
    }

    /// The next body after `after` that has not been replayed: this one alone if `id` is given, otherwise of
    /// those received at or after `since`.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn next_quarantined(
        &self,
        after: i64,
        id: Option<i64>,
        since: Option<DateTime<Utc>>,
    ) -> Result<Option<QuarantinedBody>, StoreError> {
        let body = sqlx::query_as!(
            QuarantinedBody,
            r#"
            select id, received_at, raw
            from quarantine
            where replayed_at is null
              and id > $1
              and ($2::bigint is null or id = $2)
              and ($3::timestamptz is null or received_at >= $3)
            order by id
            limit 1
            "#,
            after,
            id,
            since,
        );
        Ok(body.fetch_optional(&self.pool).await?)
    }

    /// Writes down what became of a replayed body: the time of success, or today's reason why not.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn mark_quarantined(&self, id: i64, outcome: Result<DateTime<Utc>, &str>) -> Result<(), StoreError> {
        sqlx::query!(
            "update quarantine set replayed_at = $2, reason = coalesce($3, reason) where id = $1",
            id,
            outcome.ok(),
            outcome.err(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
