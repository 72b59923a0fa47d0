//! `quarantine`: bodies that could not become events, whole, with the reason.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::error::StoreError;
use super::pool::Store;

/// One body for the quarantine.
#[derive(Debug, Clone, Copy)]
pub struct Quarantined<'a> {
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Why it is here, in words that quote nothing of it.
    pub reason: &'a str,
    /// All of it.
    pub raw: &'a [u8],
}

pub async fn insert(connection: &mut PgConnection, rows: &[Quarantined<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let received_at: Vec<_> = rows.iter().map(|row| row.received_at).collect();
    let reason: Vec<_> = rows.iter().map(|row| row.reason).collect();
    let raw: Vec<_> = rows.iter().map(|row| row.raw).collect();
    sqlx::query!(
        r#"
        insert into quarantine (received_at, reason, raw)
        select * from unnest($1::timestamptz[], $2::text[], $3::bytea[])
        "#,
        &received_at,
        &reason as _,
        &raw as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A body that is in quarantine.
#[derive(Debug)]
pub struct Kept {
    /// Its number.
    pub id: i64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// All of it.
    pub raw: Vec<u8>,
}

impl Store {
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
    ) -> Result<Option<Kept>, StoreError> {
        let kept = sqlx::query_as!(
            Kept,
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
        Ok(kept.fetch_optional(&self.pool).await?)
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
