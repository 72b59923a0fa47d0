//! Erasing people: what stays of them are keyed hashes (`erased_users`, `erased_events`), by which nothing brings them back.
//!
//! A session knows the hashes and passes over events that are covered by them. What it knows is checked within the
//! transaction that stores a batch, after the journal is written: `store` raises `SH001` if somebody has been erased
//! since the session looked. Whoever erases writes the hash first and then waits, by a lock on the journal, for all
//! transactions that could not know it. What is deleted after that has no successor.

mod erased;
mod events;
mod hashes;
mod removal;
mod tombstone;
mod unsent;

pub use erased::Erased;
pub use hashes::Erasures;
pub use removal::Erasure;
pub use unsent::UnsentErasure;
