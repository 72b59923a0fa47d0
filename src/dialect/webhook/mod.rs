//! The webhook's dialect: the bytes of one POST become the events they hold.
//!
//! Every leaf of the wire is optional and untyped until a rule needs it, because what really arrives has ids as numbers,
//! times as text, objects for arrays and nulls anywhere; a strict model of the documents refuses a third of the valid
//! bodies. [`envelope`] finds the events, [`event`] reads who and when, [`facts`] what each tells the state.
//!
//! ```
//! use bytes::Bytes;
//! use sobot_hook::dialect::webhook;
//! use sobot_hook::event::Kind;
//!
//! let body = Bytes::from_static(br#"{"object":"page","entry":[{"id":"1","time":1760000000751,
//!     "messaging":[{"sender":{"id":"2"},"recipient":{"id":"1"},"timestamp":1760000000000,
//!                   "read":{"watermark":1760000000000}}]}]}"#);
//! let received_at = chrono::DateTime::from_timestamp_millis(1_760_000_001_000).unwrap();
//! let events = webhook::parse(&body, received_at).unwrap();
//! assert_eq!(events[0].kind, Kind::Read);
//! assert_eq!(events[0].user_id.as_ref().unwrap().as_str(), "2");
//! ```

mod envelope;
mod event;
mod facts;
mod found;
mod journal;
mod without;

pub use envelope::{MAX_EVENTS, parse};
pub use journal::recall;
pub use without::without;
