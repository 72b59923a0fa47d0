//! Conversations: when page and customer were in touch, and up to where everything is delivered or read.

use chrono::{DateTime, Utc};

use super::join::Join;
use crate::event::{Direction, Event, Facts};

type Time = DateTime<Utc>;

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
    pub fn seen(event: &Event) -> Self {
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
