//! State is a join: any order, any repetition and any batching of the same events end in the same state,
//! in PostgreSQL as in memory.

mod support;

use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sobot_hook::clock;
use sobot_hook::dialect::webhook::parse;
use sobot_hook::event::Event;
use sobot_hook::state::State;
use sobot_hook::store::{Batch, Store};
use sqlx::Executor;
use support::database::{Database, STATE, text};
use support::wire::{envelope, event};

const BEGIN: i64 = 1_760_000_000_000;

/// An event of a small world, so that users, messages, topics and moments meet often.
fn any_event() -> impl Strategy<Value = String> {
    let user = prop::sample::select(vec!["u1", "u2"]);
    let page = prop::sample::select(vec!["p1", "p2"]);
    (user, page, 0..8_i64, 0..8_i64, 0..3_u8, 0..14_u8).prop_map(|(user, page, at, other, thing, kind)| {
        let (at, watermark) = (BEGIN + at * 1_000, BEGIN + other * 1_000);
        let mid = format!("m{thing}");
        let from_user = |what: Value| event(user, page, at, &what);
        let from_page = |what: Value| event(page, user, at, &what);
        // A repeated message may differ in its content, but not at the same moment: then it is the same event.
        let content = format!("{mid} at {at}");
        let optin = |status: Value, timezone: Value| {
            from_user(json!({ "optin": {
                "type": "notification_messages", "title": format!("t{thing}"), "notification_messages_token": content,
                "notification_messages_status": status, "notification_messages_timezone": timezone,
                "payload": watermark.to_string(), "token_expiry_timestamp": 2_145_916_800_000_i64,
            } }))
        };
        let event = match kind {
            0 => from_user(json!({ "message": { "mid": mid, "text": content } })),
            1 => from_page(json!({ "message": { "mid": mid, "text": content, "is_echo": true } })),
            2 => from_user(json!({ "message": { "mid": format!("i{thing}"), "attachments": [{ "type": "image" }] } })),
            3 => from_user(json!({ "message": { "mid": mid, "is_deleted": true } })),
            4 => from_user(json!({ "message_edit": { "mid": mid, "text": content, "num_edit": other.to_string() } })),
            5 => from_user(json!({ "delivery": { "mids": [mid, "m9"], "watermark": watermark } })),
            6 => from_user(json!({ "delivery": { "watermark": watermark } })),
            7 => from_user(json!({ "read": { "watermark": watermark } })),
            8 => from_user(json!({ "read": { "mid": mid } })),
            9 => optin(Value::Null, json!(["Asia/Shanghai", "Asia/Tokyo", "", " \n"][usize::from(thing)])),
            10 => optin(json!("STOP_NOTIFICATIONS"), Value::Null),
            11 => optin(json!("RESUME NOTIFICATIONS"), if other == 0 { json!("UTC") } else { Value::Null }),
            12 => from_user(json!({ "postback": { "title": content } })),
            _ => return json!({ "track_id": format!("track{thing}"), "attachment_id": "1" }).to_string(),
        };
        envelope(page, &event)
    })
}

fn events_of(bodies: &[String]) -> Vec<Event> {
    let received_at = DateTime::from_timestamp_millis(BEGIN + 60_000).unwrap();
    bodies.iter().flat_map(|body| parse(&Bytes::from(body.clone()), received_at).unwrap()).collect()
}

async fn state_after(database: &Database, store: &Store, batches: &[Vec<&Event>]) -> String {
    database
        .pool
        .execute("truncate events, first_receipts, messages, conversations, subscriptions, uploads")
        .await
        .unwrap();
    let mut session = store.session();
    for events in batches {
        session.commit(&Batch { events: events.clone(), quarantined: Vec::new() }).await.unwrap();
    }
    text(&database.pool, STATE).await
}

/// A history, then an order of it with repetitions, and where to cut that into batches.
fn any_history() -> impl Strategy<Value = (Vec<String>, Vec<usize>, Vec<bool>)> {
    prop::collection::vec(any_event(), 1..40).prop_flat_map(|history| {
        let all: Vec<usize> = (0..history.len()).collect();
        let repeated = prop::collection::vec(0..history.len(), 0..20);
        let order = (Just(all), repeated).prop_map(|(all, repeated)| [all, repeated].concat()).prop_shuffle();
        let cuts = prop::collection::vec(any::<bool>(), 60);
        (Just(history), order, cuts)
    })
}

#[test]
fn order_repetition_and_batching_do_not_matter() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, store) = runtime.block_on(Database::migrated());
    let mut runner = TestRunner::new(Config { cases: 96, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_history(), |(history, order, cuts)| {
        let events = events_of(&history);
        let mut batches: Vec<Vec<&Event>> = vec![Vec::new()];
        for (place, index) in order.iter().enumerate() {
            if cuts[place] {
                batches.push(Vec::new());
            }
            batches.last_mut().unwrap().push(&events[*index]);
        }
        // All at once is folded in memory alone; one by one in SQL alone.
        let at_once = runtime.block_on(state_after(&database, &store, &[events.iter().collect()]));
        let singly: Vec<Vec<&Event>> = order.iter().rev().map(|index| vec![&events[*index]]).collect();
        let singly = runtime.block_on(state_after(&database, &store, &singly));
        let in_batches = runtime.block_on(state_after(&database, &store, &batches));
        prop_assert!(at_once == singly, "{}", difference(&at_once, &singly));
        prop_assert!(at_once == in_batches, "{}", difference(&at_once, &in_batches));
        Ok(())
    });
    runtime.block_on(store.close());
    outcome.unwrap();
}

#[tokio::test]
async fn a_subscription_tells_the_real_time_zone_and_whether_its_token_is_valid() {
    let (database, store) = Database::migrated().await;
    let now = clock::now().timestamp_millis();
    let day = 24 * 3_600_000;
    let token = |expiry: Value| json!({ "notification_messages_token": "7", "token_expiry_timestamp": expiry });
    let optin = |topic: &str, at: i64, what: Value| {
        let mut optin = json!({ "type": "notification_messages", "title": topic });
        optin.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        envelope("1", &event("2", "1", at, &json!({ "optin": optin })))
    };
    let zone = |zone: &str| json!({ "notification_messages_timezone": zone });
    let bodies = [
        // A blank time zone comes last and overwrites none.
        optin("zone", now - 3, zone("Asia/Shanghai")),
        optin("zone", now - 2, zone("")),
        optin("zone", now - 1, zone(" \u{3000}\n")),
        optin("expired", now - day, token(json!(now - 1_000))),
        optin("expired in seconds", now - day, token(json!(1_735_689_600))),
        optin("valid", now - day, token(json!(now + day))),
        optin("valid as text", now - day, token(json!("2145916800000"))),
        optin("valid in seconds", now - day, token(json!(2_145_916_800_i64))),
        optin("for 30 days, valid", now - 29 * day, token(json!(2_592_000_000_i64))),
        optin("for 30 days, expired", now - 31 * day, token(json!("2592000000"))),
        optin("for a week, expired", now - 8 * day, token(json!(604_800_000))),
        optin("no expiry", now, token(Value::Null)),
        optin("blank token", now, json!({ "notification_messages_token": " " })),
        optin("stopped", now - 2, token(json!(now + day))),
        optin("stopped", now - 1, json!({ "notification_messages_status": "STOP_NOTIFICATIONS" })),
    ];
    let events: Vec<Event> =
        bodies.into_iter().flat_map(|body| parse(&Bytes::from(body), clock::now()).unwrap()).collect();
    for event in &events {
        store.session().commit(&Batch { events: vec![event], quarantined: Vec::new() }).await.unwrap();
    }
    let zones = "select timezone from subscribers where topic = 'zone'";
    assert_eq!(database.text(zones).await, "Asia/Shanghai");
    let valid = "select string_agg(topic, '; ' order by topic) from subscribers where can_receive_marketing";
    assert_eq!(database.text(valid).await, "for 30 days, valid; no expiry; valid; valid as text; valid in seconds");
    let end = "select (extract(epoch from token_expires_at - changed_at) / 86400)::int::text from subscribers where topic like 'for 30 days, v%'";
    assert_eq!(database.text(end).await, "30");
    store.close().await;
}

fn difference(left: &str, right: &str) -> String {
    let pairs = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    pairs.map_or("one has more rows".to_owned(), |(left, right)| format!("{left}\n{right}"))
}

#[test]
fn the_fold_in_memory_is_a_join() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_history(), |(history, order, _)| {
        let events = events_of(&history);
        let forward: State<'_> = events.iter().collect();
        let shuffled: State<'_> = order.iter().map(|index| &events[*index]).collect();
        prop_assert_eq!(forward, shuffled);
        Ok(())
    });
    outcome.unwrap();
}
