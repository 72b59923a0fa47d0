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

/// A batch in which every event has its time.
#[derive(Debug)]
pub struct Settled<'a> {
    /// In the batch's order. The copies of an event without a time are all as its earliest one.
    pub events: Vec<Cow<'a, Event>>,
    /// What was received before the copy that is known, whose time it has so far.
    pub earlier: Vec<Earlier>,
}

/// A copy of an event without a time that was received before the one that is known.
#[derive(Debug, Clone, Copy)]
pub struct Earlier {
    /// Its index in the batch.
    pub index: usize,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

impl Settled<'_> {
    /// Whether an event of the batch is the same as one of these.
    pub fn is_copy_of_any(&self, index: usize, others: &[usize]) -> bool {
        let of = |index: usize| {
            let event = &self.events[index];
            (event.occurred_at, event.key, &event.user_id)
        };
        others.iter().any(|&other| of(other) == of(index))
    }

    /// Gives all copies of an event the earlier time.
    pub fn move_back(&mut self, Earlier { index, received_at }: Earlier) {
        let moved = self.events[index].clone();
        for copy in self.events.iter_mut().filter(|copy| copy.is_timed_by_receipt) {
            if copy.key == moved.key && copy.user_id == moved.user_id {
                let copy = copy.to_mut();
                (copy.occurred_at, copy.received_at) = (received_at, received_at);
            }
        }
    }
}

/// Gives each event that was timed by its receipt the time of its first one, as far as that is known.
pub async fn settle<'a>(connection: &mut PgConnection, batch: &[&'a Event]) -> Result<Settled<'a>, StoreError> {
    let timeless = earliest_copies(batch);
    let known = if timeless.is_empty() { HashMap::new() } else { remember(connection, batch, &timeless).await? };
    let known = |event: &Event| known.get(&(row::user(event).to_owned(), event.key)).copied();
    let events = batch.iter().map(|event| {
        let earliest = timeless.get(&(row::user(event), event.key)).filter(|_| event.is_timed_by_receipt);
        match (earliest, known(event)) {
            (Some(&earliest), Some(first)) => {
                Cow::Owned(Event { occurred_at: first, received_at: first, ..batch[earliest].clone() })
            }
            _ => Cow::Borrowed(*event),
        }
    });
    let earlier = timeless.values().filter_map(|&index| {
        let received_at = batch[index].received_at;
        known(batch[index]).filter(|known| received_at < *known).map(|_| Earlier { index, received_at })
    });
    Ok(Settled { events: events.collect(), earlier: earlier.collect() })
}

/// Of each event without a time, the index of the copy that was received first.
fn earliest_copies<'a>(batch: &[&'a Event]) -> BTreeMap<(&'a str, EventKey), usize> {
    let mut timeless = BTreeMap::new();
    for (index, &event) in batch.iter().enumerate().filter(|(_, event)| event.is_timed_by_receipt) {
        let earliest = timeless.entry((row::user(event), event.key)).or_insert(index);
        if event.received_at < batch[*earliest].received_at {
            *earliest = index;
        }
    }
    timeless
}

/// When each was first received, as far as is known: until the transaction ends nobody else learns or changes it.
async fn remember(
    connection: &mut PgConnection,
    batch: &[&Event],
    timeless: &BTreeMap<(&str, EventKey), usize>,
) -> Result<HashMap<(String, EventKey), DateTime<Utc>>, StoreError> {
    let rows = timeless.iter().map(|((user_id, key), index)| FirstReceiptRow {
        user_id,
        event_key: &key.0,
        occurred_at: batch[*index].received_at,
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
