//! Messages that were taken back: what they said is taken out of the journal and the state. That they were sent, and taken
//! back, stays.
//!
//! A repetition of such an event is passed over by its hash, like those of erased people. Messages that are taken back
//! later are the affair of the next time.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::erased::{Erased, end};
use super::removal::{SETTINGS, limited, months};
use super::tombstone;
use crate::ids::{EventKey, PageId};
use crate::store::error::StoreError;
use crate::store::pool::Store;

/// An erasure of what was taken back.
#[derive(Debug)]
pub struct UnsentErasure {
    connection: PgConnection,
    page_id: Option<PageId>,
    is_dry_run: bool,
}

impl Store {
    /// Begins to erase what was taken back, of one page or of all. A dry run only counts.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_unsent_erasure(
        &self,
        page_id: Option<PageId>,
        is_dry_run: bool,
    ) -> Result<UnsentErasure, StoreError> {
        let mut connection = self.connect().await?;
        connection.execute(SETTINGS).await?;
        Ok(UnsentErasure { connection, page_id, is_dry_run })
    }
}

impl UnsentErasure {
    /// The tables of the journal.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn months(&mut self) -> Result<Vec<String>, StoreError> {
        months(&mut self.connection).await
    }

    /// Erases from a table of the journal.
    ///
    /// # Errors
    /// PostgreSQL is away, or the role may not.
    pub async fn erase_month(&mut self, month: &str) -> Result<Erased, StoreError> {
        limited(self.redact(month)).await
    }

    async fn redact(&mut self, month: &str) -> Result<Erased, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let redact = include_str!("unsent.sql").replace("{month}", month);
        let redacted = sqlx::query_as::<_, (String, Vec<u8>)>(AssertSqlSafe(redact));
        let redacted = redacted.bind(self.page_id.as_ref().map(PageId::as_str)).fetch_all(&mut *transaction).await?;
        let erased = Erased { deleted: 0, changed: redacted.len() as u64 };
        if !redacted.is_empty() && !self.is_dry_run {
            let key = tombstone::raise(&mut transaction).await?;
            let hashes = redacted.into_iter().filter_map(|(user_id, event_key)| {
                Some(key.event(&user_id, EventKey(event_key.try_into().ok()?)).to_vec())
            });
            let hashes: Vec<_> = hashes.collect();
            let remember =
                sqlx::query!("insert into erased_events select unnest($1::bytea[]) on conflict do nothing", &hashes);
            remember.execute(&mut *transaction).await?;
        }
        end(transaction, self.is_dry_run).await?;
        Ok(erased)
    }

    /// Erases from the state; returns how many messages said something.
    ///
    /// # Errors
    /// PostgreSQL is away, or the role may not.
    pub async fn erase_messages(&mut self) -> Result<u64, StoreError> {
        limited(self.empty_messages()).await
    }

    async fn empty_messages(&mut self) -> Result<u64, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let empty = sqlx::query!(
            "
            update messages
            set text = null, attachment_types = null, num_edit = null, edited_at = null, edited_text = null
            where deleted_at is not null
              and ($1::text is null or page_id = $1)
              and (text is not null or attachment_types is not null or edited_text is not null)
            ",
            self.page_id.as_ref().map(PageId::as_str)
        );
        let messages = empty.execute(&mut *transaction).await?.rows_affected();
        sqlx::query!(
            "
            update outbox
            set request = '{}'
            from messages
            where outbox.user_id = messages.user_id
              and outbox.page_id = messages.page_id
              and outbox.mid = messages.mid
              and outbox.status = 'sent'
              and messages.deleted_at is not null
              and ($1::text is null or messages.page_id = $1)
            ",
            self.page_id.as_ref().map(PageId::as_str)
        )
        .execute(&mut *transaction)
        .await?;
        end(transaction, self.is_dry_run).await?;
        Ok(messages)
    }
}
