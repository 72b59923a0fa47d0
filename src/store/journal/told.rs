//! Events as the journal has them, read again for what they tell the state.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::dialect;
use crate::event::{Container, Event, Journaled};
use crate::ids::EventKey;

/// What [`recall`] reads of a row.
pub const RECALLED: &str = "occurred_at, received_at, event_key, page_id, container,
    coalesce(raw, convert_to(body::text, 'UTF8')) as body";

/// `from …`: the events that told the state something. A note is part of the journal: such an event told nothing, and tells
/// nothing now.
pub fn from_folded() -> String {
    let folded = Container::ALL.into_iter().filter(|container| container.is_folded()).map(Container::as_str);
    let folded = folded.collect::<Vec<_>>().join("', '");
    format!("from events where note is null and container in ('{folded}')")
}

/// The event of a row.
pub fn recall(row: &PgRow) -> sqlx::Result<Option<Event>> {
    let (key, body): (Vec<u8>, Vec<u8>) = (row.try_get("event_key")?, row.try_get("body")?);
    let (Ok(key), Some(container)) = (key.try_into(), Container::named(row.try_get("container")?)) else {
        return Ok(None);
    };
    Ok(dialect::recall(&Journaled {
        body: &body.into(),
        container,
        page_id: row.try_get("page_id")?,
        key: EventKey(key),
        occurred_at: row.try_get("occurred_at")?,
        received_at: row.try_get("received_at")?,
    }))
}
