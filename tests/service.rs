//! The real program behind its real door, on a real PostgreSQL.

mod support;

use serde_json::{Value, json};
use sobot_hook::clock;
use sqlx::Executor;
use support::database::{Database, STATE};
use support::service::{SECRET, Service};
use support::until;
use support::wire::{delivery, echo, envelope, event, message, read};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const AT: i64 = 1_760_000_000_000;
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/payloads");

fn case(file: &str) -> Vec<u8> {
    std::fs::read(format!("{CASES}/cases/{file}")).unwrap()
}

#[tokio::test]
async fn every_case_is_answered_and_journaled_once_however_often_it_comes() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let expected = std::fs::read_to_string(format!("{CASES}/expected.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = expected.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    for round in 1..=2 {
        for rows in rows.chunk_by(|left, right| left[0] == right[0]) {
            let status = if rows[0][1] == "malformed" { 400 } else { 200 };
            assert_eq!(service.post(case(rows[0][0])).await.0, status, "{} in round {round}", rows[0][0]);
        }
    }
    let container = |kind| format!("select count(*) from events where container = '{kind}'");
    // One event stands twice in its body.
    let events = rows.iter().filter(|row| row[5] != "-" && row[8] != "exact duplicate in the same body: store once");
    assert_eq!(
        database.count("select count(*) from events where container not in ('callback', 'document')").await,
        i64::try_from(events.count()).unwrap()
    );
    assert_eq!(database.count(&container("callback")).await, 1);
    assert_eq!(database.count(&container("document")).await, 3);
    let malformed = rows.iter().filter(|row| row[1] == "malformed").count();
    assert_eq!(database.count("select count(*) from quarantine").await, 2 * i64::try_from(malformed).unwrap());

    let quarantined =
        database.text("select encode(raw, 'escape') from quarantine where raw like 'payload=%' limit 1").await;
    assert_eq!(quarantined.as_bytes(), case("119-hostile-form-encoded.bin"));
    let deep = database.text("select octet_length(raw) || ' ' || (body is null) from events where container = 'document' and octet_length(raw) > 100000").await;
    assert_eq!(deep, "200000 true");
    let with_nul = database
        .text("select body->'message'->>'text' from events where raw is not null and body->'message' ? 'escaped'")
        .await;
    assert_eq!(with_nul, "a\u{FFFD}b");

    let [received, settled] =
        ["sobot_hook_events_received_total", "sobot_hook_events_total"].map(|name| service.metric(name));
    assert_eq!(received.await, settled.await, "events in = stored + duplicate + quarantined");
}

#[tokio::test]
async fn the_ten_bodies_of_the_sobot_document_give_the_state_that_its_reader_expects() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let document = [
        "001-message-sobot-text",
        "002-message-sobot-video",
        "003-message-sobot-image",
        "004-message-sobot-file",
        "005-delivery-sobot",
        "006-read-sobot",
        "007-optin-sobot-subscribe",
        "008-optin-sobot-stop",
        "009-optin-sobot-resume",
        "010-callback-attachment-upload",
    ];
    for file in document {
        assert_eq!(service.post(case(&format!("{file}.json"))).await, (200, "EVENT_RECEIVED".to_owned()), "{file}");
        if file.starts_with("008") {
            assert_eq!(database.text("select sub_status::text from subscribers").await, "0");
        }
    }
    let messages = "select string_agg(concat_ws(' ', user_id, direction, text, attachment_types), '; ' order by sent_at) from messages where source = 0";
    assert_eq!(
        database.text(messages).await,
        "610000000000022 inbound 11; 6100000000000011 inbound video; 610000000000022 inbound image; 6100000000000011 inbound file"
    );
    let delivered = "select concat_ws(' ', user_id, direction, status, extract(epoch from delivered_at) * 1000, evidence) from message_status where mid like 'm_Zq0005%'";
    // Delivered at …4542 by name; sent no later than …3796, which the read watermark …4551 covers.
    assert_eq!(database.text(delivered).await, "6100000000000011 outbound read 1760000004542.000000 watermark");
    let subscriber = "select concat_ws(' ', page_id, user_id, topic, sub_status, timezone, extract(epoch from changed_at)) from subscribers";
    assert_eq!(
        database.text(subscriber).await,
        "730000000000101 610000000000022 订阅主题-自测 1 UTC 1760000008.018000"
    );
    let token = "select concat_ws(' ', token, extract(epoch from token_expires_at), user_token_status, payload, extract(epoch from first_subscribed_at)) from subscriptions";
    assert_eq!(
        database.text(token).await,
        "863300000000000001 2145916800.000000 NOT_REFRESHED 描述-自测 1760000006.091000"
    );
    let upload = "select concat_ws(' ', track_id, attachment_id, status) from upload_status";
    assert_eq!(database.text(upload).await, "d0c0ffee00000000000000000000aa11 1234500000000001 unclaimed");
}

#[tokio::test]
async fn two_hundred_duplicates_at_once_are_one_event() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    for body in [message("2", "1", "m", AT, "once"), r#"{"track_id":"t","attachment_id":7}"#.to_owned()] {
        let posts = (0..200).map(|_| service.post(body.clone()));
        for (status, _) in futures::future::join_all(posts).await {
            assert_eq!(status, 200);
        }
    }
    assert_eq!(database.count("select count(*) from events").await, 2);
    assert_eq!(database.count("select count(*) from messages").await, 1);
    assert_eq!(database.text("select attachment_id from uploads").await, "7");
    assert_eq!(service.metric("sobot_hook_events_total").await, 400);
}

/// Every kind of event about a handful of users, all in each other's way.
fn mixed_load() -> Vec<String> {
    let mut bodies = Vec::new();
    for number in 0..400_i64 {
        let (user, mid) = (format!("u{}", number % 5), format!("m{}", number / 10));
        let at = AT + number * 7 % 1_000;
        bodies.push(match number % 6 {
            0 => message(&user, "p", &mid, at, "hello"),
            1 => echo(&user, "p", &mid, at, "hi"),
            2 => delivery(&user, "p", at, &[&mid, "m1", "m0"], at - 5),
            3 => read(&user, "p", at, at - 3),
            4 => envelope("p", &event(&user, "p", at, &json!({ "optin": { "type": "notification_messages", "title": "t", "notification_messages_token": mid } }))),
            _ => json!({ "track_id": format!("t{}", number % 9), "attachment_id": "1" }).to_string(),
        });
    }
    bodies
}

#[tokio::test]
async fn two_processes_on_one_database_agree_with_one() {
    let (alone, shared) = (Database::create().await, Database::create().await);
    let single = Service::start(&alone.url);
    let pair = [Service::start(&shared.url), Service::start(&shared.url)];
    let bodies = mixed_load();
    for body in &bodies {
        assert_eq!(single.post(body.clone()).await.0, 200);
    }
    // Both get all of it, at once, one of them backwards.
    let forward = bodies.iter().map(|body| pair[0].post(body.clone()));
    let backward = bodies.iter().rev().map(|body| pair[1].post(body.clone()));
    for (status, answer) in futures::future::join_all(forward.chain(backward)).await {
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(shared.text(STATE).await, alone.text(STATE).await);
    assert_eq!(shared.count("select count(*) from events").await, alone.count("select count(*) from events").await);
    for service in &pair {
        assert!(!service.log().contains("ERROR"), "{}", service.log());
    }
}

#[tokio::test]
async fn uploads_match_whichever_side_comes_first() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let ask = |track: &str| {
        format!(
            "with asked as (insert into uploads (track_id, page_id, type) values ('{track}', 'p', 'image') returning 1) select count(*) from asked"
        )
    };
    let callback = |track: &str| json!({ "track_id": track, "attachment_id": format!("of {track}") }).to_string();
    assert_eq!(database.count(&ask("asked-first")).await, 1);
    assert_eq!(database.text("select status from upload_status").await, "pending");
    for track in ["asked-first", "told-first", "unclaimed"] {
        assert_eq!(service.post(callback(track)).await.0, 200);
    }
    assert_eq!(database.count(&ask("told-first")).await, 1);
    let status =
        "select string_agg(concat_ws(' ', track_id, status, attachment_id), '; ' order by track_id) from upload_status";
    assert_eq!(
        database.text(status).await,
        "asked-first matched of asked-first; told-first matched of told-first; unclaimed unclaimed of unclaimed"
    );
    assert_eq!(database.count("select count(*) from uploads where page_id = 'p' and type = 'image'").await, 2);
}

#[tokio::test]
async fn ten_thousand_uploads_in_a_body_are_stored_while_their_askers_insert() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    let callbacks: Vec<Value> =
        (0..10_000).map(|track| json!({ "track_id": format!("t{track}"), "attachment_id": track })).collect();
    let ask = async {
        for track in 0..200 {
            let asked =
                sqlx::query("insert into uploads (track_id, page_id) values ($1, 'p')").bind(format!("t{track}"));
            assert_eq!(asked.execute(&database.pool).await.unwrap().rows_affected(), 1);
        }
    };
    let (answer, ()) = tokio::join!(service.post(Value::from(callbacks).to_string()), ask);
    assert_eq!(answer.0, 200, "{}", answer.1);
    until("all are stored", async || {
        database.count("select count(*) from uploads where completed_at is not null").await == 10_000
    })
    .await;
    assert_eq!(database.count("select count(*) from upload_status where status = 'matched'").await, 200);
    assert!(!service.log().contains("ERROR"), "{}", service.log());
}

#[tokio::test]
async fn a_row_that_postgresql_refuses_is_quarantined_and_its_neighbours_are_stored() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    assert_eq!(service.post(message("2", "1", "m0", AT, "first")).await.0, 200);
    sqlx::query("alter table messages add constraint no_such check (text <> 'poison')")
        .execute(&database.pool)
        .await
        .unwrap();
    let events: Vec<Value> = (1..20)
        .map(|number| event("2", "1", AT + number, &json!({ "message": { "mid": format!("m{number}"), "text": if number == 7 { "poison" } else { "good" } } })))
        .collect();
    let body = json!({ "object": "page", "entry": [{ "id": "1", "messaging": events }] }).to_string();
    assert_eq!(service.post(body.clone()).await.0, 200);
    assert_eq!(database.count("select count(*) from messages where text = 'good'").await, 18);
    assert_eq!(database.count("select count(*) from events").await, 19);
    assert_eq!(database.text("select convert_from(raw, 'UTF8') from quarantine").await, body);
    assert!(!service.log().contains("poison"), "{}", service.log());
    assert_eq!(service.metric("sobot_hook_events_total").await, 20);
}

#[tokio::test]
async fn months_are_made_when_needed_and_what_is_older_has_a_place() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    for at in [1_100_000_000_000, 1_459_468_800_000, 1_735_689_599_999, 1_735_689_600_000] {
        assert_eq!(service.post(message("2", "1", &format!("m{at}"), at, "x")).await.0, 200);
    }
    let places = "select string_agg(tableoid::regclass::text, ' ' order by occurred_at) from events";
    assert_eq!(database.text(places).await, "events_before_2016_04 events_2016_04 events_2024_12 events_2025_01");
}

#[tokio::test]
async fn the_doors_answer_as_the_table_says() {
    let database = Database::create().await;
    let service = Service::start_with(
        &database.url,
        &[
            ("SOBOT_HOOK__WEBHOOK__SECRETS", &format!("{SECRET},the-previous-secret-9876543210")),
            ("SOBOT_HOOK__WEBHOOK__VERIFY_TOKEN", "hand-shake"),
            ("SOBOT_HOOK__HTTP__BODY_LIMIT_BYTES", "2000"),
        ],
    );
    let post = async |path: &str, body: String| {
        let answer = service.client.post(format!("{}{path}", service.base)).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let body = || message("2", "1", "m", AT, "x");
    assert_eq!(post("/webhook/the-previous-secret-9876543210", body()).await, (200, "EVENT_RECEIVED".to_owned()));
    let nowhere = post("/nowhere", body()).await;
    assert_eq!(nowhere.0, 404);
    for path in
        ["/webhook", "/webhook/", "/webhook/wrong", &format!("/webhook/{SECRET}/x"), &format!("/webhook/{SECRET}x")]
    {
        assert_eq!(post(path, body()).await, nowhere, "{path}");
    }
    let (public, admin) = (&service.base, &service.admin);
    let webhook = format!("/webhook/{SECRET}");
    for (door, path) in [
        (public, webhook.as_str()),
        (public, "/healthz"),
        (public, "/readyz"),
        (admin, "/metrics"),
        (admin, "/nowhere"),
    ] {
        let answer = service.client.delete(format!("{door}{path}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), nowhere, "DELETE {path}");
    }
    let (status, answer) = post(&format!("/webhook/{SECRET}"), "x".repeat(2_001)).await;
    assert_eq!((status, answer.contains("\"body_too_large\"")), (413, true), "{answer}");
    let (status, answer) = post(&format!("/webhook/{SECRET}"), "{\"a\":".to_owned()).await;
    assert_eq!((status, answer.contains("\"not_json\"")), (400, true), "{answer}");

    let handshake = async |query: &str| service.get(&format!("/webhook/{SECRET}?{query}")).await;
    let right = "hub.mode=subscribe&hub.verify_token=hand-shake&hub.challenge=1158201444";
    assert_eq!(handshake(right).await, (200, "1158201444".to_owned()));
    assert_eq!(handshake(&right.replace("hand-shake", "wrong")).await.0, 403);
    assert_eq!(handshake(&right.replace("subscribe", "unsubscribe")).await.0, 403);
    assert_eq!(handshake("").await.0, 403);
    assert_eq!(service.get(&format!("/webhook/wrong?{right}")).await.0, 404);
    assert_eq!(service.get("/healthz").await, (200, "ok".to_owned()));
    let (status, answer) = service.get("/readyz").await;
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    let skew = answer.as_object_mut().unwrap().remove("clock_skew_seconds");
    assert!(skew.unwrap().as_f64().unwrap().abs() < 60.0, "both clocks are this machine's");
    assert_eq!(
        (status, answer),
        (
            200,
            json!({
                "database": "ok", "migrations": "ok",
                "spool": { "state": "ok", "entries": 0, "bytes": 0, "age_seconds": 0 },
            })
        )
    );
    assert_eq!(database.count("select count(*) from events").await, 1);
}

#[tokio::test]
async fn when_all_connections_are_taken_the_longest_idle_one_makes_room() {
    let database = Database::create().await;
    let service = Service::start_with(&database.url, &[("SOBOT_HOOK__HTTP__MAX_CONNECTIONS", "2")]);
    let ask = async |connection: &mut TcpStream| {
        connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 512];
        let length = connection.read(&mut answer).await.unwrap_or_default();
        answer[..length].starts_with(b"HTTP/1.1 200 OK")
    };
    let address = service.base.trim_start_matches("http://");
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut connection).await);
        connections.push(connection);
    }
    assert!(ask(&mut connections[1]).await);
    assert!(ask(&mut connections[2]).await);
    assert_eq!(connections[0].read(&mut [0]).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn meta_s_signature_is_asked_for_when_the_app_secret_is_known() {
    let database = Database::create().await;
    let service = Service::start_with(&database.url, &[("SOBOT_HOOK__WEBHOOK__APP_SECRET", "app-secret")]);
    let body = r#"{"object":"page","entry":[{"id":"1","time":1760000000000,"messaging":[{"sender":{"id":"2"},"message":{"mid":"m","text":"\u4f60"}}]}]}"#;
    // printf %s "$body" | openssl dgst -sha256 -hmac app-secret
    let right = "sha256=d6b26b95e7b59934e8e982c18353f397ba171803ca682660f2be1ab1ce96d07d";
    let post = async |signature: Option<&str>| {
        let request = service.client.post(&service.webhook).body(body);
        let request = match signature {
            Some(signature) => request.header("X-Hub-Signature-256", signature),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    for wrong in [
        None,
        Some("sha256=00"),
        Some("sha256="),
        Some("sha1=00"),
        Some(&right.replace('a', "b")),
        Some(&right[..right.len() - 2]),
    ] {
        assert_eq!(post(wrong).await, 401, "{wrong:?}");
    }
    assert_eq!(database.count("select count(*) from events").await, 0);
    assert_eq!(post(Some(right)).await, 200);
}

#[tokio::test]
async fn only_allowed_addresses_may_post_and_only_trusted_proxies_may_name_them() {
    let database = Database::create().await;
    let strict = Service::start_with(&database.url, &[("SOBOT_HOOK__WEBHOOK__ALLOW_FROM", "203.0.113.0/24")]);
    let behind_proxy = Service::start_with(
        &database.url,
        &[("SOBOT_HOOK__WEBHOOK__ALLOW_FROM", "203.0.113.0/24"), ("SOBOT_HOOK__WEBHOOK__TRUSTED_PROXIES", "127.0.0.1")],
    );
    let post = async |service: &Service, forwarded: &str| {
        let request = service.client.post(&service.webhook).header("X-Forwarded-For", forwarded);
        request.body(message("2", "1", "m", AT, "x")).send().await.unwrap().status().as_u16()
    };
    assert_eq!(post(&strict, "203.0.113.7").await, 403);
    assert_eq!(post(&behind_proxy, "203.0.113.7").await, 200);
    assert_eq!(post(&behind_proxy, "203.0.113.7, 198.51.100.1").await, 403);
}

#[tokio::test]
async fn no_secret_token_or_text_is_logged_at_any_level() {
    let database = Database::create().await;
    let service = Service::start_with(
        &database.url,
        &[("SOBOT_HOOK__LOG__LEVEL", "trace"), ("SOBOT_HOOK__WEBHOOK__VERIFY_TOKEN", "hidden-verify-token")],
    );
    service.post(message("2", "1", "m", AT, "hidden-text")).await;
    service.post(case("007-optin-sobot-subscribe.json")).await;
    service.post("hidden-garbage").await;
    service
        .get(&format!("/webhook/{SECRET}?hub.mode=subscribe&hub.verify_token=hidden-verify-token&hub.challenge=1"))
        .await;
    service.get("/webhook/hidden-guess").await;
    // The failing ways, too.
    sqlx::query("alter table messages add constraint no_text check (text not like 'hidden%') not valid")
        .execute(&database.pool)
        .await
        .unwrap();
    service.post(message("2", "1", "m2", AT, "hidden-text")).await;
    sqlx::query("alter table events rename to elsewhere").execute(&database.pool).await.unwrap();
    assert_eq!(service.post(message("2", "1", "m3", AT, "hidden-text")).await.0, 200);
    // What is logged before an answer may be read after it.
    until("the failing ways are in the log", async || {
        let log = service.log();
        log.contains("refused an event") && log.contains("they go to the spool")
    })
    .await;
    let log = service.log();
    for hidden in ["hidden-", SECRET, "863300000000000001", "订阅主题", "描述"] {
        assert!(!log.contains(hidden), "{hidden} in {log}");
    }
}

#[tokio::test]
async fn the_serving_line_names_version_database_and_directory_and_no_password() {
    let database = Database::create().await;
    // A password that nobody asks for, the server's socket being open to its user.
    let url = database.url.replacen('@', ":hidden-password@", 1);
    let service = Service::start(&url);
    // The log has the line a moment after the test has read its addresses.
    until("it is in the log", async || service.log().contains("\"serving\"")).await;
    let log = service.log();
    let line = log.lines().find(|line| line.contains("\"serving\"")).unwrap();
    let fields = &serde_json::from_str::<Value>(line).unwrap()["fields"];
    assert_eq!(fields["version"], env!("CARGO_PKG_VERSION"));
    let (name, place) = (database.url.split(['/', '?']).nth(3).unwrap(), fields["database"].as_str().unwrap());
    assert!(place.ends_with(&format!("/{name}")), "{place}");
    assert!(std::path::Path::new(fields["data_dir"].as_str().unwrap()).is_absolute(), "{line}");
    assert!(!log.contains("hidden-password"), "{log}");
}

#[tokio::test]
async fn strangers_are_counted_by_reason_and_told_once_without_their_guess() {
    let database = Database::create().await;
    let service = Service::start(&database.url);
    assert_eq!(service.metric("sobot_hook_turned_away_total").await, 0);
    let metrics = service.metrics().await;
    assert!(metrics.contains(r#"sobot_hook_turned_away_total{reason="wrong_secret"} 0"#), "{metrics}");
    let secret_guess = format!("/webhook/{}", "hidden-guess");
    for path in [&secret_guess, &secret_guess, "/webhook", "/webhook/"] {
        let body = message("2", "1", "m", AT, "x");
        let answer = service.client.post(format!("{}{path}", service.base)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    // What nobody would register is no sign of a failed rotation.
    assert_eq!(service.get("/favicon.ico").await.0, 404);
    assert_eq!(service.metric(r#"sobot_hook_turned_away_total{reason="wrong_secret"}"#).await, 4);
    until("it is told", async || service.log().contains("webhook.secrets")).await;
    let log = service.log();
    assert_eq!(log.matches("wrong_secret").count(), 1, "{log}");
    assert!(!log.contains("hidden-guess"), "{log}");
}

#[tokio::test]
async fn how_long_a_page_has_been_silent_is_known_after_a_restart() {
    let database = Database::create().await;
    let mut service = Service::start(&database.url);
    assert_eq!(service.post(message("2", "730", "m", clock::now().timestamp_millis(), "x")).await.0, 200);
    until("it is stored", async || database.count("select count(*) from events").await == 1).await;
    service.terminate().await;
    database.pool.execute("update events set received_at = received_at - interval '7 hours'").await.unwrap();

    let service = Service::start(&database.url);
    let age = async || {
        let metrics = service.metrics().await;
        let line =
            metrics.lines().find(|line| line.starts_with(r#"sobot_hook_page_last_event_age_seconds{page_id="730"}"#));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    until("the page is known", async || age().await.is_some()).await;
    assert!(age().await.unwrap() >= 7.0 * 3_600.0);
    // An event ends the silence.
    assert_eq!(service.post(message("2", "730", "m2", clock::now().timestamp_millis(), "x")).await.0, 200);
    until("the page is heard", async || age().await.is_some_and(|age| age < 3_600.0)).await;
}
