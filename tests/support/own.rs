//! What the tests of our own events share: ids, any JSON as an API's answer, and the way through the journal.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;
use sobot_hook::dialect::recall;
use sobot_hook::event::{Event, Journaled, Receipt};
use sobot_hook::ids::{PageId, UserId};

pub fn page(id: &str) -> PageId {
    PageId::try_from(Cow::from(id)).unwrap()
}

pub fn user(id: &str) -> UserId {
    UserId::try_from(Cow::from(id)).unwrap()
}

/// Any JSON, whose objects often have members of these names.
pub fn any_json(names: &[&'static str]) -> impl Strategy<Value = Value> + use<> {
    let name = prop_oneof![prop::sample::select(names.to_vec()).prop_map(str::to_owned), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|quarters| (f64::from(quarters) / 4.0).into()),
        any::<String>().prop_map(Into::into),
        prop::sample::select(vec!["110", "2200", "", "1", "2025-10-09T08:53:20+0000"]).prop_map(Into::into),
        Just(Value::from(1_760_000_000_000_i64)),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The event as its row in the journal tells it, spelled otherwise, as `jsonb` does. What of it does not show there is the
/// event's own.
pub fn recalled(event: &Event) -> Event {
    let json: Value = serde_json::from_slice(event.body.exact().unwrap()).unwrap();
    let row = Journaled {
        body: &json.to_string().into(),
        container: event.container,
        page_id: event.page_id.as_ref().map_or("", PageId::as_str),
        key: event.key,
        occurred_at: event.occurred_at,
        entry_time: event.entry_time,
        receipt: Receipt::at(event.received_at),
    };
    let (is_timed_by_receipt, body) = (event.is_timed_by_receipt, event.body.clone());
    Event { is_timed_by_receipt, body, ..recall(&row).unwrap() }
}
