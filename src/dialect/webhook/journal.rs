//! An event of the webhook as the journal has it: without its envelope.

use std::borrow::Cow;

use super::event;
use super::found::{Address, Found};
use crate::event::{Event, Journaled};
use crate::json::Document;

/// Reads an event's own JSON, where it stood in its entry. None for bytes that are no JSON, which no journal holds.
pub fn recall(row: &Journaled<'_>) -> Option<Event> {
    let document = Document::parse(row.body).ok()?;
    let time = row.entry_time.map(|time| time.timestamp_micros().into());
    let address = Address { page: Some(Cow::Borrowed(row.page_id)), time, ..Address::default() };
    let found = Found { address, ..Found::bare(document.root(), row.container) };
    Some(event::read(&found, row.receipt))
}
