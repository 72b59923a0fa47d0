//! `backfills`: which conversations of the past are in the journal, and up to when.

use chrono::{DateTime, Utc};

use crate::ids::{ConversationId, PageId, UserId};
use crate::store::error::StoreError;
use crate::store::pool::Store;

impl Store {
    /// When a conversation had last moved when all its messages were stored; none if they never were. Without a user it is
    /// looked for among those whose user is not known.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn backfilled_until(
        &self,
        page_id: &PageId,
        user_id: Option<&UserId>,
        conversation_id: &ConversationId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let until = sqlx::query_scalar!(
            "select updated_at from backfills where user_id = $1 and page_id = $2 and conversation_id = $3",
            user_id.map_or("", UserId::as_str),
            page_id.as_str(),
            conversation_id.as_str()
        );
        Ok(until.fetch_optional(&self.pool).await?)
    }

    /// Writes down that all messages of a conversation up to this time are stored.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn mark_backfilled(
        &self,
        page_id: &PageId,
        user_id: Option<&UserId>,
        conversation_id: &ConversationId,
        updated_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mark = sqlx::query!(
            "
            insert into backfills as held (user_id, page_id, conversation_id, updated_at)
            values ($1, $2, $3, $4)
            on conflict (user_id, page_id, conversation_id) do update
            set updated_at = greatest(held.updated_at, excluded.updated_at),
                done_at = now()
            ",
            user_id.map_or("", UserId::as_str),
            page_id.as_str(),
            conversation_id.as_str(),
            updated_at
        );
        mark.execute(&self.pool).await?;
        Ok(())
    }
}
