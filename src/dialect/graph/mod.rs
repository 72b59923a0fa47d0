//! Graph's dialect: a message of the past, as Meta's Conversations API tells of it, as an event of container `backfill` and
//! kind `message`. Its body:
//!
//! ```json
//! {"conversation_id":"t_1","platform":"messenger","page_id":"110","user_id":"2200",
//!  "asked_at":"2025-10-09T08:53:20.000000Z",
//!  "message":{"id":"m_1","created_time":"2025-10-08T07:00:00+0000","message":"Hello",
//!             "from":{"name":"A","id":"2200"},"to":{"data":[{"name":"B","id":"110"}]}}}
//! ```
//!
//! `message` is Meta's object whole. `user_id` is the conversation's participant who is not the page; it is missing where
//! that is not known.
//!
//! Meta lists every message of a conversation, but tells of the newest twenty alone who wrote them and what they say. Of the
//! others the state learns that they were there, and when.
//!
//! ```
//! use std::borrow::Cow;
//!
//! use sobot_hook::dialect::graph::{Conversation, Platform, message};
//! use sobot_hook::event::{Direction, Facts};
//! use sobot_hook::ids::PageId;
//!
//! let page = PageId::try_from(Cow::from("110")).unwrap();
//! let conversation =
//!     Conversation { page_id: &page, platform: Platform::Messenger, conversation_id: "t_1", user_id: Some("2200") };
//! let asked_at = chrono::DateTime::from_timestamp_millis(1_760_000_000_000).unwrap();
//! let told = r#"{"id":"m_1","created_time":"2025-10-08T07:00:00+0000","message":"Hello","from":{"id":"2200"}}"#;
//! let event = message(&conversation, told, asked_at)?;
//! assert_eq!(event.direction, Direction::Inbound);
//! assert!(matches!(event.facts, Facts::Message(facts) if facts.text.as_deref() == Some("Hello")));
//!
//! let listed = r#"{"id":"m_0","created_time":"2025-10-08T06:00:00+0000"}"#;
//! let event = message(&conversation, listed, asked_at)?;
//! assert_eq!(event.direction, Direction::Unknown);
//! assert!(matches!(event.facts, Facts::Listed { .. }));
//! # Ok::<(), sobot_hook::json::NotJson>(())
//! ```

mod attachments;
mod event;
mod lists;
mod parties;
mod platform;

pub use platform::Platform;

use chrono::{DateTime, SubsecRound, Utc};

use super::composed::{self, Composed};
use crate::event::{Event, Journaled, Receipt};
use crate::ids::PageId;
use crate::json::{Document, NotJson};

/// What is known of a conversation when Meta is asked for its messages.
#[derive(Clone, Copy)]
pub struct Conversation<'a> {
    /// The page, by the id that the webhook has for it: on Messenger the page's own, on Instagram that of the professional
    /// account, which is not the page's.
    pub page_id: &'a PageId,
    /// Where it is held.
    pub platform: Platform,
    /// Its id, as told (`t_…`).
    pub conversation_id: &'a str,
    /// The participant who is not the page, as told.
    pub user_id: Option<&'a str>,
}

/// Makes the event of one message: of Meta's object, with all details or with `id` and `created_time` alone. Asked for
/// again, it is the same event, however its attachments' URLs are signed.
///
/// # Errors
/// The message is not JSON.
pub fn message(conversation: &Conversation<'_>, message: &str, asked_at: DateTime<Utc>) -> Result<Event, NotJson> {
    let body = composed::told(message, |message| {
        let body = Composed::default()
            .text("conversation_id", conversation.conversation_id)
            .text("platform", conversation.platform.as_str())
            .text("page_id", conversation.page_id.as_str())
            .text("user_id", conversation.user_id)
            .time("asked_at", asked_at);
        Ok(body.json("message", message).into_bytes())
    })?;
    Ok(event::read(Document::parse(&body)?.root(), Receipt::at(asked_at.trunc_subsecs(6))))
}

/// Reads an event's body again. None for bytes that are no JSON, which no journal holds.
pub fn recall(row: &Journaled<'_>) -> Option<Event> {
    let document = Document::parse(row.body).ok()?;
    Some(event::read(document.root(), row.receipt))
}
