//! `conversations`: its rows, as the function `fold` merges them.

use chrono::{DateTime, Utc};

use super::row::composite;
use crate::ids::{PageId, UserId};
use crate::state::Conversation;

#[derive(sqlx::Encode)]
pub struct ConversationRow<'e> {
    user_id: &'e str,
    page_id: &'e str,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    last_inbound_at: Option<DateTime<Utc>>,
    delivered_watermark: Option<DateTime<Utc>>,
    read_watermark: Option<DateTime<Utc>>,
}

composite!(ConversationRow, "conversation_row");

impl<'e> ConversationRow<'e> {
    pub fn new((user, page): &(&'e UserId, &'e PageId), row: &Conversation) -> Self {
        Self {
            user_id: user.as_str(),
            page_id: page.as_str(),
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            last_inbound_at: row.last_inbound_at,
            delivered_watermark: row.delivered_watermark,
            read_watermark: row.read_watermark,
        }
    }
}
