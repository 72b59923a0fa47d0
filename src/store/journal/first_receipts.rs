//! Events that tell no time: their time is that of their first receipt, so that a repetition of one is
//! the same event.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::row;
use crate::event::Event;
use crate::ids::EventKey;
use crate::store::error::StoreError;

/// Gives each event that was timed by its receipt the time of its first one.
pub async fn settle<'a>(connection: &mut PgConnection, batch: &[&'a Event]) -> Result<Vec<Cow<'a, Event>>, StoreError> {
    let mut timeless: BTreeMap<(&str, EventKey), DateTime<Utc>> = BTreeMap::new();
    for event in batch.iter().filter(|event| event.is_timed_by_receipt) {
        let first = timeless.entry((row::user(event), event.key)).or_insert(event.received_at);
        *first = event.received_at.min(*first);
    }
    let first = if timeless.is_empty() { HashMap::new() } else { remember(connection, &timeless).await? };
    let settled = batch.iter().map(|event| {
        let first = first.get(&(row::user(event).to_owned(), event.key)).filter(|_| event.is_timed_by_receipt);
        match first {
            Some(&occurred_at) => Cow::Owned(Event { occurred_at, ..(*event).clone() }),
            None => Cow::Borrowed(*event),
        }
    });
    Ok(settled.collect())
}

async fn remember(
    connection: &mut PgConnection,
    timeless: &BTreeMap<(&str, EventKey), DateTime<Utc>>,
) -> Result<HashMap<(String, EventKey), DateTime<Utc>>, StoreError> {
    let users: Vec<&str> = timeless.keys().map(|(user, _)| *user).collect();
    let keys: Vec<&[u8]> = timeless.keys().map(|(_, key)| key.0.as_slice()).collect();
    let times: Vec<DateTime<Utc>> = timeless.values().copied().collect();
    // Setting the row to itself makes it part of what is returned.
    let rows = sqlx::query!(
        r#"
        insert into first_receipts as first (user_id, event_key, occurred_at)
        select * from unnest($1::text[], $2::bytea[], $3::timestamptz[])
        on conflict (user_id, event_key) do update
        set occurred_at = first.occurred_at
        returning user_id, event_key, occurred_at
        "#,
        &users as _,
        &keys as _,
        &times,
    )
    .fetch_all(connection)
    .await?;
    let known = |key: Vec<u8>| key.try_into().ok().map(EventKey);
    Ok(rows.into_iter().filter_map(|row| Some(((row.user_id, known(row.event_key)?), row.occurred_at))).collect())
}
