//! Events as the journal has them, read again for what they tell the state.

use chrono::TimeDelta;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::PgInterval;

use crate::dialect;
use crate::event::{Container, Event, Journaled, Receipt};
use crate::ids::EventKey;

/// What [`recall`] and [`judge`] read of a row.
pub const RECALLED: &str = "occurred_at, received_at, clock_skew, event_key, page_id, container, entry_time,
    coalesce(raw, convert_to(body::text, 'UTF8')) as body";

/// `from …`: the events that told the state something. A note is part of the journal: such an event told nothing, and tells
/// nothing now.
pub fn from_folded() -> String {
    let folded = Container::ALL.into_iter().filter(|container| container.is_folded()).map(Container::as_str);
    let folded = folded.collect::<Vec<_>>().join("', '");
    format!("from events where note is null and container in ('{folded}')")
}

/// The event of a row, with its time and its key.
pub fn recall(row: &PgRow) -> sqlx::Result<Option<Event>> {
    read(row, dialect::recall)
}

/// The event of a row, with the time and the key that it has by today's rulings.
pub fn judge(row: &PgRow) -> sqlx::Result<Option<Event>> {
    read(row, dialect::judge)
}

fn read(row: &PgRow, read: impl FnOnce(&Journaled<'_>) -> Option<Event>) -> sqlx::Result<Option<Event>> {
    let (key, body): (Vec<u8>, Vec<u8>) = (row.try_get("event_key")?, row.try_get("body")?);
    let (Ok(key), Some(container)) = (key.try_into(), Container::named(row.try_get("container")?)) else {
        return Ok(None);
    };
    let clock_skew: Option<PgInterval> = row.try_get("clock_skew")?;
    Ok(read(&Journaled {
        body: &body.into(),
        container,
        page_id: row.try_get("page_id")?,
        key: EventKey(key),
        occurred_at: row.try_get("occurred_at")?,
        entry_time: row.try_get("entry_time")?,
        receipt: Receipt { received_at: row.try_get("received_at")?, clock_skew: clock_skew.map(duration) },
    }))
}

/// Somebody may have written days or months by hand: 24 hours, and 30 days, as PostgreSQL's `extract(epoch …)` counts them.
fn duration(interval: PgInterval) -> TimeDelta {
    const DAY: i64 = 86_400_000_000;
    let days = i64::from(interval.months) * 30 + i64::from(interval.days);
    TimeDelta::microseconds(days.saturating_mul(DAY).saturating_add(interval.microseconds))
}
