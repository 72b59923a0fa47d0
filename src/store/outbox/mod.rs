//! `outbox`: what is to be sent, and what became of it.
//!
//! Guarantees: a row is there before its request leaves, and says `unknown` from the moment before it leaves until its
//! outcome is written; `unknown` never becomes `waiting` again unless the worker itself knows that nothing was sent. One
//! worker at a time sends, of all processes ([`Lead`]); it takes a user's messages in the order in which they came, and none
//! while an earlier one to the same user is under way.

mod evidence;
mod lead;
mod queue;

pub use lead::Lead;
pub use queue::{Claimed, Entry, NewEntry, Queued, Status};
