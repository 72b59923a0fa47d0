//! `events`, the journal: insert or ignore.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::error::StoreError;
use crate::ids::{EventKey, PageId, UserId};
use crate::messenger::{Event, Note};

/// The user as the tables have it: '' when the event names none.
pub fn user(event: &Event) -> &str {
    event.user_id.as_ref().map_or("", UserId::as_str)
}

/// Journals the events and tells for each whether it is new.
pub async fn insert(connection: &mut PgConnection, batch: &[Cow<'_, Event>]) -> Result<Vec<bool>, StoreError> {
    // Sorted by the primary key; of a repeated event the first one counts.
    let mut rows: BTreeMap<(DateTime<Utc>, EventKey, &str), usize> = BTreeMap::new();
    for (index, event) in batch.iter().enumerate() {
        rows.entry((event.occurred_at, event.key, user(event))).or_insert(index);
    }
    let mut is_new = vec![false; batch.len()];
    if rows.is_empty() {
        return Ok(is_new);
    }
    let distinct: Vec<&Event> = rows.values().map(|index| batch[*index].as_ref()).collect();
    let inserted = insert_distinct(connection, &distinct).await?;
    let are_all_new = inserted.len() == distinct.len();
    for ((at, key, user), index) in rows {
        is_new[index] = are_all_new || inserted.contains(&(at, key.0.to_vec(), user.to_owned()));
    }
    Ok(is_new)
}

async fn insert_distinct(
    connection: &mut PgConnection,
    events: &[&Event],
) -> Result<HashSet<(DateTime<Utc>, Vec<u8>, String)>, StoreError> {
    let column = |value: fn(&Event) -> Option<&str>| events.iter().map(|event| value(event)).collect::<Vec<_>>();
    let occurred_at: Vec<_> = events.iter().map(|event| event.occurred_at).collect();
    let event_key: Vec<_> = events.iter().map(|event| event.key.0.as_slice()).collect();
    let received_at: Vec<_> = events.iter().map(|event| event.received_at).collect();
    let entry_time: Vec<_> = events.iter().map(|event| event.entry_time).collect();
    let body: Vec<_> = events.iter().map(|event| event.body.jsonb.as_deref().map(utf8)).collect();
    let raw: Vec<_> = events.iter().map(|event| event.body.raw.as_deref()).collect();
    let rows = sqlx::query!(
        r#"
        insert into events (
            occurred_at, event_key, user_id, page_id, object, container, kind,
            event_type, received_at, note, body, raw, envelope, entry_time
        )
        select
            unnest($1::timestamptz[]), unnest($2::bytea[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]),
            unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), unnest($9::timestamptz[]), unnest($10::text[]),
            unnest($11::text[])::jsonb, unnest($12::bytea[]), unnest($13::text[]), unnest($14::timestamptz[])
        on conflict do nothing
        returning occurred_at, event_key, user_id
        "#,
        &occurred_at,
        &event_key as _,
        &column(|event| Some(user(event))) as _,
        &column(|event| Some(event.page_id.as_ref().map_or("", PageId::as_str))) as _,
        &column(|event| event.object.as_deref()) as _,
        &column(|event| Some(event.container.as_str())) as _,
        &column(|event| Some(event.kind.as_str())) as _,
        &column(|event| event.event_type.as_deref()) as _,
        &received_at,
        &column(|event| event.note.map(Note::as_str)) as _,
        &body as _,
        &raw as _,
        &column(|event| event.envelope.as_deref()) as _,
        &entry_time as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.occurred_at, row.event_key, row.user_id)).collect())
}

/// A body's JSON was text before it was bytes.
fn utf8(json: &[u8]) -> &str {
    std::str::from_utf8(json).unwrap_or_default()
}
