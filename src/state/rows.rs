//! The rows of the state tables, each with its merge.

use chrono::{DateTime, Utc};

use super::join::{Join, earliest};
use crate::ids::{AttachmentId, EventKey};
use crate::messenger::{Direction, Event, Facts, MessageFacts, SubscriptionFacts};

type Time = DateTime<Utc>;

/// Where a message's content comes from, the best first. The number is the one in `messages.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Source {
    /// The message event itself.
    Webhook = 0,
    /// An edit or an unsend, which tells who wrote the message but not what or when.
    Change = 2,
    /// A delivery or a read, which tells that the page wrote it.
    Receipt = 3,
}

/// What a message says, and how we know. The lesser one wins: the better source, then the earlier telling.
/// `sent_at` and `key` are told by the same sources, so their absence never meets their presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content<'e> {
    /// Where it comes from.
    pub source: Source,
    /// When the message was written.
    pub sent_at: Option<Time>,
    /// The event that told it.
    pub key: Option<EventKey>,
    /// Who wrote it.
    pub direction: Direction,
    /// Its text.
    pub text: Option<&'e str>,
    /// Types of its attachments, comma-separated.
    pub attachment_types: Option<&'e str>,
}

impl<'e> Content<'e> {
    pub(super) fn told(event: &'e Event, facts: &'e MessageFacts) -> Self {
        Self {
            sent_at: Some(event.occurred_at),
            key: Some(event.key),
            text: facts.text.as_deref(),
            attachment_types: facts.attachment_types.as_deref(),
            ..Self::mentioned(Source::Webhook, event.direction)
        }
    }

    pub(super) fn mentioned(source: Source, direction: Direction) -> Self {
        Self { source, sent_at: None, key: None, direction, text: None, attachment_types: None }
    }
}

/// A changed text. The greater one wins: the later edit by its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit<'e> {
    /// Counts the edits of this message.
    pub num_edit: i64,
    /// When it was changed.
    pub edited_at: Time,
    /// The text from then on.
    pub text: &'e str,
}

/// A row of `messages`.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'e> {
    /// What it says.
    pub content: Content<'e>,
    /// Its last edit.
    pub edit: Option<Edit<'e>>,
    /// When it was taken back.
    pub deleted_at: Option<Time>,
    /// When a delivery named it.
    pub delivered_at: Option<Time>,
    /// When a read named it.
    pub read_at: Option<Time>,
    /// The earliest watermark of a delivery that named it.
    pub sent_no_later_than: Option<Time>,
}

impl<'e> From<Content<'e>> for Message<'e> {
    fn from(content: Content<'e>) -> Self {
        Self { content, edit: None, deleted_at: None, delivered_at: None, read_at: None, sent_no_later_than: None }
    }
}

impl Join for Message<'_> {
    fn join(&mut self, other: Self) {
        self.content = self.content.min(other.content);
        self.edit = self.edit.max(other.edit);
        earliest(&mut self.deleted_at, other.deleted_at);
        earliest(&mut self.delivered_at, other.delivered_at);
        earliest(&mut self.read_at, other.read_at);
        earliest(&mut self.sent_no_later_than, other.sent_no_later_than);
    }
}

/// A row of `conversations`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The first event with this user.
    pub first_seen_at: Time,
    /// The last one.
    pub last_seen_at: Time,
    /// The last thing the user did that lets the page answer.
    pub last_inbound_at: Option<Time>,
    /// At or before it everything is delivered.
    pub delivered_watermark: Option<Time>,
    /// At or before it everything is read.
    pub read_watermark: Option<Time>,
}

impl Conversation {
    pub(super) fn seen(event: &Event) -> Self {
        let at = event.occurred_at;
        let invites = matches!(event.facts, Facts::Message(_) | Facts::Seen { opens_window: true });
        let mut row = Self {
            first_seen_at: at,
            last_seen_at: at,
            last_inbound_at: (invites && event.direction == Direction::Inbound).then_some(at),
            delivered_watermark: None,
            read_watermark: None,
        };
        match event.facts {
            Facts::Delivery { watermark, .. } => row.delivered_watermark = watermark,
            Facts::Read { watermark, .. } => row.read_watermark = watermark,
            _ => {}
        }
        row
    }
}

impl Join for Conversation {
    fn join(&mut self, other: Self) {
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
        // None is less than any time.
        self.last_inbound_at = self.last_inbound_at.max(other.last_inbound_at);
        self.delivered_watermark = self.delivered_watermark.max(other.delivered_watermark);
        self.read_watermark = self.read_watermark.max(other.read_watermark);
    }
}

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
    pub(super) fn told(event: &Event, facts: &'e SubscriptionFacts) -> Self {
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

/// The callback's part of a row of `uploads`. The lesser one wins: the earlier callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload<'e> {
    /// When the callback was first received.
    pub completed_at: Time,
    /// What the upload became.
    pub attachment_id: &'e AttachmentId,
}

impl Join for Upload<'_> {
    fn join(&mut self, other: Self) {
        *self = (*self).min(other);
    }
}
