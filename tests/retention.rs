//! What is dropped in the end: months of the journal, and what must go or stay with them; the quarantine. Clocks may be wrong,
//! and any step may be the last one before a kill.

mod support;

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Days, Months, TimeDelta, Utc};
use sobot_hook::clock;
use sobot_hook::config::Retention;
use sobot_hook::dialect::webhook::parse;
use sobot_hook::jobs::upkeep::look_after;
use sobot_hook::store::{Batch, Quarantined, Store};
use sqlx::{AssertSqlSafe, Executor};
use support::database::Database;
use support::service::{Service, program};
use support::wire::message;
use support::{PATIENCE, until};

const KEEP_3: Retention = Retention { events_months: 3, quarantine_days: 0, quarantine_max_bytes: 1 << 30 };

const CALLBACK: &str = r#"{"track_id":"nobody-asked","attachment_id":"7"}"#;

fn months_ago(months: u32) -> DateTime<Utc> {
    clock::now() - Months::new(months)
}

/// Stores a body as one that was received then.
async fn receive(store: &Store, body: &str, at: DateTime<Utc>) {
    let events = parse(&Bytes::from(body.to_owned()), at).unwrap();
    let batch = Batch { events: events.iter().collect(), quarantined: Vec::new() };
    store.session().commit(&batch).await.unwrap();
}

async fn receive_message(store: &Store, mid: &str, at: DateTime<Utc>) {
    receive(store, &message("2", "1", mid, at.timestamp_millis(), "x"), at + TimeDelta::seconds(1)).await;
}

/// The month's table.
fn table(at: DateTime<Utc>) -> String {
    at.format("events_%Y_%m").to_string()
}

async fn mids(database: &Database) -> String {
    database.text("select string_agg(body->'message'->>'mid', ' ' order by occurred_at) from events").await
}

#[tokio::test]
async fn no_single_clock_decides_what_is_old() {
    let (database, store) = Database::migrated().await;
    for (mid, months) in [("five", 5), ("two", 2), ("now", 0)] {
        receive_message(&store, mid, months_ago(months)).await;
    }
    let quarantined = [(b"old", 50), (b"new", 3)].map(|(raw, days)| Quarantined {
        received_at: clock::now() - Days::new(days),
        reason: "no JSON",
        raw,
    });
    let batch = Batch { events: Vec::new(), quarantined: quarantined.to_vec() };
    store.session().commit(&batch).await.unwrap();
    let retention = Retention { quarantine_days: 30, events_months: 3, ..KEEP_3 };
    let left = async || (mids(&database).await, database.count("select count(*) from quarantine").await);
    let all = ("five two now".to_owned(), 2);

    // The service's clock is wrong, this way or that.
    for wrong in [clock::now() + Days::new(400), clock::now() - Days::new(400)] {
        let doubt = look_after(&store, wrong, retention).await.unwrap();
        assert!(doubt.unwrap().contains("minutes apart"));
        assert_eq!(left().await, all);
    }
    // PostgreSQL's is wrong.
    database
        .disguise(
            "create function disguise.now() returns timestamptz language sql stable
             as $$ select pg_catalog.now() + interval '400 days' $$",
        )
        .await;
    let misled = Store::connect_lazily(&database.url, 8, PATIENCE).unwrap();
    let doubt = look_after(&misled, clock::now(), retention).await.unwrap();
    assert!(doubt.unwrap().contains("minutes apart"));
    assert_eq!(left().await, all);
    // Both are, as they are on one machine: the journal knows better.
    let doubt = look_after(&misled, clock::now() + Days::new(400), retention).await.unwrap();
    assert!(doubt.unwrap().contains("counted back from it"));
    let right = ("two now".to_owned(), 1);
    assert_eq!(left().await, right);
    // All agree, also whoever has connected meanwhile.
    database.pool.execute("drop function disguise.now()").await.unwrap();
    assert_eq!(look_after(&store, clock::now(), retention).await.unwrap(), None);
    assert_eq!(left().await, right);
    assert_eq!(database.text("select convert_from(raw, 'UTF8') from quarantine").await, "new");
}

#[tokio::test]
async fn a_journal_that_tells_no_time_drops_nothing() {
    let (database, store) = Database::migrated().await;
    // Its time is that of the service's clock, which may have been wrong.
    receive(&store, CALLBACK, months_ago(9)).await;
    receive(&store, r#"{"track_id":"another","attachment_id":"8"}"#, months_ago(0)).await;
    assert_eq!(look_after(&store, clock::now(), KEEP_3).await.unwrap(), None);
    assert_eq!(database.count("select count(*) from events").await, 2);
}

/// What a run of the retention does, in its order.
fn steps(old: DateTime<Utc>) -> Vec<String> {
    let (month, before) = (table(old), months_ago(3).format("%Y-%m-01T00:00:00Z"));
    vec![
        format!("insert into detached_months values ('{month}', 'drop')"),
        format!("insert into journal_horizon (begins_at) values ('{before}')"),
        format!("alter table events detach partition {month} concurrently"),
        format!("begin; drop table {month}; delete from detached_months; commit"),
        format!("delete from events_before_2016_04 where occurred_at < '{before}'"),
        format!("delete from first_receipts where occurred_at < '{before}'"),
    ]
}

/// A journal with something old in each of its places.
async fn old_journal() -> (Database, Store) {
    let (database, store) = Database::migrated().await;
    receive(&store, CALLBACK, months_ago(6)).await;
    receive_message(&store, "old", months_ago(6)).await;
    receive_message(&store, "ancient", "2015-05-05T00:00:00Z".parse().unwrap()).await;
    receive_message(&store, "new", months_ago(0)).await;
    let requested = "insert into uploads (track_id, requested_at, attachment_id, completed_at)
                     values ('asked', now() - interval '8 months', '1', now() - interval '8 months')";
    database.run(requested).await;
    (database, store)
}

async fn assert_all_old_is_gone(database: &Database, store: &Store, killed: &str) {
    assert_eq!(look_after(store, clock::now(), KEEP_3).await.unwrap(), None, "{killed}");
    assert_eq!(mids(database).await, "new", "{killed}");
    let left = "select concat_ws(' ', to_regclass($$MONTH$$), (select count(*) from first_receipts),
                    (select count(*) from detached_months), (select count(*) from journal_horizon),
                    (select string_agg(track_id, ' ') from uploads))";
    let left = left.replace("MONTH", &table(months_ago(6)));
    assert_eq!(database.text(&left).await, "0 0 1 asked", "{killed}");
    // What comes once more is of today.
    receive(store, CALLBACK, clock::now()).await;
    let callbacks =
        "select count(*) from events where container = 'callback' and occurred_at > now() - interval '1 hour'";
    assert_eq!(database.count(callbacks).await, 1, "{killed}");
}

#[tokio::test]
async fn whatever_step_retention_is_killed_after_the_next_run_finishes_it() {
    let steps = steps(months_ago(6));
    for done in 0..=steps.len() {
        let (database, store) = old_journal().await;
        for step in &steps[..done] {
            database.run(step).await;
        }
        assert_all_old_is_gone(&database, &store, &format!("killed after {done} steps")).await;
    }
}

/// Somebody reads the journal, and whoever detaches a month is stopped while it waits for them.
async fn interrupt_detachment(database: &Database, month: &str) {
    let mut reader = database.pool.begin().await.unwrap();
    reader.execute("select from events").await.unwrap();
    let mut detaching = database.pool.acquire().await.unwrap();
    detaching.execute("set statement_timeout = '200ms'").await.unwrap();
    let detach = format!("alter table events detach partition {month} concurrently");
    detaching.execute(AssertSqlSafe(detach)).await.unwrap_err();
    detaching.execute("reset statement_timeout").await.unwrap();
    assert_eq!(database.count("select count(*) from pg_inherits where inhdetachpending").await, 1);
}

#[tokio::test]
async fn a_detachment_that_was_interrupted_is_finished() {
    let (database, store) = old_journal().await;
    // One more month is to go, and comes before the one that PostgreSQL must finish first.
    receive_message(&store, "older", months_ago(7)).await;
    for step in &steps(months_ago(6))[..2] {
        database.run(step).await;
    }
    interrupt_detachment(&database, &table(months_ago(6))).await;
    assert_all_old_is_gone(&database, &store, "killed while it waited").await;
}

#[tokio::test]
async fn what_an_archivist_has_detached_stays() {
    let (database, store) = Database::migrated().await;
    for (mid, months) in [("eight", 8), ("seven", 7), ("six", 6), ("now", 0)] {
        receive_message(&store, mid, months_ago(months)).await;
    }
    let [eight, seven, six] = [8, 7, 6].map(|months| table(months_ago(months)));
    database.run(&format!("alter table events detach partition {eight}")).await;
    // As one that was detached before the journal had the column.
    database.run(&format!("alter table {eight} drop column clock_skew")).await;
    interrupt_detachment(&database, &seven).await;
    database.run("create table events_2016_05 as select 'mine' as text").await;
    let rows = async |table: &str| database.count(&format!("select count(*) from {table}")).await;

    // PostgreSQL detaches one month at a time: what the archivist has begun comes first. What they detach next is theirs,
    // although retention was at it.
    receive_message(&store, "nine", months_ago(9)).await;
    let nine = table(months_ago(9));
    look_after(&store, clock::now(), KEEP_3).await.unwrap_err();
    database.run(&format!("alter table events detach partition {seven} finalize")).await;
    database.run(&format!("alter table events detach partition {nine}")).await;
    assert_eq!(look_after(&store, clock::now(), KEEP_3).await.unwrap(), None);
    assert_eq!((rows(&eight).await, rows(&seven).await, rows(&nine).await, rows("events_2016_05").await), (1, 1, 1, 1));
    assert_eq!(database.text(&format!("select to_regclass('{six}')::text")).await, "", "retention does drop");
    assert_eq!(mids(&database).await, "now");

    // A late event brings a month back, and retention takes it out again, whole.
    receive_message(&store, "late", months_ago(8)).await;
    assert_eq!(rows("events").await, 3);
    for _ in 0..2 {
        assert_eq!(look_after(&store, clock::now(), KEEP_3).await.unwrap(), None);
        assert_eq!((mids(&database).await.as_str(), rows(&eight).await), ("now", 2));
    }
    // Once the archivist has dropped it, its name is retention's again.
    database.run(&format!("drop table {eight}")).await;
    receive_message(&store, "later", months_ago(8)).await;
    assert_eq!(look_after(&store, clock::now(), KEEP_3).await.unwrap(), None);
    assert_eq!(database.text(&format!("select to_regclass('{eight}')::text")).await, "");
}

#[tokio::test]
async fn whoever_reads_a_detached_month_holds_up_nothing_else() {
    let (database, store) = old_journal().await;
    let (old, older) = (table(months_ago(6)), table(months_ago(7)));
    receive_message(&store, "older", months_ago(7)).await;
    database.run(&format!("insert into detached_months values ('{older}', 'drop')")).await;
    database.run(&format!("alter table events detach partition {older} concurrently")).await;
    let mut reader = database.pool.begin().await.unwrap();
    reader.execute(AssertSqlSafe(format!("select from {older}"))).await.unwrap();
    assert_eq!(look_after(&store, clock::now(), KEEP_3).await.unwrap(), None);
    let left =
        format!("select concat_ws(' ', to_regclass('{old}'), to_regclass('{older}'), count(*)) from first_receipts");
    assert_eq!(database.text(&left).await, format!("{older} 0"));
    reader.rollback().await.unwrap();
    assert_all_old_is_gone(&database, &store, "read for a while").await;
}

#[tokio::test]
async fn retention_on_a_postgresql_that_is_too_old_is_refused_at_the_start() {
    let (database, store) = Database::migrated().await;
    let version: i32 = database.text("show server_version_num").await.parse().unwrap();
    assert_eq!(store.server_version().await.unwrap(), version);
    database
        .disguise(
            "create function disguise.current_setting(name text) returns text language sql stable as $$
                 select case name when 'server_version_num' then '130021' else pg_catalog.current_setting(name) end
             $$",
        )
        .await;
    let directory = tempfile::tempdir().unwrap();
    let mut serve = program();
    serve.arg("serve").env("DATABASE_URL", &database.url).env("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path());
    for listener in ["HTTP", "ADMIN"] {
        serve.env(format!("SOBOT_HOOK__{listener}__LISTEN"), "127.0.0.1:0");
    }
    serve.env("SOBOT_HOOK__RETENTION__EVENTS_MONTHS", "3");
    let mut serve = serve.stderr(Stdio::piped()).spawn().unwrap();
    let ended = async {
        while serve.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, ended).await.is_err() {
        serve.kill().unwrap();
    }
    let output = serve.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("retention.events_months needs PostgreSQL 14 or later, and this server is 13.21;"), "{said}");
    // Without retention it serves.
    assert_eq!(Service::start(&database.url).post(message("2", "1", "m", 1_760_000_000_000, "x")).await.0, 200);
}

/// What is no JSON, and no two the same.
fn garbage() -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(128..)).take(30_000).collect()
}

async fn assert_events_add_up(service: &Service) {
    let [received, settled] =
        ["sobot_hook_events_received_total", "sobot_hook_events_total"].map(|name| service.metric(name));
    assert_eq!(received.await, settled.await, "events in = stored + duplicate + quarantined + spooled + refused");
}

#[tokio::test]
async fn the_quarantine_is_bounded_and_what_has_been_replayed_makes_room() {
    let database = Database::create().await;
    // Six of our bodies, with 128 bytes more for each.
    let bound = (6 * 30_128).to_string();
    let environment = [
        ("SOBOT_HOOK__RETENTION__QUARANTINE_MAX_BYTES", bound.as_str()),
        ("SOBOT_HOOK__HTTP__BODY_LIMIT_BYTES", "65536"),
    ];
    let service = Service::start_with(&database.url, &environment);
    let count = async || database.count("select count(*) from quarantine").await;
    for _ in 0..6 {
        let (status, answer) = service.post(garbage()).await;
        assert!(status == 400 && answer.contains("not_json") && answer.contains("kept in quarantine"), "{answer}");
    }
    for _ in 0..5 {
        let (status, answer) = service.post(garbage()).await;
        assert!(status == 400 && answer.contains("not_json") && answer.contains("not kept"), "{answer}");
    }
    assert_eq!(count().await, 6);
    assert_eq!(service.metric("sobot_hook_quarantine_refused_total").await, 5);
    assert_eq!(service.log().matches("the quarantine is full (retention.quarantine_max_bytes)").count(), 1);
    assert_events_add_up(&service).await;

    // What was acknowledged is kept all the same.
    database.run("alter table conversations add constraint no_such check (user_id <> 'poison')").await;
    assert_eq!(service.post(message("poison", "1", "m", 1_760_000_000_000, "x")).await.0, 200);
    until("the refused event is in quarantine", async || count().await == 7).await;
    database.run("delete from quarantine where id = (select max(id) from quarantine)").await;

    database.run("update quarantine set replayed_at = now() where id in (2, 3, 5)").await;
    until("there is room", async || service.post(garbage()).await.1.contains("kept in quarantine")).await;
    // The oldest of them go, with some room to spare for the next.
    assert_eq!(count().await, 5);
    assert_eq!(
        database.text("select string_agg(id::text, ' ' order by id) from quarantine where id <= 6").await,
        "1 4 5 6"
    );
    // Rows that somebody has deleted leave room.
    database.run("delete from quarantine").await;
    until("there is room again", async || service.post(garbage()).await.1.contains("kept in quarantine")).await;
    assert_events_add_up(&service).await;
}
