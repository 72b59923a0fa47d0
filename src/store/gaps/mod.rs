//! `gaps` and `heals`: what the webhook missed, and up to when that has been looked for.

use chrono::{DateTime, Utc};

use crate::ids::{PageId, UserId};
use crate::store::error::StoreError;
use crate::store::pool::Store;

/// Messages of a conversation that were missed.
#[derive(Debug, Clone, Copy)]
pub struct Gap<'a> {
    pub page_id: &'a PageId,
    /// None where Meta does not tell.
    pub user_id: Option<&'a UserId>,
    /// When the earliest of them was written.
    pub from: DateTime<Utc>,
    /// When the latest of them was written.
    pub until: DateTime<Utc>,
    pub why: &'a str,
    /// How many Meta has told since.
    pub filled: u64,
    /// Of how many it tells no more than that they were there.
    pub lost: u64,
}

impl Store {
    /// Writes a gap down.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn record_gap(&self, gap: &Gap<'_>) -> Result<(), StoreError> {
        let count = |messages: u64| i64::try_from(messages).unwrap_or(i64::MAX);
        let record = sqlx::query!(
            "
            insert into gaps (user_id, page_id, from_time, until_time, why, filled, lost)
            values ($1, $2, $3, $4, $5, $6, $7)
            ",
            gap.user_id.map_or("", UserId::as_str),
            gap.page_id.as_str(),
            gap.from,
            gap.until,
            gap.why,
            count(gap.filled),
            count(gap.lost)
        );
        record.execute(&self.pool).await?;
        Ok(())
    }

    /// Up to when a page's messages have been compared with Meta's lists; none if they never were.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn healed_until(&self, page_id: &PageId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let until = sqlx::query_scalar!("select healed_until from heals where page_id = $1", page_id.as_str());
        Ok(until.fetch_optional(&self.pool).await?)
    }

    /// Writes down that they have been compared up to this time.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn mark_healed(&self, page_id: &PageId, until: DateTime<Utc>) -> Result<(), StoreError> {
        let mark = sqlx::query!(
            "
            insert into heals as held (page_id, healed_until)
            values ($1, $2)
            on conflict (page_id) do update
            set healed_until = greatest(held.healed_until, excluded.healed_until)
            ",
            page_id.as_str(),
            until
        );
        mark.execute(&self.pool).await?;
        Ok(())
    }
}
