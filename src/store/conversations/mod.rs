//! `conversations`: when customer and page were in touch, and up to where everything is delivered or read.

use chrono::{DateTime, Utc};

use crate::ids::{PageId, UserId};
use crate::state::Conversation;
use crate::store::row::{RowType, row};
use crate::store::state_table::StateTable;

pub const TABLE: StateTable = StateTable {
    name: "conversations",
    key: &["user_id", "page_id"],
    shown: &["user_id", "page_id"],
    decided: &[],
    private: &[],
    row: RowType::of::<ConversationRow<'_>>(),
    on_conflict: include_str!("merge.sql"),
    put_back: Some(include_str!("put_back.sql")),
};

row! {
    pub struct ConversationRow<'e> as "conversation_row" {
        user_id: &'e str,
        page_id: &'e str,
        first_seen_at: DateTime<Utc>,
        last_seen_at: DateTime<Utc>,
        last_inbound_at: Option<DateTime<Utc>>,
        delivered_watermark: Option<DateTime<Utc>>,
        read_watermark: Option<DateTime<Utc>>,
    }
}

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
