//! Sending: each message at most once, whatever is killed and whichever answer is lost.

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use sobot_hook::demo::simulator::Simulator;
use sobot_hook::demo::sobot::SobotApi;
use sobot_hook::ids::{PageId, UserId};
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{NewEntry, Queued, Scope, Store};
use sqlx::Executor;
use support::database::Database;
use support::peer::id;
use support::service::{Service, program};
use support::until;
use support::wire::{delivery, echo, message};

const PAGE: &str = "110";

/// Sobot, and a database to send from.
struct House {
    sobot: Simulator<SobotApi>,
    database: Database,
    store: Store,
}

impl House {
    async fn new() -> Self {
        let sobot = Simulator::start(SobotApi::new("1", "2", &[PAGE])).await.unwrap();
        let (database, store) = Database::migrated().await;
        Self { sobot, database, store }
    }

    fn environment<'a>(base: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("SOBOT_HOOK__SOBOT__BASE_URL", base),
            ("SOBOT_HOOK__SOBOT__APPID", "1"),
            ("SOBOT_HOOK__SOBOT__APP_KEY", "2"),
            ("SOBOT_HOOK__SOBOT__SENDS_PER_SECOND", "1000"),
        ];
        own.into_iter().chain(more.iter().copied()).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["send", "--page", PAGE]).args(arguments).env("DATABASE_URL", &self.database.url);
        command.envs(Self::environment(&self.sobot.url(), &[]));
        command
    }

    async fn send(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn enqueue(&self, user: &str, text: &str) {
        let (page_id, user_id): (PageId, UserId) = (id(PAGE), UserId::try_from(Cow::from(user)).unwrap());
        let request = json!({ "pageid": PAGE, "recipientid": user, "type": "text", "payload": text });
        let entry = NewEntry {
            idempotency_key: Some(text),
            page_id: &page_id,
            user_id: &user_id,
            topic: None,
            request: &request,
        };
        assert!(matches!(self.store.enqueue(&entry).await.unwrap(), Queued::As(_)));
    }

    /// The texts that Sobot was given, each with how many times.
    fn given(&self) -> BTreeMap<String, usize> {
        let mut given = BTreeMap::new();
        for body in &self.sobot.lock().api.sent {
            *given.entry(body["payload"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        given
    }

    async fn assert_rebuilt(&self) {
        let rebuilt = rebuild(&self.store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await;
        assert_eq!(rebuilt.unwrap().differences, 0);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn a_message_is_checked_sent_once_and_meets_its_echo_and_delivery() {
    let house = House::new().await;
    let service = Service::start(&house.database.url);
    let to = ["--to", "2", "--text", "hello", "--key", "k"];
    let refused = house.send(&to).await;
    assert!(!refused.status.success() && said(&refused).contains("--force"), "{}", said(&refused));
    let now = house.database.count("select (extract(epoch from now()) * 1000)::int8").await;
    assert_eq!(service.post(message("2", PAGE, "in", now, "hi")).await.0, 200);

    let checked = house.send(&[&to[..], &["--dry-run"]].concat()).await;
    assert!(checked.status.success() && house.given().is_empty(), "{}", said(&checked));
    for _ in 0..2 {
        let sent = house.send(&to).await;
        assert!(sent.status.success() && said(&sent).contains("sent as m_"), "{}", said(&sent));
    }
    assert_eq!(house.given(), BTreeMap::from([("hello".to_owned(), 1)]));
    assert_eq!(house.sobot.lock().api.fetches, 1, "the token is shared");
    let other = house.send(&["--to", "2", "--text", "other", "--key", "k"]).await;
    assert!(said(&other).contains("take another key"), "{}", said(&other));

    let mid = house.database.text("select mid from outbox").await;
    let status = format!("select status || ' ' || coalesce(text, '') from message_status where mid = '{mid}'");
    assert_eq!(house.database.text(&status).await, "sent hello");
    assert_eq!(house.database.count("select count(*) from events where container = 'api'").await, 1);
    let source = format!("select source::int8 from messages where mid = '{mid}'");
    assert!(house.database.count(&source).await > 0);
    assert_eq!(service.post(echo("2", PAGE, &mid, now + 1, "hello")).await.0, 200);
    assert_eq!(service.post(delivery("2", PAGE, now + 2, &[&mid], now + 1)).await.0, 200);
    assert_eq!(house.database.count(&source).await, 0, "the webhook is the better source");
    assert_eq!(house.database.text(&status).await, "delivered hello");
    house.assert_rebuilt().await;
}

#[tokio::test]
async fn what_the_document_forbids_is_told_by_its_field_and_nothing_leaves() {
    let house = House::new().await;
    let long = "x".repeat(700);
    let template = json!({ "type": "template", "payload": { "template_type": "button", "text": long, "buttons": [
        { "type": "postback", "title": "a", "payload": "b" },
    ] } });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), template.to_string()).unwrap();
    let path = file.path().to_str().unwrap();
    for (arguments, wanted) in [
        (vec!["--json", path], "payload.text"),
        (vec!["--text", "x", "--messaging-type", "MESSAGE_TAG"], "tag"),
        (vec!["--text", "x", "--tag", "NONE"], "tag"),
        (vec!["--type", "picture", "--url", "https://example.com"], "type"),
        (vec![], "--text"),
    ] {
        let refused = house.send(&[&["--to", "2"], &arguments[..]].concat()).await;
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {}", said(&refused));
        assert!(said(&refused).contains(wanted), "{arguments:?}: {}", said(&refused));
    }
    let topic = house.send(&["--to", "2", "--text", "x", "--topic", "news"]).await;
    assert!(said(&topic).contains("no valid subscription"), "{}", said(&topic));
    assert_eq!(house.given().len(), 0);
    assert_eq!(house.database.count("select count(*) from outbox").await, 0);
}

/// Hands requests on, and loses half of every tenth answer to a send.
async fn lossy(sobot: String) -> String {
    async fn hand_on(State((sobot, sends)): State<(String, Arc<AtomicUsize>)>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let url = format!("{sobot}{}", parts.uri);
        let mut headers = parts.headers.clone();
        headers.remove("host");
        let client = sobot_hook::outbound::client::builder().no_proxy().build().unwrap();
        let answer = client.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
        let answer = answer.bytes().await.unwrap();
        let is_send = parts.uri.path().ends_with("/send");
        if is_send && sends.fetch_add(1, Ordering::SeqCst) % 10 == 9 {
            let half: [Result<Bytes, std::io::Error>; 2] =
                [Ok(answer.slice(..answer.len() / 2)), Err(std::io::Error::other("lost"))];
            return Response::new(Body::from_stream(futures::stream::iter(half)));
        }
        Response::new(Body::from(answer))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(hand_on).with_state((sobot, Arc::default()));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A thousand messages, the service killed again and again, one answer in ten lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_arrive_at_most_once_and_the_unknown_ones_settle_by_their_echoes() {
    const MESSAGES: usize = 1_000;
    let house = House::new().await;
    for number in 0..MESSAGES {
        house.enqueue(&format!("{}", number % 250 + 1_000), &format!("text-{number}")).await;
    }
    let base = lossy(house.sobot.url()).await;
    let environment = House::environment(&base, &[]);
    let is_open = "select count(*) from outbox where status = 'waiting' or claimed_until > now()";
    let mut service = Service::start_with(&house.database.url, &environment);
    let mut kills = 0;
    for share in 1..=5 {
        let wanted = MESSAGES * share / 6;
        until("more messages have left", async || house.given().len() >= wanted).await;
        service.kill();
        kills += 1;
        service = Service::start_with(&house.database.url, &environment);
    }
    until("nothing waits", async || house.database.count(is_open).await == 0).await;
    let given = house.given();
    assert!(given.values().all(|times| *times == 1), "some arrived twice");
    let unknown = "select count(*) from outbox where status = 'unknown'";
    let unknown = house.database.count(unknown).await;
    eprintln!("{kills} kills, {} arrived, {unknown} unknown", given.len());
    assert!(unknown > 50, "an answer in ten was lost");
    // In the order in which each user was written to.
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for body in &house.sobot.lock().api.sent {
        let (user, text) = (body["recipientid"].as_str().unwrap(), body["payload"].as_str().unwrap());
        let number: usize = text.trim_start_matches("text-").parse().unwrap();
        assert!(last.insert(user.to_owned(), number).is_none_or(|last| last < number));
    }

    // What has arrived is told by its echo.
    let now = house.database.count("select (extract(epoch from now()) * 1000)::int8").await;
    let sent: Vec<Value> = house.sobot.lock().api.sent.clone();
    for (number, body) in sent.iter().enumerate() {
        let (user, text) = (body["recipientid"].as_str().unwrap(), body["payload"].as_str().unwrap());
        let mid = house.database.text(&format!("select mid from outbox where idempotency_key = '{text}'")).await;
        let mid = if mid.is_empty() { format!("echoed-{number}") } else { mid };
        assert_eq!(service.post(echo(user, PAGE, &mid, now, text)).await.0, 200);
    }
    let left = i64::try_from(MESSAGES - given.len()).unwrap();
    until("the unknown ones are settled", async || {
        house.database.count("select count(*) from outbox where status = 'unknown'").await == left
    })
    .await;
    assert_eq!(
        house.database.count("select count(*) from outbox where status = 'sent'").await,
        i64::try_from(given.len()).unwrap()
    );
    assert_eq!(
        house.database.count("select count(*) - count(distinct mid) from outbox where status = 'sent'").await,
        0
    );
    house.assert_rebuilt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_alone_settles_an_unknown_message_and_processes_share_a_token() {
    let house = House::new().await;
    house.enqueue("2", "hello").await;
    let base = house.sobot.url();
    let environment = House::environment(&base, &[]);
    let services = [0, 1].map(|_| Service::start_with(&house.database.url, &environment));
    let is_sent = "select count(*) from outbox where status = 'sent'";
    until("it is sent", async || house.database.count(is_sent).await == 1).await;
    assert_eq!(house.sobot.lock().api.fetches, 1);

    // As if the answer had been lost, and with it the message's id.
    let forget = "update outbox set status = 'unknown', mid = null; delete from messages; delete from events";
    house.database.pool.execute(forget).await.unwrap();
    let now = house.database.count("select (extract(epoch from now()) * 1000)::int8").await;
    assert_eq!(services[0].post(delivery("2", PAGE, now + 1_000, &["m_told"], now)).await.0, 200);
    until("it is settled", async || house.database.text("select mid from outbox").await == "m_told").await;
    assert_eq!((house.given().len(), house.sobot.lock().api.sent.len()), (1, 1), "it was not sent again");
}
