//! A service whose clock is behind PostgreSQL's: no event loses its state for it, whether the skew was known when the event was
//! stored or is told afterwards.

mod support;

use std::process::Output;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sobot_hook::clock;
use sobot_hook::dialect::webhook::parse;
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Batch, Scope, Session, Store};
use support::database::{Database, STATE};
use support::service::{Service, program};
use support::until;
use support::wire::{delivery, echo, envelope, event, message, read};
use tokio::sync::Mutex;

/// PostgreSQL's clock shows so much more than the machine's, which is the service's.
async fn set_ahead(database: &Database, by: &str) {
    database
        .run(&format!(
            "create or replace function disguise.clock_timestamp() returns timestamptz language sql volatile
             as $$ select pg_catalog.clock_timestamp() + interval '{by}' $$"
        ))
        .await;
}

/// A conversation of that moment: asked, answered, delivered and read, and an upload whose entry tells the time.
fn conversation(at: i64) -> Vec<String> {
    vec![
        message("2", "1", "asked", at, "?"),
        echo("2", "1", "answered", at + 10, "!"),
        delivery("2", "1", at + 20, &["answered"], at + 15),
        read("2", "1", at + 30, at + 25),
        json!({ "entry": [{ "id": "1", "time": at, "track_id": "t", "attachment_id": "7" }] }).to_string(),
    ]
}

/// Stores a body as one that was received then, by the service's clock.
async fn receive(session: &mut Session, body: &str, at: DateTime<Utc>) {
    let events = parse(&Bytes::from(body.to_owned()), at).unwrap();
    let batch = Batch { events: events.iter().collect(), quarantined: Vec::new() };
    session.commit(&batch).await.unwrap();
}

async fn run(database: &Database, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = program();
    command.args(arguments).env("DATABASE_URL", &database.url);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

/// The journal, without what two clocks and two spellings may differ in.
const JOURNAL: &str = "
    select string_agg(
        (to_jsonb(event) - 'received_at' - 'clock_skew')::text, E'\\n' order by occurred_at, event_key, user_id)
    from events as event";

async fn differences(store: &Store, scope: Scope) -> (u64, Vec<String>) {
    let mut told = Vec::new();
    let rebuilt = rebuild(store, scope, |_, _| (), |difference| told.push(format!("{difference:?}"))).await;
    (rebuilt.unwrap().differences, told)
}

async fn skew_seconds(service: &Service) -> f64 {
    let readiness: Value = serde_json::from_str(&service.get("/readyz").await.1).unwrap();
    readiness["clock_skew_seconds"].as_f64().unwrap()
}

#[tokio::test]
async fn a_service_whose_clock_is_a_day_behind_loses_no_state() {
    let database = Database::create().await;
    database.disguise("").await;
    set_ahead(&database, "1 day").await;
    let service = Service::start(&database.url);
    // The sender's clock is PostgreSQL's, and a minute more.
    let now = clock::now() + TimeDelta::days(1) + TimeDelta::minutes(1);
    for body in conversation(now.timestamp_millis()) {
        assert_eq!(service.post(body).await.0, 200);
    }
    until("all is stored", async || database.count("select count(*) from events").await == 5).await;
    let state = "select string_agg(mid || ' ' || status, ', ' order by mid) from message_status";
    assert_eq!(database.text(state).await, "answered read, asked received");
    assert_eq!(database.text("select status from upload_status").await, "unclaimed");
    let known = "select count(*) from events
                 where note is null and clock_skew between interval '23:59' and interval '24:01'";
    assert_eq!(database.count(known).await, 5);
    let (code, said) = run(&database, &["rebuild", "--check"]).await;
    assert_eq!((code, said.contains("5 events, 0 differences")), (Some(0), true), "{said}");

    let apart = "the clocks of this service and of PostgreSQL are apart";
    assert!((skew_seconds(&service).await - 86_400.0).abs() < 30.0);
    assert!(service.metrics().await.contains("\nsobot_hook_clock_skew_seconds 86"));
    assert_eq!(service.log().matches(apart).count(), 1, "{}", service.log());

    set_ahead(&database, "0 days").await;
    until("the clocks agree", async || service.log().contains("of PostgreSQL agree again")).await;
    assert!(skew_seconds(&service).await.abs() < 30.0);
    assert_eq!(service.log().matches(apart).count(), 1, "{}", service.log());
    assert_eq!(service.post(message("2", "1", "later", clock::now().timestamp_millis(), "x")).await.0, 200);
    until("it is stored", async || database.count("select count(*) from events where clock_skew is null").await == 1)
        .await;

    // Repeated to a service whose clock is right, an event is the one that there is.
    let mut right = Store::connect_lazily(&database.url, 8, support::PATIENCE).unwrap().session();
    for body in conversation(now.timestamp_millis()) {
        receive(&mut right, &body, now).await;
    }
    assert_eq!(database.count("select count(*) from events").await, 6);
}

/// Every case there is, and what the clock's judgement makes interesting, at a moment shortly before `at`. Only bodies that
/// tell their times: others have that of their receipt, which is that of the clock.
fn bodies(at: DateTime<Utc>) -> Vec<String> {
    let at_ms = at.timestamp_millis() - 60_000;
    let cases = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/payloads/cases")).unwrap();
    let cases = cases.filter_map(|case| String::from_utf8(std::fs::read(case.unwrap().path()).unwrap()).ok());
    let day = 86_400_000;
    let of_user = |at: i64, what: &Value| envelope("1", &event("2", "1", at, what));
    let more = [
        // Only the watermark is too late, and it is so for both clocks, or for one.
        of_user(at_ms - 3 * day, &json!({ "read": { "watermark": at_ms } })),
        of_user(at_ms, &json!({ "delivery": { "mids": ["m"], "watermark": at_ms + 30 * day } })),
        of_user(at_ms - 3 * day, &json!({ "delivery": { "mids": ["n"], "watermark": at_ms + 30 * day } })),
        // It has two reasons to change no state; and it has what jsonb cannot hold, or holds otherwise.
        of_user(at_ms, &json!({ "message": { "text": "no mid" } })),
        of_user(at_ms, &json!({ "message": { "mid": "nul", "text": "a\u{0}b" } })),
        format!(r#"{{"sender":{{"id":2}},"recipient":{{"id":1}},"timestamp":{at_ms}.0e0,"message":{{"mid":"a","mid":"b"}}}}"#),
        // Only its entry tells the time.
        json!({ "object": "page", "hop_context": [1], "entry": [{ "id": "1", "time": at_ms, "changes": [{ "field": "feed", "value": 1 }] }] })
            .to_string(),
    ];
    let is_timed = |body: &String| {
        let events = parse(&Bytes::from(body.clone()), at);
        events.is_ok_and(|events| events.iter().all(|event| !event.is_timed_by_receipt))
    };
    cases.chain(more).chain(conversation(at_ms)).filter(is_timed).collect()
}

#[tokio::test]
async fn a_rebuild_judges_what_was_stored_before_the_skew_was_known() {
    let right_clock = DateTime::from_timestamp_millis(1_760_000_060_000).unwrap();
    let wrong_clock = right_clock - TimeDelta::days(3);
    let bodies = bodies(right_clock);
    let ((right, right_store), (wrong, wrong_store)) = (Database::migrated().await, Database::migrated().await);
    let (mut right_session, mut session) = (right_store.session(), wrong_store.session());
    for body in &bodies {
        receive(&mut right_session, body, right_clock).await;
        receive(&mut session, body, wrong_clock).await;
    }
    assert_eq!(differences(&wrong_store, Scope::Replace).await.0, 0, "nobody knows of a skew");
    let too_late = "select count(*) from events where note = 'time later than receipt + 24 h'";
    let misjudged = wrong.count(too_late).await - right.count(too_late).await;
    assert!(misjudged > 50, "{misjudged}");

    // Some come again under a right clock before anybody mends anything, the others afterwards.
    for body in bodies.iter().step_by(3) {
        receive(&mut session, body, right_clock).await;
    }
    wrong.run("update events set clock_skew = '3 days' where received_at < '2025-10-08'").await;
    let (state, journal) = (wrong.text(STATE).await, wrong.text(JOURNAL).await);
    let (found, told) = differences(&wrong_store, Scope::Check).await;
    assert!(found > 50, "{found}");
    assert_eq!(told.iter().filter(|told| told.contains("\"events\"")).count() as u64, found, "{told:?}");
    assert!(told.iter().any(|told| told.contains("note: time later than receipt + 24 h → nothing")), "{told:?}");
    assert_eq!((wrong.text(STATE).await, wrong.text(JOURNAL).await), (state, journal), "a check changes nothing");

    assert_eq!(differences(&wrong_store, Scope::Replace).await.0, found);
    assert_eq!(differences(&wrong_store, Scope::Check).await.0, 0);
    for body in &bodies {
        receive(&mut session, body, right_clock).await;
    }
    assert_eq!(wrong.text(STATE).await, right.text(STATE).await);
    let keys = "select string_agg(concat_ws(' ', occurred_at, event_key, user_id, note), E'\\n'
                                  order by occurred_at, event_key, user_id) from events";
    assert_eq!(wrong.text(keys).await, right.text(keys).await, "each stands once");
    assert_eq!(differences(&wrong_store, Scope::Check).await.0, 0);
}

#[tokio::test]
async fn an_event_that_postgresql_refuses_keeps_its_note_and_the_others_go_on() {
    let (database, store) = Database::migrated().await;
    let mut session = store.session();
    let right_clock = DateTime::from_timestamp_millis(1_760_000_060_000).unwrap();
    for user in ["2", "poison", "3"] {
        let body = message(user, "1", "m", right_clock.timestamp_millis(), "x");
        receive(&mut session, &body, right_clock - TimeDelta::days(2)).await;
    }
    assert_eq!(database.count("select count(*) from events where note = 'time later than receipt + 24 h'").await, 3);
    database
        .run(
            "alter table conversations add constraint no_such check (user_id <> 'poison');
             update events set clock_skew = '1 mon -28 days'",
        )
        .await;
    assert_eq!(differences(&store, Scope::Replace).await.0, 3);
    let noted = "select string_agg(user_id || ' ' || (note is null), ', ' order by user_id) from events";
    assert_eq!(database.text(noted).await, "2 true, 3 true, poison false");
    assert_eq!(differences(&store, Scope::Check).await.0, 1);
    assert_eq!(database.count("select count(*) from first_receipts").await, 1);
    database.run("alter table conversations drop constraint no_such").await;
    assert_eq!(differences(&store, Scope::Replace).await.0, 1);
    assert_eq!(database.count("select count(*) from conversations").await, 3);
}

/// How a copy of an event comes.
#[derive(Debug, Clone, Copy)]
enum Way {
    RightClock,
    /// Behind, as PostgreSQL shows.
    KnownSkew,
    /// Behind, as somebody finds out afterwards.
    UnknownSkew,
}

/// Copies of a few events, and how each comes; those of an index are one event.
fn any_history() -> impl Strategy<Value = Vec<(usize, Way)>> {
    let way = prop::sample::select(vec![Way::RightClock, Way::KnownSkew, Way::UnknownSkew]);
    prop::collection::vec((0..8_usize, way), 1..24)
}

#[test]
fn whatever_clock_the_copies_of_an_event_meet_it_ends_in_one_state() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, ignorant) = runtime.block_on(Database::migrated());
    let knows = runtime.block_on(async {
        database.disguise("").await;
        set_ahead(&database, "2 days").await;
        let knows = Store::connect_lazily(&database.url, 8, support::PATIENCE).unwrap();
        knows.session().look().await.unwrap();
        knows
    });
    let right_clock = DateTime::from_timestamp_millis(1_760_000_060_000).unwrap();
    let at = right_clock.timestamp_millis() - 1_000;
    let of_user = |at: i64, what: &Value| envelope("1", &event("2", "1", at, what));
    let bodies = [
        conversation(at),
        vec![
            of_user(at - 172_800_000, &json!({ "read": { "watermark": at } })),
            of_user(at, &json!({ "message": { "mid": "asked", "text": "another" } })),
            of_user(at, &json!({ "optin": { "type": "notification_messages", "title": "t" } })),
        ],
    ]
    .concat();
    let wrong_clock = right_clock - TimeDelta::days(2);
    let (knowing, unknowing) = (Mutex::new(knows.session()), Mutex::new(ignorant.session()));
    let come = async |history: &[(usize, Way)]| {
        database.run("truncate events, first_receipts, messages, conversations, subscriptions, uploads").await;
        for (index, way) in history {
            let (session, at) = match way {
                Way::RightClock => (&unknowing, right_clock),
                Way::KnownSkew => (&knowing, wrong_clock),
                Way::UnknownSkew => (&unknowing, wrong_clock),
            };
            receive(&mut *session.lock().await, &bodies[*index], at).await;
        }
    };
    let outcome = async |history: &[(usize, Way)]| {
        come(history).await;
        let tell = "update events set clock_skew = '2 days' where note is not null and clock_skew is null";
        database.run(tell).await;
        differences(&ignorant, Scope::Replace).await;
        let found = differences(&ignorant, Scope::Check).await.0;
        let once = "select count(*) = count(distinct (occurred_at, body)) and bool_and(note is null) from events";
        (database.text(STATE).await, found, database.text(&format!("select ({once})::text")).await)
    };
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&any_history(), |history| {
        let honest: Vec<_> = history.iter().map(|(index, _)| (*index, Way::RightClock)).collect();
        runtime.block_on(come(&honest));
        let state = runtime.block_on(database.text(STATE));
        prop_assert_eq!(runtime.block_on(outcome(&history)), (state, 0, "true".to_owned()));
        Ok(())
    });
    runtime.block_on(async { tokio::join!(knows.close(), ignorant.close()) });
    ran.unwrap();
}
