//! State is a join: any order, any repetition and any batching of the same events end in the same state,
//! in PostgreSQL as in memory.

mod support;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sobot_hook::clock;
use sobot_hook::dialect::graph::{self, Conversation, Platform};
use sobot_hook::dialect::sobot::{self, Sent};
use sobot_hook::dialect::webhook::parse;
use sobot_hook::event::Event;
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::state::State;
use sobot_hook::store::{Batch, Committed, Fate, Scope, Store, StoreError};
use sqlx::Executor;
use support::database::{Database, STATE, text};
use support::own::{page, user};
use support::wire::{envelope, event};

const BEGIN: i64 = 1_760_000_000_000;

fn received_at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(BEGIN + 60_000).unwrap()
}

/// An event of a small world, so that users, messages, topics and moments meet often: of the webhook, or of our own.
fn any_event() -> impl Strategy<Value = Event> {
    let of_webhook = any_body().prop_map(|body| parse(&Bytes::from(body), received_at()).unwrap().remove(0));
    prop_oneof![3 => of_webhook, 1 => any_sent(), 1 => any_subscriber(), 2 => any_backfilled()]
}

const USERS: [&str; 2] = ["u1", "u2"];
const PAGES: [&str; 2] = ["p1", "p2"];
const TOKENS: [Option<&str>; 3] = [Some("a"), Some("b"), None];

fn any_sent() -> impl Strategy<Value = Event> {
    (prop::sample::select(&USERS), prop::sample::select(&PAGES), 0..8_i64, 0..4_usize).prop_map(
        |(to, from, at, thing)| {
            let answered_at = DateTime::from_timestamp_millis(BEGIN + at * 1_000).unwrap();
            let mid = ["m0", "m1", "m2", ""][thing];
            let request =
                json!({ "type": if at % 2 == 0 { "text" } else { "image" }, "payload": at.to_string() }).to_string();
            let sent =
                Sent { page_id: &page(from), user_id: &user(to), mid: Some(mid), request: &request, answered_at };
            sobot::sent(&sent).unwrap()
        },
    )
}

/// Of the same subscriptions as the opt-ins, at the same moments, with the same tokens.
fn any_subscriber() -> impl Strategy<Value = Event> {
    let token = prop::sample::select(&TOKENS);
    (prop::sample::select(&USERS), prop::sample::select(&PAGES), 0..8_i64, 0..8_i64, 0..3_u8, token).prop_map(
        |(user, of, at, other, thing, token)| {
            let zone = ["", "UTC", "Asia/Tokyo"][usize::from(thing)];
            let item = json!({
                "facebookid": user, "pageid": of, "sub_title": format!("t{thing}"), "sub_status": other % 2,
                "sub_token": token, "timezone": zone,
                "title_describe": other.to_string(), "create_time": BEGIN + other * 1_000,
                "update_time": if at == 0 { Value::Null } else { json!(BEGIN + at * 1_000) },
            });
            sobot::subscriber(&page(of), &item.to_string(), received_at()).unwrap()
        },
    )
}

/// With all details, with a few, or only listed.
fn any_backfilled() -> impl Strategy<Value = Event> {
    (prop::sample::select(&USERS), prop::sample::select(&PAGES), 0..8_i64, 0..4_u8, 0..6_u8).prop_map(
        |(user, of, at, thing, kind)| {
            let at = DateTime::from_timestamp_millis(BEGIN + at * 1_000).unwrap();
            let mut told = json!({ "id": format!("m{thing}"), "created_time": at.format("%FT%T+0000").to_string() });
            let members = match kind {
                0 => json!({ "from": { "id": user }, "message": at.to_string() }),
                1 => json!({ "from": { "id": of }, "to": { "data": [{ "id": user }] }, "message": at.to_string() }),
                2 => json!({ "from": { "id": of }, "message": "", "attachments": { "data": [{ "mime_type": "audio/mp3" }] } }),
                3 => json!({ "from": { "id": if thing == 0 { user } else { of } } }),
                _ => json!({}),
            };
            told.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            let page_id = &page(of);
            let conversation =
                Conversation { page_id, platform: Platform::Messenger, conversation_id: "t_1", user_id: Some(user) };
            graph::message(&conversation, &told.to_string(), received_at()).unwrap()
        },
    )
}

fn any_body() -> impl Strategy<Value = String> {
    let (user, page) = (prop::sample::select(&USERS), prop::sample::select(&PAGES));
    let token = prop::sample::select(&TOKENS);
    let numbers = (0..8_i64, 0..8_i64, 0..3_u8, 0..14_u8);
    (user, page, token, numbers).prop_map(|(user, page, token, (at, other, thing, kind))| {
        let expiry = if other % 2 == 0 { json!(2_145_916_800_000_i64 - other) } else { Value::Null };
        let (at, watermark) = (BEGIN + at * 1_000, BEGIN + other * 1_000);
        let mid = format!("m{thing}");
        let from_user = |what: Value| event(user, page, at, &what);
        let from_page = |what: Value| event(page, user, at, &what);
        // A repeated message may differ in its content, but not at the same moment: then it is the same event.
        let content = format!("{mid} at {at}");
        let optin = |status: Value, timezone: Value| {
            from_user(json!({ "optin": {
                "type": "notification_messages", "title": format!("t{thing}"), "notification_messages_token": token,
                "notification_messages_status": status, "notification_messages_timezone": timezone,
                "payload": watermark.to_string(), "token_expiry_timestamp": expiry,
                "user_token_status": if other < 4 { json!(watermark.to_string()) } else { Value::Null },
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

const EMPTY: &str = "truncate events, first_receipts, messages, conversations, subscriptions, uploads";

async fn state_after(database: &Database, store: &Store, batches: &[Vec<&Event>]) -> String {
    stored_after(database, store, batches).await;
    text(&database.pool, STATE).await
}

/// A history, then an order of it with repetitions, and where to cut that into batches.
fn any_history() -> impl Strategy<Value = (Vec<Event>, Vec<usize>, Vec<bool>)> {
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
    let outcome = runner.run(&any_history(), |(events, order, cuts)| {
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
        // The journal, in which the first copy of each rests as jsonb, tells the same.
        let rebuilt =
            runtime.block_on(rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")));
        prop_assert_eq!(rebuilt.unwrap().differences, 0);
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

/// An event of a small world, and its receipts in seconds. Most tell no time; those that do fall between the receipts of
/// the others.
fn any_receipts() -> impl Strategy<Value = (String, Vec<i64>)> {
    let receipts = prop::collection::vec(0..12_i64, 1..4);
    (0..12_i64, 0..3_u8, 0..4_i64, 0..11_u8, 0..3_u8, receipts).prop_map(
        |(at, thing, number, kind, timed, receipts)| {
            let mid = format!("m{thing}");
            let optin = |status: Value, zone: Value| {
                json!({ "optin": {
                "type": "notification_messages", "title": format!("t{thing}"), "notification_messages_token": number,
                "notification_messages_status": status, "notification_messages_timezone": zone,
                "user_token_status": if at % 2 == 0 { json!(number.to_string()) } else { Value::Null },
            } })
            };
            let what = match kind {
                0 => json!({ "message": { "mid": mid, "text": number.to_string() } }),
                1 => json!({ "message": { "mid": mid, "is_deleted": true } }),
                2 => json!({ "message_edit": { "mid": mid, "text": number.to_string(), "num_edit": 1 } }),
                3 => json!({ "delivery": { "mids": [mid] } }),
                4 => json!({ "read": { "mid": mid } }),
                5 | 6 => optin(Value::Null, json!(["Asia/Shanghai", "UTC", "", " "][usize::try_from(number).unwrap()])),
                7 => optin(json!("STOP_NOTIFICATIONS"), Value::Null),
                8 => json!({ "postback": { "title": number.to_string() } }),
                9 => json!({ "message": { "text": "without a mid" } }),
                _ => return (json!({ "track_id": mid, "attachment_id": number }).to_string(), receipts),
            };
            let mut body = json!({ "sender": { "id": "u" }, "recipient": { "id": "p" } });
            body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            if timed == 0 {
                body["timestamp"] = (BEGIN + at * 1_000 + 500).into();
            }
            (body.to_string(), receipts)
        },
    )
}

/// The copies of all events, each with its receipt, in some order; and where to cut that into batches.
fn any_arrivals() -> impl Strategy<Value = (Vec<Event>, Vec<bool>)> {
    let copies = prop::collection::vec(any_receipts(), 1..16).prop_map(|events| {
        let copies = events.iter().flat_map(|(body, receipts)| receipts.iter().map(move |second| (body, *second)));
        let received_at = |second: i64| DateTime::from_timestamp_millis(BEGIN + second * 1_000).unwrap();
        let copies = copies.flat_map(|(body, second)| parse(&Bytes::from(body.clone()), received_at(second)).unwrap());
        copies.collect::<Vec<_>>()
    });
    (copies.prop_shuffle(), prop::collection::vec(any::<bool>(), 64))
}

/// The journal, of its timed events without what only their first copy tells, and the state with the times of uploads.
const JOURNAL_AND_STATE: &str = "
    select concat_ws(E'\\n',
        (select string_agg(row::text, E'\\n' order by row::text) from (
            select occurred_at, event_key, events.user_id, page_id, kind, note,
                case when first.occurred_at is not null then events.received_at end
            from events left join first_receipts as first using (user_id, event_key, occurred_at)
         ) as row),
        (select string_agg(first::text, E'\\n' order by first::text) from first_receipts as first),
        (select string_agg(row::text, E'\\n' order by row::text) from messages as row),
        (select string_agg(row::text, E'\\n' order by row::text) from conversations as row),
        (select string_agg(row::text, E'\\n' order by row::text) from subscriptions as row),
        (select string_agg(concat_ws(' ', track_id, attachment_id, completed_at), E'\\n' order by track_id) from uploads))";

#[test]
fn the_order_in_which_copies_without_a_time_arrive_does_not_matter() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, store) = runtime.block_on(Database::migrated());
    let mut runner = TestRunner::new(Config { cases: 32, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_arrivals(), |(copies, cuts)| {
        let mut direct: Vec<&Event> = copies.iter().collect();
        direct.sort_by_key(|copy| copy.received_at);
        let direct: Vec<Vec<&Event>> = direct.into_iter().map(|copy| vec![copy]).collect();
        let mut spooled: Vec<Vec<&Event>> = vec![Vec::new()];
        for (copy, cut) in copies.iter().zip(&cuts) {
            if *cut {
                spooled.push(Vec::new());
            }
            spooled.last_mut().unwrap().push(copy);
        }
        let after = async |batches: &[Vec<&Event>]| {
            let stored = stored_after(&database, &store, batches).await;
            let rows = database.count("select count(*) from events").await;
            (stored - rows, text(&database.pool, JOURNAL_AND_STATE).await)
        };
        let (wrongly_told, direct) = runtime.block_on(after(&direct));
        prop_assert_eq!(wrongly_told, 0);
        let (wrongly_told, spooled) = runtime.block_on(after(&spooled));
        prop_assert_eq!(wrongly_told, 0);
        prop_assert!(direct == spooled, "{}", difference(&direct, &spooled));
        let rebuilt =
            runtime.block_on(rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")));
        prop_assert_eq!(rebuilt.unwrap().differences, 0);
        Ok(())
    });
    runtime.block_on(store.close());
    outcome.unwrap();
}

#[tokio::test]
async fn two_writers_agree_on_the_first_receipt() {
    let (database, store) = Database::migrated().await;
    let copies = |second: i64| {
        let received_at = DateTime::from_timestamp_millis(BEGIN + second * 1_000).unwrap();
        let body = |number: i64| {
            let event = json!({ "sender": { "id": "u" }, "recipient": { "id": "p" }, "postback": { "title": number } });
            parse(&Bytes::from(event.to_string()), received_at).unwrap().remove(0)
        };
        (0..60).map(body).collect::<Vec<_>>()
    };
    let (first, later) = (copies(0), copies(1));
    // Each has one copy of each event; they meet in the middle.
    let write = async |copies: Vec<&Event>| {
        let mut session = store.session();
        for events in copies.chunks(3) {
            let batch = Batch { events: events.to_vec(), quarantined: Vec::new() };
            while let Err(error) = session.commit(&batch).await {
                assert!(matches!(error, StoreError::Conflict(_) | StoreError::NoMonth), "{error}");
            }
        }
    };
    tokio::join!(write(first.iter().collect()), write(later.iter().rev().collect()));
    let rows = "select concat_ws(' ', count(*), min(occurred_at) = max(occurred_at), min(received_at) = max(received_at)) from events";
    assert_eq!(database.text(rows).await, "60 t t");
    assert_eq!(database.count("select count(*) from conversations where last_seen_at = first_seen_at").await, 1);
    let rebuilt = rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.differences), (60, 0));
    store.close().await;
}

#[tokio::test]
async fn events_that_move_from_one_moment_each_find_their_own() {
    let (database, store) = Database::migrated().await;
    let parties = json!({ "sender": { "id": "u" }, "recipient": { "id": "p" } });
    let copy = |second: i64, what: Value| {
        let mut body = parties.clone();
        body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        let received_at = DateTime::from_timestamp_millis(BEGIN + second * 1_000).unwrap();
        parse(&Bytes::from(body.to_string()), received_at).unwrap().remove(0)
    };
    let edit = |second| copy(second, json!({ "message_edit": { "mid": "m", "text": "new", "num_edit": 1 } }));
    let postback = |second, title: i64| copy(second, json!({ "postback": { "title": title } }));
    let later = [edit(9), postback(9, 1), postback(9, 2), postback(9, 3)];
    let earlier = [edit(0), postback(2, 1), postback(3, 2), postback(4, 3)];
    for events in [later, earlier] {
        let batch = Batch { events: events.iter().collect(), quarantined: Vec::new() };
        store.session().commit(&batch).await.unwrap();
    }
    let edited = "select extract(epoch from edited_at)::int8 from messages";
    let seen = "select extract(epoch from last_seen_at)::int8 from conversations";
    assert_eq!(database.count(edited).await - BEGIN / 1_000, 0);
    assert_eq!(database.count(seen).await - BEGIN / 1_000, 4);
    store.close().await;
}

#[tokio::test]
async fn where_an_event_cannot_move_to_its_first_receipt_the_later_time_stands() {
    let (database, store) = Database::migrated().await;
    let commit = async |second: i64| {
        let received_at = DateTime::from_timestamp_millis(BEGIN + second * 1_000).unwrap();
        let body = json!({ "sender": { "id": "u" }, "recipient": { "id": "p" }, "postback": {} }).to_string();
        let event = parse(&Bytes::from(body), received_at).unwrap().remove(0);
        let batch = Batch { events: vec![&event], quarantined: Vec::new() };
        let is_new = is_new(&store.session().commit(&batch).await.unwrap());
        let at = "select string_agg(extract(epoch from occurred_at)::int8::text, ' ') from events";
        let rebuilt = rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await;
        assert_eq!(rebuilt.unwrap().differences, 0);
        (is_new, database.text(at).await.parse::<i64>().unwrap() - BEGIN / 1_000)
    };
    assert_eq!(commit(9).await, (vec![true], 9));
    // Somebody holds the row.
    let mut holder = database.pool.begin().await.unwrap();
    holder.execute("select from events for update").await.unwrap();
    assert_eq!(commit(5).await, (vec![false], 9));
    holder.rollback().await.unwrap();
    assert_eq!(commit(5).await, (vec![false], 5));
    // Retention has dropped what came before.
    let horizon = "insert into journal_horizon (begins_at) select occurred_at - interval '2 seconds' from events";
    database.pool.execute(horizon).await.unwrap();
    assert_eq!(commit(2).await, (vec![false], 5));
    assert_eq!(commit(3).await, (vec![false], 3));
    store.close().await;
}

fn is_new(committed: &Committed) -> Vec<bool> {
    committed.fates.iter().map(|fate| *fate == Fate::Stored).collect()
}

/// How many events were told as stored.
async fn stored_after(database: &Database, store: &Store, batches: &[Vec<&Event>]) -> i64 {
    database.pool.execute(EMPTY).await.unwrap();
    let mut session = store.session();
    let mut stored = 0;
    for events in batches {
        let batch = Batch { events: events.clone(), quarantined: Vec::new() };
        let is_new = is_new(&session.commit(&batch).await.unwrap());
        stored += i64::try_from(is_new.into_iter().filter(|is_new| *is_new).count()).unwrap();
    }
    stored
}

fn difference(left: &str, right: &str) -> String {
    let pairs = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    pairs.map_or("one has more rows".to_owned(), |(left, right)| format!("{left}\n{right}"))
}

#[test]
fn the_fold_in_memory_is_a_join() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_history(), |(events, order, _)| {
        let forward: State<'_> = events.iter().collect();
        let shuffled: State<'_> = order.iter().map(|index| &events[*index]).collect();
        prop_assert_eq!(forward, shuffled);
        Ok(())
    });
    outcome.unwrap();
}
