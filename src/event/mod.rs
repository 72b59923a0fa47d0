//! Events: the vocabulary that every producer of events speaks, and the rulings that hold for all of them.
//!
//! A dialect reads bytes into a [`Draft`]; [`Draft::finish`] makes it an [`Event`]: ids that state can hold, times that it
//! may rely on, the key that tells it from every other event, and the bytes to keep. Pure and total.

mod body;
mod facts;
pub mod id;
mod key;
mod person;
mod record;
mod terms;
pub mod text;
mod time;

pub use body::Body;
pub use facts::{Facts, MessageFacts, SubscriptionFacts};
pub use person::Person;
pub use record::{Draft, Event, Journaled};
pub use terms::{Container, Direction, Kind, Note};
pub use time::{Receipt, plausible};
