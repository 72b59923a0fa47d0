//! One event: what a dialect has read becomes keys, times, facts and the bytes to keep, by rulings that hold for every
//! producer.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::body::Body;
use super::facts::Facts;
use super::terms::{Container, Direction, Kind, Note};
use super::time::{Receipt, plausible};
use super::{id, key};
use crate::ids::{EventKey, PageId, UserId};
use crate::json::{Json, representable};

/// One event, ready for the journal and for the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Tells it from every other event.
    pub key: EventKey,
    /// When it happened, as far as is known: its timestamp, its watermark, its entry's time, or its receipt.
    pub occurred_at: DateTime<Utc>,
    /// True when no time was told (or none to be believed) and `occurred_at` is the receipt's.
    pub is_timed_by_receipt: bool,
    /// When its body arrived, by the service's clock.
    pub received_at: DateTime<Utc>,
    /// By how much PostgreSQL's clock was ahead of that one, if they were apart when the event was stored.
    pub clock_skew: Option<TimeDelta>,
    /// The customer.
    pub user_id: Option<UserId>,
    /// The page.
    pub page_id: Option<PageId>,
    /// `page`, `instagram`, …: the envelope's `object`.
    pub object: Option<Arc<str>>,
    /// When its entry was sent, as told.
    pub entry_time: Option<DateTime<Utc>>,
    /// What it was wrapped in.
    pub container: Container,
    /// What it is about.
    pub kind: Kind,
    /// Its own key (`postback`, `reaction`, …) or the field of a change; only for [`Kind::Other`].
    pub event_type: Option<String>,
    /// Why it changes no state, when its kind should.
    pub note: Option<Note>,
    /// Who acted.
    pub direction: Direction,
    /// What it tells the state.
    pub facts: Facts,
    /// Its JSON.
    pub body: Body,
    /// JSON text of what stood around it and belongs to no event (`hop_context`, `uid`, …).
    pub envelope: Option<String>,
}

/// A row of the journal, as far as it decides what the event tells the state.
#[derive(Debug)]
pub struct Journaled<'a> {
    /// The exact bytes, or what `jsonb` keeps of them.
    pub body: &'a Bytes,
    /// As stored.
    pub container: Container,
    /// As stored.
    pub page_id: &'a str,
    /// As stored.
    pub key: EventKey,
    /// As stored.
    pub occurred_at: DateTime<Utc>,
    /// As stored.
    pub entry_time: Option<DateTime<Utc>>,
    /// As stored.
    pub receipt: Receipt,
}

/// What a dialect has read of one event, as it was told.
#[derive(Debug)]
pub struct Draft<'a> {
    /// All of it.
    pub json: Json<'a>,
    /// What of it is the same in a repetition, where no message tells one event from another.
    pub identity: Json<'a>,
    pub container: Container,
    pub kind: Kind,
    pub event_type: Option<String>,
    pub object: Option<Arc<str>>,
    pub page: Option<Cow<'a, str>>,
    pub user: Option<Cow<'a, str>>,
    pub direction: Direction,
    /// The page's message, told to the page.
    pub is_echo: bool,
    /// Microseconds since 1970, however absurd.
    pub told_at: Option<i128>,
    /// The same of its entry.
    pub entry_time: Option<i128>,
    /// The facts, or why they are missing.
    pub facts: Result<Facts, Note>,
    /// Why it changes no state, if that is known already.
    pub note: Option<Note>,
    pub envelope: Option<String>,
}

impl Draft<'_> {
    /// The event. The first reason found why it changes no state is its note.
    #[must_use]
    pub fn finish(self, receipt: Receipt) -> Event {
        let Receipt { received_at, clock_skew } = receipt;
        let mut note = self.note;
        let page_id: Option<PageId> = noted(id::known(self.page), &mut note).flatten();
        let user_id: Option<UserId> = noted(id::known(self.user), &mut note).flatten();
        let told_at = self.told_at.map(|told| plausible(told, receipt));
        let occurred_at = told_at.and_then(|told| noted(told, &mut note));
        let facts = if note.is_none() { self.facts } else { Ok(Facts::None) };
        let facts = facts.and_then(|facts| admit(facts, self.kind, self.direction, user_id.as_ref(), page_id.as_ref()));
        let facts = noted(facts, &mut note).unwrap_or(Facts::None);
        let subject = key::Subject { container: self.container, page: page_id.as_ref() };
        let key = key::of_message(subject, self.direction, self.is_echo, &facts);
        Event {
            key: key.unwrap_or_else(|| key::of_json(subject, self.kind, note, self.identity)),
            occurred_at: occurred_at.unwrap_or(received_at),
            is_timed_by_receipt: occurred_at.is_none(),
            received_at,
            clock_skew,
            user_id,
            page_id,
            object: self.object,
            entry_time: self.entry_time.and_then(representable),
            container: self.container,
            kind: self.kind,
            event_type: self.event_type,
            note,
            direction: self.direction,
            facts,
            body: Body::of(self.json),
            envelope: self.envelope,
        }
    }
}

/// Facts that state can be keyed by; one of kind [`Kind::Other`] may lack user and page.
fn admit(
    facts: Facts,
    kind: Kind,
    direction: Direction,
    user: Option<&UserId>,
    page: Option<&PageId>,
) -> Result<Facts, Note> {
    match (&facts, user, page) {
        // What the page itself has received or read says nothing of what it sent.
        (Facts::Delivery { .. } | Facts::Read { .. }, Some(_), Some(_)) if direction == Direction::Outbound => {
            Ok(Facts::Seen { opens_window: false })
        }
        (Facts::Upload { .. } | Facts::None, _, _) | (_, Some(_), Some(_)) => Ok(facts),
        (Facts::Seen { .. }, _, _) if kind == Kind::Other => Ok(Facts::None),
        (_, None, _) => Err(Note::NoUser),
        (_, _, None) => Err(Note::NoPage),
    }
}

/// What was read, or else the reason why not as the event's note.
fn noted<T>(read: Result<T, Note>, note: &mut Option<Note>) -> Option<T> {
    read.map_err(|reason| note.get_or_insert(reason)).ok()
}
