//! Subscriptions: the latest word on each topic.

use chrono::{DateTime, Utc};

use super::join::{Join, earliest};
use crate::event::{Event, SubscriptionFacts};
use crate::ids::EventKey;

type Time = DateTime<Utc>;

/// What the latest opt-in of a topic says; it wins whole.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionChange<'e> {
    /// When it happened.
    pub changed_at: Time,
    /// Decides between two of the same moment.
    pub key: EventKey,
    /// The rest of it.
    pub facts: &'e SubscriptionFacts,
}

/// A row of `subscriptions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription<'e> {
    /// The latest change.
    pub change: SubscriptionChange<'e>,
    /// The latest time zone and when it was told: only subscribing events tell one.
    pub timezone: Option<(Time, &'e str)>,
    /// The first time that the user subscribed or resumed.
    pub first_subscribed_at: Option<Time>,
}

impl<'e> Subscription<'e> {
    pub fn told(event: &Event, facts: &'e SubscriptionFacts) -> Self {
        let at = event.occurred_at;
        Self {
            change: SubscriptionChange { changed_at: at, key: event.key, facts },
            timezone: facts.timezone.as_deref().map(|timezone| (at, timezone)),
            first_subscribed_at: facts.is_subscribed.then_some(at),
        }
    }
}

impl Join for Subscription<'_> {
    fn join(&mut self, other: Self) {
        if (other.change.changed_at, other.change.key) > (self.change.changed_at, self.change.key) {
            self.change = other.change;
        }
        self.timezone = self.timezone.max(other.timezone);
        earliest(&mut self.first_subscribed_at, other.first_subscribed_at);
    }
}
