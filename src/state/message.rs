//! Messages: what each says, and how far it has come.

use chrono::{DateTime, Utc};

use super::join::{Join, earliest};
use crate::event::{Container, Direction, Event, Facts, MessageFacts};
use crate::ids::{EventKey, Mid};

type Time = DateTime<Utc>;

/// Where a message's content comes from, the best first. The first three tell what it says; by the others the message is
/// only mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentSource {
    /// The message event itself.
    Webhook,
    /// Our own sending of it.
    Api,
    /// Meta's Conversations API, to the second.
    Backfill,
    /// An edit or an unsend, which tells who wrote the message but not what or when.
    Change,
    /// A delivery or a read, which tells that the page wrote it.
    Receipt,
    /// Meta's list of a conversation's messages, which tells when it was written and seldom by whom.
    Listing,
}

impl ContentSource {
    /// The number in `messages.source`, a contract on disk. What is new takes the next one, and ranks below those of smaller
    /// numbers that tell what the message says, or else below those that do not.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Webhook => 0,
            Self::Api => 1,
            Self::Change => 2,
            Self::Receipt => 3,
            Self::Backfill => 4,
            Self::Listing => 5,
        }
    }
}

/// What a message says, and how we know. The lesser one wins: the better source, then the earlier telling.
/// `sent_at` and `key` are told by the same sources, so their absence never meets their presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content<'e> {
    /// Where it comes from.
    pub source: ContentSource,
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
    fn told(event: &'e Event, facts: &'e MessageFacts) -> Self {
        let source = match event.container {
            Container::Api => ContentSource::Api,
            Container::Backfill => ContentSource::Backfill,
            _ => ContentSource::Webhook,
        };
        Self {
            sent_at: Some(event.occurred_at),
            key: Some(event.key),
            text: facts.text.as_deref(),
            attachment_types: facts.attachment_types.as_deref(),
            ..Self::mentioned(source, event.direction)
        }
    }

    fn mentioned(source: ContentSource, direction: Direction) -> Self {
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
    /// When it was written according to Meta's list, which counts only while nothing tells what it says.
    pub listed_at: Option<Time>,
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
        Self {
            content,
            listed_at: None,
            edit: None,
            deleted_at: None,
            delivered_at: None,
            read_at: None,
            sent_no_later_than: None,
        }
    }
}

impl<'e> Message<'e> {
    /// Hands over what an event tells of each message.
    pub fn told(event: &'e Event, mut put: impl FnMut(&'e Mid, Self)) {
        let at = event.occurred_at;
        let change = || Self::from(Content::mentioned(ContentSource::Change, event.direction));
        let receipt = || Self::from(Content::mentioned(ContentSource::Receipt, Direction::Outbound));
        match &event.facts {
            Facts::Message(facts) => put(&facts.mid, Self::from(Content::told(event, facts))),
            Facts::Listed { mid } => {
                let listing = Content::mentioned(ContentSource::Listing, event.direction);
                put(mid, Self { listed_at: Some(at), ..Self::from(listing) });
            }
            Facts::Unsend { mid } => put(mid, Self { deleted_at: Some(at), ..change() }),
            Facts::Edit { mid, text, num_edit } => {
                let edit = Edit { num_edit: *num_edit, edited_at: at, text };
                put(mid, Self { edit: Some(edit), ..change() });
            }
            Facts::Delivery { mids, watermark } => {
                // What has been delivered was sent no later than the receipt itself.
                let sent_no_later_than = Some(watermark.map_or(at, |watermark| watermark.min(at)));
                for mid in mids {
                    put(mid, Self { delivered_at: Some(at), sent_no_later_than, ..receipt() });
                }
            }
            Facts::Read { mid: Some(mid), .. } => put(mid, Self { read_at: Some(at), ..receipt() }),
            // They concern no message.
            _ => {}
        }
    }
}

impl Join for Message<'_> {
    fn join(&mut self, other: Self) {
        self.content = self.content.min(other.content);
        earliest(&mut self.listed_at, other.listed_at);
        self.edit = self.edit.max(other.edit);
        earliest(&mut self.deleted_at, other.deleted_at);
        earliest(&mut self.delivered_at, other.delivered_at);
        earliest(&mut self.read_at, other.read_at);
        earliest(&mut self.sent_no_later_than, other.sent_no_later_than);
    }
}
