//! `subscriptions`: the latest word on each topic.

use chrono::{DateTime, Utc};

use crate::ids::{PageId, Topic, UserId};
use crate::state::Subscription;
use crate::store::row::{RowType, row};
use crate::store::state_table::StateTable;

pub const TABLE: StateTable = StateTable {
    name: "subscriptions",
    key: &["user_id", "page_id", "topic"],
    shown: &["user_id", "page_id", "topic"],
    decided: &[],
    private: &["token", "payload"],
    row: RowType::of::<SubscriptionRow<'_>>(),
    on_conflict: include_str!("merge.sql"),
    put_back: Some(include_str!("put_back.sql")),
};

row! {
    pub struct SubscriptionRow<'e> as "subscription_row" {
        user_id: &'e str,
        page_id: &'e str,
        topic: &'e str,
        sub_status: i16,
        token: Option<&'e str>,
        token_expires_at: Option<DateTime<Utc>>,
        user_token_status: Option<&'e str>,
        payload: Option<&'e str>,
        frequency: Option<&'e str>,
        changed_at: DateTime<Utc>,
        event_key: &'e [u8],
        timezone: Option<&'e str>,
        timezone_at: Option<DateTime<Utc>>,
        first_subscribed_at: Option<DateTime<Utc>>,
    }
}

impl<'e> SubscriptionRow<'e> {
    pub fn new((user, page, topic): &(&'e UserId, &'e PageId, &'e Topic), row: &'e Subscription<'e>) -> Self {
        let facts = row.change.facts;
        Self {
            user_id: user.as_str(),
            page_id: page.as_str(),
            topic: topic.as_str(),
            sub_status: i16::from(facts.is_subscribed),
            token: facts.token.as_deref(),
            token_expires_at: facts.token_expires_at,
            user_token_status: facts.user_token_status.as_deref(),
            payload: facts.payload.as_deref(),
            frequency: facts.frequency.as_deref(),
            changed_at: row.change.changed_at,
            event_key: &row.change.key.0,
            timezone: row.timezone.map(|(_, timezone)| timezone),
            timezone_at: row.timezone.map(|(at, _)| at),
            first_subscribed_at: row.first_subscribed_at,
        }
    }
}
