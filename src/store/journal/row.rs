//! A row of the journal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::types::PgInterval;

use crate::event::{Event, Note};
use crate::ids::{EventKey, PageId, UserId};
use crate::store::row::row;

/// The user as the tables have it: '' when the event names none.
pub fn user(event: &Event) -> &str {
    event.user_id.as_ref().map_or("", UserId::as_str)
}

/// The indexes of the batch's distinct events, sorted by the primary key; of a repeated one the first.
pub fn distinct(batch: &[Cow<'_, Event>]) -> Vec<usize> {
    let mut rows: BTreeMap<(DateTime<Utc>, EventKey, &str), usize> = BTreeMap::new();
    for (index, event) in batch.iter().enumerate() {
        rows.entry((event.occurred_at, event.key, user(event))).or_insert(index);
    }
    rows.into_values().collect()
}

row! {
    pub struct EventRow<'e> as "event_row" {
        occurred_at: DateTime<Utc>,
        event_key: &'e [u8],
        user_id: &'e str,
        page_id: &'e str,
        object: Option<&'e str>,
        container: &'static str,
        kind: &'static str,
        event_type: Option<&'e str>,
        received_at: DateTime<Utc>,
        note: Option<&'static str>,
        body: Option<&'e str>,
        raw: Option<&'e [u8]>,
        envelope: Option<&'e str>,
        entry_time: Option<DateTime<Utc>>,
        clock_skew: Option<PgInterval>,
    }
}

impl<'e> From<&'e Event> for EventRow<'e> {
    fn from(event: &'e Event) -> Self {
        Self {
            occurred_at: event.occurred_at,
            event_key: &event.key.0,
            user_id: user(event),
            page_id: event.page_id.as_ref().map_or("", PageId::as_str),
            object: event.object.as_deref(),
            container: event.container.as_str(),
            kind: event.kind.as_str(),
            event_type: event.event_type.as_deref(),
            received_at: event.received_at,
            note: event.note.map(Note::as_str),
            body: event.body.jsonb.as_deref().map(utf8),
            raw: event.body.raw.as_deref(),
            envelope: event.envelope.as_deref(),
            entry_time: event.entry_time,
            clock_skew: event.clock_skew.map(interval),
        }
    }
}

fn interval(skew: TimeDelta) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: skew.num_microseconds().unwrap_or(i64::MAX) }
}

/// A body's JSON was text before it was bytes.
fn utf8(json: &[u8]) -> &str {
    std::str::from_utf8(json).unwrap_or_default()
}
