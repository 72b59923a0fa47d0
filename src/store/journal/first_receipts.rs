//! Events that tell no time: their time is that of their first receipt, so that a repetition of one is
//! the same event.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use super::row;
use crate::event::Event;
use crate::ids::EventKey;
use crate::store::error::StoreError;
use crate::store::function::{Function, Rights};
use crate::store::row::{RowType, row};

row! {
    /// When an event without a time was received.
    #[derive(Debug, Clone, Copy)]
    pub struct FirstReceiptRow<'e> as "first_receipt_row" {
        user_id: &'e str,
        event_key: &'e [u8],
        occurred_at: DateTime<Utc>,
    }
}

pub const FIRST_RECEIPT: RowType = RowType::of::<FirstReceiptRow<'_>>();

/// Remembers receipts unless earlier ones are known, and returns those that hold.
pub static FIRST_RECEIPTS: LazyLock<Function> = LazyLock::new(|| {
    let body = include_str!("first_receipts.sql");
    Function::of_arrays("first_receipts", Rights::Owner, &[("rows", &FIRST_RECEIPT)], "setof first_receipts", body)
});

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
    let rows = timeless.iter().map(|((user_id, key), occurred_at)| FirstReceiptRow {
        user_id,
        event_key: &key.0,
        occurred_at: *occurred_at,
    });
    let statement = format!("select user_id, event_key, occurred_at from {}($1)", FIRST_RECEIPTS.name);
    let first = sqlx::query_as::<_, (String, Vec<u8>, DateTime<Utc>)>(AssertSqlSafe(statement));
    let first = first.bind(rows.collect::<Vec<_>>()).fetch_all(connection).await?;
    let known = |key: Vec<u8>| key.try_into().ok().map(EventKey);
    Ok(first
        .into_iter()
        .filter_map(|(user_id, key, occurred_at)| Some(((user_id, known(key)?), occurred_at)))
        .collect())
}
