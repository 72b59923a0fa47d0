//! Which messages need not be asked for.

use std::collections::HashSet;

use super::key::message_key;
use crate::ids::{Mid, PageId, UserId};
use crate::store::error::StoreError;
use crate::store::pool::Store;

impl Store {
    /// Those of a customer's messages of which something has told what they say, or at least when they were written. A
    /// message that only a receipt, an edit or an unsend has named is none of them.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn known_messages(
        &self,
        page_id: &PageId,
        user_id: &UserId,
        mids: impl Iterator<Item = &Mid>,
    ) -> Result<HashSet<String>, StoreError> {
        let keys: Vec<Vec<u8>> = mids.map(|mid| message_key(page_id, mid).to_vec()).collect();
        let known = sqlx::query_scalar!(
            "
            select mid
            from messages
            where user_id = $1 and message_key = any($2) and (content_key is not null or sent_at is not null)
            ",
            user_id.as_str(),
            &keys
        );
        Ok(known.fetch_all(&self.pool).await?.into_iter().collect())
    }
}
