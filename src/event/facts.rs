//! What an event tells the state: the few leaves that mean something, whoever produced it.

use chrono::{DateTime, Utc};

use crate::ids::{AttachmentId, Mid, Topic, TrackId};

/// What one event adds to the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Nothing at all.
    None,
    /// The user was there; `opens_window` when they did something that lets the page answer for 24 h.
    Seen {
        /// Meta counts postbacks, referral links and reactions beside messages.
        opens_window: bool,
    },
    /// A message was written.
    Message(MessageFacts),
    /// There was a message, of which nothing is told but its time and, perhaps, who wrote it.
    Listed {
        /// The message.
        mid: Mid,
    },
    /// A message was taken back. The mid is the message's own.
    Unsend {
        /// The message.
        mid: Mid,
    },
    /// A message was changed.
    Edit {
        /// The message.
        mid: Mid,
        /// Its text from now on.
        text: String,
        /// Counts the edits of this message from 1.
        num_edit: i64,
    },
    /// What the page sent has arrived: these messages, and all up to the watermark.
    Delivery {
        /// Messages named one by one.
        mids: Vec<Mid>,
        /// At or before it everything is delivered.
        watermark: Option<DateTime<Utc>>,
    },
    /// What the page sent was read: this message (Instagram), or all up to the watermark (Messenger).
    Read {
        /// The message that was read.
        mid: Option<Mid>,
        /// At or before it everything is read.
        watermark: Option<DateTime<Utc>>,
    },
    /// A topic was subscribed to, stopped or resumed.
    Subscription(SubscriptionFacts),
    /// An upload became an attachment.
    Upload {
        /// What `upload_async` answered with.
        track_id: TrackId,
        /// What it became.
        attachment_id: AttachmentId,
    },
}

/// A message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFacts {
    /// The message.
    pub mid: Mid,
    /// Its text, when it has one.
    pub text: Option<String>,
    /// The attachments' types in order, comma-separated (`image,sticker`); none without attachments.
    pub attachment_types: Option<String>,
}

/// One `notification_messages` opt-in, or a subscription as Sobot's list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionFacts {
    /// What is subscribed to.
    pub topic: Topic,
    /// False after `STOP_NOTIFICATIONS`.
    pub is_subscribed: bool,
    /// What a marketing message is sent to (`recipient_token`). A secret.
    pub token: Option<String>,
    /// When the token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// `REFRESHED` or `NOT_REFRESHED`.
    pub user_token_status: Option<String>,
    /// The topic's description, as the page wrote it.
    pub payload: Option<String>,
    /// `DAILY`, `WEEKLY` or `MONTHLY`, before API v16.
    pub frequency: Option<String>,
    /// The user's time zone, never blank. Of the events only subscribing ones carry it.
    pub timezone: Option<String>,
    /// When the subscription was made. Only Sobot's list tells.
    pub created_at: Option<DateTime<Utc>>,
}

impl SubscriptionFacts {
    /// Whether it says anything of what opt-ins alone tell: when the token ends, whether it was refreshed, how often
    /// messages may come.
    #[must_use]
    pub fn tells_terms(&self) -> bool {
        self.token_expires_at.is_some() || self.user_token_status.is_some() || self.frequency.is_some()
    }
}
