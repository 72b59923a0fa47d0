//! Subscriptions: the latest word on each topic, and the latest on what not every word tells.

use chrono::{DateTime, Utc};

use super::join::{Join, earliest};
use crate::event::{Event, SubscriptionFacts};
use crate::ids::EventKey;

type Time = DateTime<Utc>;

/// What an opt-in, or Sobot's list, said. Of two the later one wins, whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Word<'e> {
    /// When it happened.
    pub at: Time,
    /// Decides between two of the same moment.
    pub key: EventKey,
    /// The rest of it.
    pub facts: &'e SubscriptionFacts,
}

impl Word<'_> {
    fn is_after(&self, other: &Self) -> bool {
        (self.at, self.key) > (other.at, other.key)
    }
}

/// A row of `subscriptions`.
///
/// The same change may be told by an opt-in and by Sobot's list, at slightly different times and each with something that
/// the other lacks: the list knows no expiry, a stop no time zone, either may be without a token. So each of these is a
/// latest word by itself, and what is silent of it leaves it alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription<'e> {
    /// The latest change: whether the user is subscribed.
    pub change: Word<'e>,
    /// The latest token and when it was told.
    pub token: Option<(Time, &'e str)>,
    /// The latest word on when a token ends, whether it was refreshed, how often messages may come. Opt-ins alone tell
    /// that, each of its own token.
    pub terms: Option<Word<'e>>,
    /// The latest time zone and when it was told: of the opt-ins only subscribing ones tell one.
    pub timezone: Option<(Time, &'e str)>,
    /// The first time that the user subscribed or resumed.
    pub first_subscribed_at: Option<Time>,
}

impl<'e> Subscription<'e> {
    pub fn told(event: &Event, facts: &'e SubscriptionFacts) -> Self {
        let at = event.occurred_at;
        let word = Word { at, key: event.key, facts };
        let mut first_subscribed_at = facts.created_at;
        earliest(&mut first_subscribed_at, facts.is_subscribed.then_some(at));
        Self {
            change: word,
            token: facts.token.as_deref().map(|token| (at, token)),
            terms: facts.tells_terms().then_some(word),
            timezone: facts.timezone.as_deref().map(|timezone| (at, timezone)),
            first_subscribed_at,
        }
    }

    /// When the token ends, if that was told of this very token.
    pub fn token_expires_at(&self) -> Option<Time> {
        let (_, token) = self.token?;
        let terms = self.terms?.facts;
        terms.token_expires_at.filter(|_| terms.token.as_deref() == Some(token))
    }
}

impl Join for Subscription<'_> {
    fn join(&mut self, other: Self) {
        if other.change.is_after(&self.change) {
            self.change = other.change;
        }
        self.token = self.token.max(other.token);
        if let Some(terms) = other.terms
            && self.terms.is_none_or(|held| terms.is_after(&held))
        {
            self.terms = other.terms;
        }
        self.timezone = self.timezone.max(other.timezone);
        earliest(&mut self.first_subscribed_at, other.first_subscribed_at);
    }
}
