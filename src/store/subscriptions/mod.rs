//! `subscriptions`: the latest word on each topic.

mod list;

use chrono::{DateTime, Utc};

use crate::ids::{PageId, Topic, UserId};
use crate::state::Subscription;
use crate::store::row::{RowType, row};
use crate::store::state_table::StateTable;

pub use list::{SubscribedTopic, Subscriber};

pub const TABLE: StateTable = StateTable {
    name: "subscriptions",
    key: &["user_id", "page_id", "topic"],
    shown: &["user_id", "page_id", "topic"],
    decided: &[],
    private: &["token", "terms_token", "payload"],
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
        token_at: Option<DateTime<Utc>>,
        terms_at: Option<DateTime<Utc>>,
        terms_key: Option<&'e [u8]>,
        terms_token: Option<&'e str>,
        terms_expire_at: Option<DateTime<Utc>>,
    }
}

impl<'e> SubscriptionRow<'e> {
    pub fn new((user, page, topic): &(&'e UserId, &'e PageId, &'e Topic), row: &'e Subscription<'e>) -> Self {
        let facts = row.change.facts;
        let terms = row.terms.as_ref().map(|terms| terms.facts);
        Self {
            user_id: user.as_str(),
            page_id: page.as_str(),
            topic: topic.as_str(),
            sub_status: i16::from(facts.is_subscribed),
            token: row.token.map(|(_, token)| token),
            token_expires_at: row.token_expires_at(),
            user_token_status: terms.and_then(|terms| terms.user_token_status.as_deref()),
            payload: facts.payload.as_deref(),
            frequency: terms.and_then(|terms| terms.frequency.as_deref()),
            changed_at: row.change.at,
            event_key: &row.change.key.0,
            timezone: row.timezone.map(|(_, timezone)| timezone),
            timezone_at: row.timezone.map(|(at, _)| at),
            first_subscribed_at: row.first_subscribed_at,
            token_at: row.token.map(|(at, _)| at),
            terms_at: row.terms.map(|terms| terms.at),
            terms_key: row.terms.as_ref().map(|terms| terms.key.0.as_slice()),
            terms_token: terms.and_then(|terms| terms.token.as_deref()),
            terms_expire_at: terms.and_then(|terms| terms.token_expires_at),
        }
    }
}
