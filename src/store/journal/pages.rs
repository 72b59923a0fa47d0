//! Which pages the webhook has brought events of, and when last.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::ids::PageId;
use crate::store::error::StoreError;
use crate::store::pool::Store;

/// Reading a month of a busy page takes some seconds; nobody waits for it.
const LIMIT: Duration = Duration::from_mins(2);

impl Store {
    /// When the newest event of each page was received, of the webhook's events that occurred at or after `since`. What we
    /// did ourselves does not show that a page's events still arrive.
    ///
    /// # Errors
    /// PostgreSQL is away, or has more to read than it can within two minutes.
    pub async fn pages_heard(&self, since: DateTime<Utc>) -> Result<Vec<(PageId, DateTime<Utc>)>, StoreError> {
        let mut connection = self.connect().await?;
        let limit = format!("set statement_timeout = '{}s'", LIMIT.as_secs());
        connection.execute(AssertSqlSafe(limit)).await?;
        let heard = sqlx::query!(
            r#"
            select page_id, max(received_at) as "received_at!"
            from events
            where occurred_at >= $1 and page_id <> '' and container not in ('api', 'sync', 'backfill')
            group by page_id
            "#,
            since
        );
        let heard = heard.fetch_all(&mut connection).await?;
        connection.close().await?;
        let page = |id: String| PageId::try_from(Cow::from(id)).ok();
        Ok(heard.into_iter().filter_map(|row| Some((page(row.page_id)?, row.received_at))).collect())
    }
}
