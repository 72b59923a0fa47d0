//! Sobot's dialect: what Sobot's API told us when we used it, as events. The webhook that Sobot forwards is another dialect.
//!
//! [`sent()`] makes one of container `api`, kind `message`, of a message that the API took: a send, or an opt-in message.
//! Its body:
//!
//! ```json
//! {"page_id":"110","user_id":"2200","mid":"m_1","answered_at":"2025-10-09T08:53:20.000000Z",
//!  "request":{"messaging_type":"RESPONSE","recipientid":"2200","pageid":"110","type":"text","payload":"Hello"}}
//! ```
//!
//! `request` is the request as it was sent but for its tokens, which are secrets: members whose names contain `token` are
//! left out. `mid` is missing where the answer told none.
//!
//! [`subscriber()`] makes one of container `sync`, kind `optin`, of an item of `query_sub_users`. Its body:
//!
//! ```json
//! {"page_id":"110","asked_at":"2025-10-09T08:53:20.000000Z",
//!  "item":{"create_time":1715079942588,"facebookid":"2200","pageid":"110","sub_status":1,"sub_title":"nice day",
//!          "sub_token":"69565","timezone":"UTC","title_describe":"132","update_time":1715155761777}}
//! ```
//!
//! `item` is the item whole. Its `sub_token` is state, as the token of an opt-in is, and stays.
//!
//! ```
//! use std::borrow::Cow;
//!
//! use sobot_hook::dialect::sobot::{Sent, sent, subscriber};
//! use sobot_hook::event::{Container, Direction, Facts};
//! use sobot_hook::ids::{PageId, UserId};
//!
//! let page = PageId::try_from(Cow::from("110")).unwrap();
//! let user = UserId::try_from(Cow::from("2200")).unwrap();
//! let at = chrono::DateTime::from_timestamp_millis(1_760_000_000_000).unwrap();
//! let request = r#"{"recipient_token":"69565","pageid":"110","type":"text","payload":"Hello"}"#;
//! let event = sent(&Sent { page_id: &page, user_id: &user, mid: Some("m_1"), request, answered_at: at })?;
//! assert_eq!((event.container, event.direction), (Container::Api, Direction::Outbound));
//! let body = event.body.exact().unwrap();
//! assert!(body.ends_with(br#""request":{"pageid":"110","type":"text","payload":"Hello"}}"#));
//!
//! let item = r#"{"facebookid":2200,"sub_status":1,"sub_title":"nice day","update_time":1715155761777}"#;
//! let event = subscriber(&page, item, at)?;
//! assert_eq!(event.occurred_at.timestamp_millis(), 1_715_155_761_777);
//! let Facts::Subscription(facts) = event.facts else { panic!() };
//! assert_eq!((facts.topic.as_str(), facts.is_subscribed), ("nice day", true));
//! # Ok::<(), sobot_hook::json::NotJson>(())
//! ```

mod sent;
mod subscriber;

pub use sent::{Sent, sent};
pub use subscriber::subscriber;

use crate::event::{Container, Event, Journaled};
use crate::json::Document;

/// Reads an event's body again. None for bytes that are no JSON, which no journal holds.
pub fn recall(row: &Journaled<'_>) -> Option<Event> {
    let document = Document::parse(row.body).ok()?;
    let read = if row.container == Container::Sync { subscriber::read } else { sent::read };
    Some(read(document.root(), row.receipt))
}
