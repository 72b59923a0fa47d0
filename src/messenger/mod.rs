//! Wire → events: the bytes of one POST become the events they hold.
//!
//! Pure and total: no I/O, no clock, no panic, and an answer for every input. Every leaf of the wire
//! is optional and untyped until a rule needs it, because what really arrives has ids as numbers,
//! times as text, objects for arrays and nulls anywhere; a strict model of the documents refuses a
//! third of the valid bodies. So [`json`] only finds where each value lies, [`envelope`] finds the
//! events, and [`event`] reads from each what state needs and keeps the rest as the bytes it came in.
//!
//! ```
//! use bytes::Bytes;
//! use sobot_hook::messenger::{parse, Kind};
//!
//! let body = Bytes::from_static(br#"{"object":"page","entry":[{"id":"1","time":1760000000751,
//!     "messaging":[{"sender":{"id":"2"},"recipient":{"id":"1"},"timestamp":1760000000000,
//!                   "read":{"watermark":1760000000000}}]}]}"#);
//! let received_at = chrono::DateTime::from_timestamp_millis(1_760_000_001_000).unwrap();
//! let events = parse(&body, received_at).unwrap();
//! assert_eq!(events[0].kind, Kind::Read);
//! assert_eq!(events[0].user_id.as_ref().unwrap().as_str(), "2");
//! ```

mod decimal;
mod envelope;
mod event;
mod facts;
mod found;
mod journal_body;
mod json;
mod key;
mod terms;
mod time;

pub use envelope::{MAX_EVENTS, NotJson, parse};
pub use event::{Event, Journaled};
pub use facts::{Facts, MessageFacts, SubscriptionFacts};
pub use journal_body::Body;
pub use terms::{Container, Direction, Kind, Note};
