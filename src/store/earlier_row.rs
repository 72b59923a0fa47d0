//! An event without a time, of which a copy was received before the one that is stored.

use chrono::{DateTime, Utc};

use super::journal::Earlier;
use super::row::row;
use crate::event::Event;
use crate::ids::{PageId, UserId};

row! {
    #[derive(Debug, Clone, Copy)]
    pub struct EarlierRow<'e> as "earlier_row" {
        pub user_id: &'e str,
        pub page_id: &'e str,
        pub event_key: &'e [u8],
        pub received_at: DateTime<Utc>,
        pub stored_at: DateTime<Utc>,
    }
}

impl<'e> EarlierRow<'e> {
    pub fn new(event: &'e Event, earlier: Earlier) -> Self {
        Self {
            user_id: event.user_id.as_ref().map_or("", UserId::as_str),
            page_id: event.page_id.as_ref().map_or("", PageId::as_str),
            event_key: &event.key.0,
            received_at: earlier.received_at,
            stored_at: event.occurred_at,
        }
    }
}
