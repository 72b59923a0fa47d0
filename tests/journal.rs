//! The journal as the source of truth: rebuild, replay and retention, by the real commands beside a running
//! service.

mod support;

use std::process::Output;

use chrono::Months;
use serde_json::json;
use sqlx::Executor;
use support::database::{Database, STATE};
use support::service::{Service, program};
use support::until;
use support::wire::{delivery, echo, event, message, read};

const AT: i64 = 1_760_000_000_000;

async fn run(database: &Database, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = program();
    command.args(arguments).env("DATABASE_URL", &database.url);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

/// Every case there is, and what makes them interesting together.
async fn fill(service: &Service) {
    let cases = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/payloads/cases")).unwrap();
    let mut files: Vec<_> = cases.map(|case| case.unwrap().path()).collect();
    files.sort();
    for file in files {
        service.post(std::fs::read(&file).unwrap()).await;
    }
    for body in [
        message("6100000000000011", "730000000000101", "q", AT, "?"),
        echo("6100000000000011", "730000000000101", "a", AT + 10, "!"),
        delivery("6100000000000011", "730000000000101", AT + 20, &["a", "b"], AT + 15),
        read("6100000000000011", "730000000000101", AT + 30, AT + 25),
        // Its page's id is too long, its recipient's is not: it must not be folded later either.
        format!(
            r#"{{"entry":[{{"id":"{}","messaging":[{{"sender":{{"id":"2"}},"recipient":{{"id":"1"}},"timestamp":{AT},"message":{{"mid":"x"}}}}]}}]}}"#,
            "9".repeat(600)
        ),
        r#"{"sender":{"id":6.1e15},"recipient":{"id":7.3e14},"message":{"mid":1e3,"text":"no time"}}"#.to_owned(),
    ] {
        assert_eq!(service.post(body).await.0, 200);
    }
}

#[tokio::test]
async fn a_rebuild_finds_what_differs_and_mends_it() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    fill(&service).await;
    database
        .pool
        .execute("insert into uploads (track_id, page_id, type) values ('asked', 'p', 'image')")
        .await
        .unwrap();
    let state = database.text(STATE).await;
    let (code, output) = run(&database, &["rebuild", "--check"]).await;
    assert_eq!((code, output.contains(" 0 differences")), (Some(0), true), "{output}");

    for damage in [
        "update messages set delivered_at = null, text = 'changed' where mid = 'a'",
        "delete from conversations where user_id = '610000000000022'",
        "update subscriptions set sub_status = 1 - sub_status, token = 'other' where topic like '订阅%'",
        "insert into messages (user_id, message_key, page_id, mid, direction, source) values ('u', '', 'p', 'invented', 'inbound', 0)",
        "update uploads set attachment_id = 'other' where attachment_id is not null",
    ] {
        database.pool.execute(damage).await.unwrap();
    }
    let (code, output) = run(&database, &["rebuild", "--check"]).await;
    assert_eq!(code, Some(1), "{output}");
    for line in [
        "delivered_at: nothing → 2025-10-09T08:53:20.02+00:00",
        "text differs",
        "conversations user_id=610000000000022 page_id=730000000000101: missing in the state",
        "sub_status: 0 → 1",
        "token differs",
        "mid=invented: not in the journal",
        "attachment_id: other → 1234500000000001",
    ] {
        assert!(output.contains(line), "{line} in {output}");
    }
    assert!(!output.contains("changed") && !output.contains("863300000000000001"), "{output}");
    assert_ne!(database.text(STATE).await, state);

    let (code, output) = run(&database, &["rebuild"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(database.text(STATE).await, state);
    assert_eq!(run(&database, &["rebuild", "--check"]).await.0, Some(0));
}

#[tokio::test]
async fn a_rebuild_beside_live_traffic_loses_nothing() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    fill(&service).await;
    let posts = async {
        for number in 0..400 {
            assert_eq!(service.post(message("2", "1", &format!("m{number}"), AT + number, "x")).await.0, 200);
        }
    };
    let rebuilds = async {
        for _ in 0..3 {
            let (code, output) = run(&database, &["rebuild"]).await;
            assert_eq!((code, output.contains(" 0 differences")), (Some(0), true), "{output}");
        }
    };
    tokio::join!(posts, rebuilds);
    until("the spool is empty", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    let (code, output) = run(&database, &["rebuild", "--check"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(database.count("select count(*) from messages where page_id = '1' and user_id = '2'").await, 400);
}

#[tokio::test]
async fn retention_drops_months_of_the_journal_and_keeps_the_state() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let months_ago = |months| (sobot_hook::clock::now() - Months::new(months)).timestamp_millis();
    for (mid, at) in
        [("ancient", 1_400_000_000_000), ("old", months_ago(6)), ("recent", months_ago(1)), ("now", months_ago(0))]
    {
        assert_eq!(service.post(message("2", "1", mid, at, "x")).await.0, 200);
    }
    let state = database.text(STATE).await;
    drop(service);
    // A dump that runs must not be in the way, nor the other way round.
    let mut dump = database.pool.begin().await.unwrap();
    dump.execute("select count(*) from messages").await.unwrap();
    let service = Service::start_with(&database.url, &[("SOBOT_HOOK__RETENTION__EVENTS_MONTHS", "3")]);
    assert_eq!(service.post(message("2", "1", "now", months_ago(0), "x")).await.0, 200);
    dump.rollback().await.unwrap();
    until("old months are gone", async || {
        database.count("select count(*) from events where occurred_at < now() - interval '5 months'").await == 0
    })
    .await;
    assert_eq!(database.text(STATE).await.lines().filter(|line| line.contains("\"mid\"")).count(), 4);
    assert_eq!(state.lines().filter(|line| line.contains("\"mid\"")).count(), 4);

    // What only dropped months explain is neither wrong nor lost.
    let (code, output) = run(&database, &["rebuild", "--check"]).await;
    assert_eq!(code, Some(0), "{output}");
    database
        .pool
        .execute("update messages set text = null where mid = 'recent'; delete from messages where mid = 'now'")
        .await
        .unwrap();
    assert_eq!(run(&database, &["rebuild", "--check"]).await.0, Some(1));
    assert_eq!(run(&database, &["rebuild"]).await.0, Some(0));
    assert_eq!(
        database.count("select count(*) from messages where mid in ('ancient', 'old', 'recent', 'now')").await,
        4
    );
    // A month that somebody has detached comes back with what it holds.
    let month = database
        .text("select max(tableoid::regclass::text) from events where occurred_at < now() - interval '20 days'")
        .await;
    database.pool.execute(sqlx::AssertSqlSafe(format!("alter table events detach partition {month}"))).await.unwrap();
    assert_eq!(service.post(message("2", "1", "recent-again", months_ago(1), "x")).await.0, 200);
    assert_eq!(database.count("select count(*) from events where body->'message'->>'mid' like 'recent%'").await, 2);
    // An event for a dropped month makes it anew.
    assert_eq!(service.post(message("2", "1", "late", months_ago(6), "x")).await.0, 200);
    assert_eq!(database.count("select count(*) from messages where mid = 'late'").await, 1);
}

#[tokio::test]
async fn what_is_in_quarantine_can_be_replayed() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let pool = &database.pool;
    pool.execute("alter table messages add constraint no_such check (text <> 'poison')").await.unwrap();
    assert_eq!(service.post(message("2", "1", "m", AT, "poison")).await.0, 200);
    assert_eq!(service.post("garbage").await.0, 400);
    assert_eq!(database.count("select count(*) from quarantine where replayed_at is null").await, 2);
    let (code, output) = run(&database, &["replay"]).await;
    assert_eq!((code, output.contains("0 replayed, 2 left")), (Some(0), true), "{output}");
    assert!(output.contains("2: not one JSON document") && !output.contains("garbage"), "{output}");

    pool.execute("alter table messages drop constraint no_such").await.unwrap();
    assert!(run(&database, &["replay", "--id", "2"]).await.1.contains("0 replayed, 1 left"));
    assert!(run(&database, &["replay", "--since", "2999-01-01"]).await.1.contains("0 replayed, 0 left"));
    assert!(run(&database, &["replay", "--since", "2020-01-01T00:00:00+08:00"]).await.1.contains("1 replayed, 1 left"));
    assert!(run(&database, &["replay"]).await.1.contains("0 replayed, 1 left"));
    assert_eq!(run(&database, &["replay", "--since", "yesterday"]).await.0, Some(64));
    assert_eq!(database.count("select count(*) from messages where text = 'poison'").await, 1);
    assert_eq!(database.count("select count(*) from quarantine where replayed_at is null").await, 1);
}

#[tokio::test]
async fn a_command_that_has_nothing_to_work_on_says_so_and_fails() {
    let database = Database::create().await;
    for command in [&["rebuild"][..], &["rebuild", "--check"], &["replay"]] {
        let (code, output) = run(&database, command).await;
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("sobot-hook migrate") && !output.contains("away"), "{output}");
    }
    assert_eq!(run(&database, &["migrate"]).await.0, Some(0));
    let (code, output) = run(&database, &["replay", "--id", "99"]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("99"), "{output}");
    // Without a number, nothing to do is a success.
    assert_eq!(run(&database, &["replay"]).await, (Some(0), "0 replayed, 0 left\n".to_owned()));
}

#[tokio::test]
async fn a_first_copy_that_comes_late_gives_its_event_its_time() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let optin = |status: &str, timestamp: i64| {
        let time = if timestamp > 0 { format!(r#","timestamp":{timestamp}"#) } else { String::new() };
        format!(
            r#"{{"sender":{{"id":"2"}},"recipient":{{"id":"1"}}{time},"optin":{{"type":"notification_messages",
                "title":"t","notification_messages_status":"{status}"}}}}"#
        )
    };
    let hour_ago = (sobot_hook::clock::now() - chrono::TimeDelta::hours(1)).timestamp_millis();
    // Live, a resume without a time, received after the stop. Its first copy was received before it.
    for body in [optin("STOP", hour_ago), optin("RESUME", 0)] {
        assert_eq!(service.post(body).await.0, 200);
    }
    assert_eq!(database.count("select sub_status::bigint from subscribers").await, 1);
    let late = "insert into quarantine (received_at, reason, raw) values (now() - interval '2 hours', 'refused', convert_to($1, 'UTF8'))";
    sqlx::query(late).bind(optin("RESUME", 0)).execute(&database.pool).await.unwrap();
    assert!(run(&database, &["replay"]).await.1.contains("1 replayed, 0 left"));

    assert_eq!(database.count("select sub_status::bigint from subscribers").await, 0);
    let moved = "
        select count(*)
        from events join first_receipts using (occurred_at, event_key, user_id) join quarantine using (received_at)
        where events.occurred_at = events.received_at";
    assert_eq!((database.count(moved).await, database.count("select count(*) from events").await), (1, 2));
    let (code, output) = run(&database, &["rebuild", "--check"]).await;
    assert_eq!((code, output.contains(" 0 differences")), (Some(0), true), "{output}");
}

#[tokio::test]
async fn a_body_that_does_not_go_in_costs_a_replay_only_itself() {
    let (database, _store) = Database::migrated().await;
    let hinder = "
        create function hinder() returns trigger language plpgsql as $$
        begin
            case new.body->'message'->>'text'
                when 'slow' then perform pg_sleep(0.4);
                when 'stuck' then perform pg_sleep(60);
                when 'unwanted' then raise exception 'not this one';
                else null;
            end case;
            return new;
        end
        $$;
        create trigger hinder before insert on events for each row execute function hinder()";
    database.pool.execute(hinder).await.unwrap();
    // Ten that are slow together, two that stand around one that never goes in, and one for itself.
    let bodies = [vec!["slow"; 10], vec!["x", "stuck", "x"], vec!["x", "unwanted", "x"], vec!["x"]];
    for (number, texts) in bodies.iter().enumerate() {
        let events = texts.iter().zip(AT..).map(|(text, at)| {
            event("2", "1", at, &json!({ "message": { "mid": format!("m-{number}-{at}"), "text": text } }))
        });
        let body = json!({ "object": "page", "entry": [{ "id": "1", "messaging": events.collect::<Vec<_>>() }] });
        let insert = "insert into quarantine (received_at, reason, raw) values (now(), 'refused', $1)";
        sqlx::query(insert).bind(body.to_string().into_bytes()).execute(&database.pool).await.unwrap();
    }
    let (code, output) = run(&database, &["replay"]).await;
    assert_eq!((code, output.contains("2 replayed, 2 left")), (Some(0), true), "{output}");
    assert_eq!(database.count("select count(*) from messages").await, 15);
    let left = "select string_agg(id::text, ' ' order by id) from quarantine where replayed_at is null and reason <> 'refused'";
    assert_eq!(database.text(left).await, "2 3");

    database.pool.execute("drop trigger hinder on events").await.unwrap();
    let (_, output) = run(&database, &["replay"]).await;
    assert!(output.contains("2 replayed, 0 left"), "{output}");
    assert_eq!(database.count("select count(*) from messages").await, 17);
}
