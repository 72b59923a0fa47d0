//! Dialects: bytes become events. Each producer of events has a dialect of its own, which is one module here; what its
//! events are wrapped in (their [`Container`]) tells a rebuild which one can read them again.
//!
//! Pure and total: no I/O, no clock, no panic, and an answer for every input.

mod composed;
pub mod graph;
pub mod sobot;
pub mod webhook;

use crate::event::{Container, Event, Journaled};

/// Reads an event from the journal, with today's rulings about what it means, and the times and the key that were decided
/// when it was stored. None for bytes that its dialect cannot read, which no journal holds.
#[must_use]
pub fn recall(row: &Journaled<'_>) -> Option<Event> {
    Some(Event { key: row.key, occurred_at: row.occurred_at, is_timed_by_receipt: false, ..judge(row)? })
}

/// Reads an event from the journal as if it had just come in with the row's receipt: its times are judged by that, and its
/// key is what follows. What stood around it (object, envelope) only the row has. None as in [`recall`].
#[must_use]
pub fn judge(row: &Journaled<'_>) -> Option<Event> {
    match row.container {
        Container::Messaging | Container::Standby | Container::Changes | Container::Callback | Container::Document => {
            webhook::recall(row)
        }
        Container::Api | Container::Sync => sobot::recall(row),
        Container::Backfill => graph::recall(row),
    }
}
