//! `messages`: every message that was sent, or named by a receipt.

mod key;
mod known;

use chrono::{DateTime, Utc};

use crate::ids::{Mid, PageId, UserId};
use crate::state::Message;
use crate::store::row::{RowType, row};
use crate::store::state_table::StateTable;
use key::message_key;

pub const TABLE: StateTable = StateTable {
    name: "messages",
    key: &["user_id", "message_key"],
    shown: &["user_id", "page_id", "mid"],
    decided: &[],
    private: &["text", "edited_text"],
    row: RowType::of::<MessageRow<'_>>(),
    on_conflict: include_str!("merge.sql"),
    put_back: Some(include_str!("put_back.sql")),
};

row! {
    pub struct MessageRow<'e> as "message_row" {
        user_id: &'e str,
        message_key: [u8; 16],
        page_id: &'e str,
        mid: &'e str,
        direction: &'static str,
        sent_at: Option<DateTime<Utc>>,
        text: Option<&'e str>,
        attachment_types: Option<&'e str>,
        source: i16,
        content_key: Option<&'e [u8]>,
        num_edit: Option<i64>,
        edited_at: Option<DateTime<Utc>>,
        edited_text: Option<&'e str>,
        deleted_at: Option<DateTime<Utc>>,
        delivered_at: Option<DateTime<Utc>>,
        read_at: Option<DateTime<Utc>>,
        sent_no_later_than: Option<DateTime<Utc>>,
    }
}

impl<'e> MessageRow<'e> {
    pub fn new((user, page, mid): &(&'e UserId, &'e PageId, &'e Mid), row: &'e Message<'e>) -> Self {
        Self {
            user_id: user.as_str(),
            message_key: message_key(page, mid),
            page_id: page.as_str(),
            mid: mid.as_str(),
            direction: row.content.direction.as_str(),
            sent_at: if row.content.key.is_some() { row.content.sent_at } else { row.listed_at },
            text: row.content.text,
            attachment_types: row.content.attachment_types,
            source: row.content.source.number(),
            content_key: row.content.key.as_ref().map(|key| key.0.as_slice()),
            num_edit: row.edit.map(|edit| edit.num_edit),
            edited_at: row.edit.map(|edit| edit.edited_at),
            edited_text: row.edit.map(|edit| edit.text),
            deleted_at: row.deleted_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            sent_no_later_than: row.sent_no_later_than,
        }
    }
}
