//! The commands that ask Sobot, through the real program: its token, uploads, topics, subscribers and opt-in messages.

mod support;

use std::process::Output;

use serde_json::{Value, json};
use sobot_hook::demo::simulator::Simulator;
use sobot_hook::demo::sobot::SobotApi;
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Scope, Store};
use support::database::Database;
use support::service::{Service, program};
use support::sobot::answering;
use support::wire::{envelope, event};
use wiremock::ResponseTemplate;

const PAGE: &str = "110";

/// 2025-10-09 08:53:20 UTC.
const BEGIN: i64 = 1_760_000_000_000;

/// Sobot, and a database for the commands.
struct House {
    sobot: Simulator<SobotApi>,
    database: Database,
    store: Store,
}

impl House {
    async fn new() -> Self {
        let sobot = Simulator::start(SobotApi::new("1", "2", &[PAGE, "111"])).await.unwrap();
        let (database, store) = Database::migrated().await;
        Self { sobot, database, store }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        run(&self.database.url, &self.sobot.url(), arguments).await
    }

    /// What a command prints that succeeds.
    async fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same with `--json`: an object a line.
    async fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let told = self.told(&[arguments, &["--json"]].concat()).await;
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Makes a topic and tells its `config_id`.
    async fn topic(&self, page: &str, title: &str) -> String {
        let put = ["topics", "put", "--page", page, "--title", title, "--describe", "What is new"];
        let told = self.told(&[&put[..], &["--image-ratio", "SQUARE", "--button-type", "ALLOW"]].concat()).await;
        told.trim().strip_prefix("created ").unwrap().to_owned()
    }

    /// Puts somebody into Sobot's list of a topic.
    fn list(&self, user: &str, topic: &str, sub_status: i64, update_time: i64) {
        let item = json!({
            "facebookid": user, "pageid": PAGE, "sub_title": topic, "sub_status": sub_status,
            "sub_token": format!("a-secret-of-{user}"), "timezone": "UTC", "title_describe": "What is new",
            "create_time": BEGIN, "update_time": BEGIN + update_time,
        });
        self.sobot.lock().api.subscribers.push(item);
    }

    async fn assert_rebuilt(&self) {
        let rebuilt = rebuild(&self.store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await;
        assert_eq!(rebuilt.unwrap().differences, 0);
    }
}

async fn run(database: &str, sobot: &str, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(arguments).env("DATABASE_URL", database).envs([
        ("SOBOT_HOOK__SOBOT__BASE_URL", sobot),
        ("SOBOT_HOOK__SOBOT__APPID", "1"),
        ("SOBOT_HOOK__SOBOT__APP_KEY", "2"),
    ]);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A customer's subscription, or its end, as the webhook tells it.
fn optin(user: &str, topic: &str, at: i64, is_subscribed: bool) -> String {
    let status = if is_subscribed { "RESUME_NOTIFICATIONS" } else { "STOP_NOTIFICATIONS" };
    let optin = json!({
        "type": "notification_messages", "title": topic, "notification_messages_status": status,
        "notification_messages_token": format!("a-secret-of-{user}"),
    });
    envelope(PAGE, &event(user, PAGE, BEGIN + at, &json!({ "optin": optin })))
}

#[tokio::test]
async fn the_token_is_fetched_once_and_shown_only_when_asked_for() {
    let house = House::new().await;
    let told = house.told(&["token"]).await;
    let token = house.sobot.lock().api.token().unwrap();
    assert!(told.contains("valid until 20") && !told.contains(&token), "{told}");
    assert_eq!(house.told(&["token", "--show"]).await, format!("{token}\n"));
    assert_eq!(house.sobot.lock().api.fetches, 1);

    house.sobot.lock().api.app_key = "another".to_owned();
    house.database.run("delete from sobot_tokens").await;
    let refused = house.run(&["token"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("Sobot refused: 999999"), "{}", said(&refused));
    let mut bare = program();
    bare.arg("token").env("DATABASE_URL", &house.database.url);
    let bare = tokio::task::spawn_blocking(move || bare.output().unwrap()).await.unwrap();
    assert_eq!(bare.status.code(), Some(64));
    assert!(said(&bare).contains("set sobot.appid and sobot.app_key"), "{}", said(&bare));
}

#[tokio::test]
async fn an_upload_is_asked_for_once_and_waited_for() {
    let house = House::new().await;
    let service = Service::start(&house.database.url);
    let url = "https://example.com/sale.png";
    let upload = ["upload", url, "--page", PAGE, "--type", "image"];

    let over = house.run(&[&upload[..], &["--wait", "0s"]].concat()).await;
    let track_id = house.database.text("select track_id from uploads").await;
    assert_eq!(over.status.code(), Some(1));
    assert!(said(&over).contains(&track_id) && said(&over).contains("still be matched"), "{}", said(&over));
    let callback = json!({ "track_id": track_id, "attachment_id": "77" }).to_string();
    assert_eq!(service.post(callback).await.0, 200);
    let status = format!("select status || ' ' || attachment_id from upload_status where track_id = '{track_id}'");
    assert_eq!(house.database.text(&status).await, "matched 77");

    house.sobot.lock().api.webhook = Some(service.webhook.clone());
    let told = house.told(&upload).await;
    let ids = "select 'track_id ' || track_id || e'\\nattachment_id ' || attachment_id || e'\\n'
        from uploads where attachment_id <> '77' and page_id = '110' and type = 'image'";
    assert_eq!(told, house.database.text(ids).await);
    let rows = house.rows(&["upload", url, "--page", PAGE, "--type", "video", "--wait", "1m"]).await;
    assert!(rows[0]["attachment_id"].is_string() && rows[0]["track_id"].is_string(), "{rows:?}");
    assert_eq!(house.sobot.lock().api.uploads.len(), 3);
    assert_eq!(house.database.count("select count(*) from upload_status where status = 'matched'").await, 3);

    for (arguments, wanted) in [
        (["upload", "ftp://example.com/x", "--page", PAGE, "--type", "image"], "http"),
        (["upload", url, "--page", PAGE, "--type", "picture"], "picture"),
        (["upload", url, "--page", "", "--type", "image"], "--page"),
    ] {
        let refused = house.run(&arguments).await;
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}: {}", said(&refused));
        assert!(said(&refused).contains(wanted), "{arguments:?}: {}", said(&refused));
    }
    assert_eq!(house.sobot.lock().api.uploads.len(), 3);
}

#[tokio::test]
async fn topics_are_put_listed_and_deleted() {
    let house = House::new().await;
    let news = house.topic(PAGE, "news").await;
    house.topic("111", "sale").await;
    for number in 0..20 {
        house.sobot.lock().api.topics.push(json!({ "configid": format!("x{number}"), "appid": PAGE, "title": "more" }));
    }
    let put = ["topics", "put", "--page", PAGE, "--title", "news", "--describe", "Anew", "--image-ratio", "HORIZONTAL"];
    let more = ["--button-type", "GET", "--image-url", "https://example.com/a.png", "--timezone", "UTC"];
    let changed = house.told(&[&put[..], &more, &["--config-id", &news]].concat()).await;
    assert_eq!(changed, format!("changed {news}\n"));

    let rows = house.rows(&["topics", "list", "--page", PAGE]).await;
    assert_eq!(rows.len(), 21, "all pages of the list");
    assert_eq!(
        ["config_id", "page_id", "title", "describe", "image_ratio", "button_type", "image_url", "timezone"]
            .map(|name| rows[0][name].as_str().unwrap()),
        [&news, PAGE, "news", "Anew", "HORIZONTAL", "GET", "https://example.com/a.png", "UTC"]
    );
    let table = house.told(&["topics", "list"]).await;
    assert_eq!(table.lines().count(), 23, "{table}");
    assert!(table.lines().any(|line| line.contains("111") && line.contains("sale")), "{table}");

    assert_eq!(house.told(&["topics", "delete", &news]).await, "deleted\n");
    assert_eq!(house.rows(&["topics", "list", "--page", PAGE]).await.len(), 20);
    let again = house.run(&["topics", "delete", &news]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("210013") && !said(&again).contains("may have been done"), "{}", said(&again));
}

#[tokio::test]
async fn what_was_asked_once_without_a_certain_answer_is_told_so() {
    let (database, _) = Database::migrated().await;
    let (server, _) = answering(ResponseTemplate::new(502)).await;
    for arguments in [
        &["topics", "delete", "1"][..],
        &["upload", "https://example.com/a.png", "--page", PAGE, "--type", "file"],
        &["optin", "send", "--page", PAGE, "--topic", "news", "--to", "2"],
    ] {
        let told = run(&database.url, &server.uri(), arguments).await;
        assert_eq!(told.status.code(), Some(1));
        let is_open = ["may have been done all the same", "perhaps sent"].iter().any(|open| said(&told).contains(open));
        assert!(is_open && said(&told).contains("502"), "{arguments:?}: {}", said(&told));
    }
    assert_eq!(support::sobot::asked(&server).await, 3, "each was asked once");
}

#[tokio::test]
async fn sobots_lists_are_taken_over_and_every_difference_is_told() {
    let house = House::new().await;
    let service = Service::start(&house.database.url);
    for body in [
        optin("1001", "news", 0, true),
        optin("1002", "news", 0, true),
        optin("1003", "news", 0, false),
        optin("1004", "news", 0, true),
        optin("1005", "gone", 0, true),
    ] {
        assert_eq!(service.post(body).await.0, 200);
    }
    house.topic(PAGE, "news").await;
    house.topic("111", "sale").await;
    // Both agree on the first. The second has stopped since, the third subscribed; of the fourth Sobot knows nothing.
    house.list("1001", "news", 1, 0);
    house.list("1002", "news", 0, 5_000);
    house.list("1003", "news", 1, 5_000);
    // Many that are new here, so that the list has several pages.
    for user in 2_000..2_150 {
        house.list(&user.to_string(), "news", 1, 0);
    }

    let rows = house.rows(&["subscribers", "sync"]).await;
    let of = |user: &str| rows.iter().find(|row| row["user_id"] == user).unwrap_or(&Value::Null);
    let status = |word: &Value| word["sub_status"].as_i64();
    let words = |user| (status(&of(user)["here"]), status(&of(user)["at_sobot"]));
    assert_eq!((of("1001"), words("1002"), words("1003")), (&Value::Null, (Some(1), Some(0)), (Some(0), Some(1))));
    assert_eq!((words("1004"), words("2149")), ((Some(1), None), (None, Some(1))));
    let gone = json!({ "page_id": PAGE, "topic": "gone", "subscribed_here": 1 });
    assert_eq!((rows.len(), rows.last()), (154, Some(&gone)));
    assert!(!format!("{rows:?}").contains("a-secret-of"), "{rows:?}");

    let state = |user: &str| format!("select sub_status::int8 from subscribers where user_id = '{user}'");
    for (user, wanted) in [("1001", 1), ("1002", 0), ("1003", 1), ("1004", 1), ("1005", 1), ("2149", 1)] {
        assert_eq!(house.database.count(&state(user)).await, wanted, "{user}");
    }
    assert_eq!(house.database.count("select count(*) from events where container = 'sync'").await, 153);
    house.assert_rebuilt().await;

    // Once more: only what cannot be taken over is left, and nothing new is journaled.
    let again = house.told(&["subscribers", "sync", "--page", PAGE, "--topic", "news"]).await;
    let lines: Vec<_> = again.lines().collect();
    assert_eq!(lines[1..], ["1 topics, 153 listed by Sobot, 1 differences"], "{again}");
    assert!(
        lines[0].contains("user 1004: here subscribed since 2025") && lines[0].contains("not in the list"),
        "{again}"
    );
    assert_eq!(house.database.count("select count(*) from events where container = 'sync'").await, 153);

    let unknown = house.run(&["subscribers", "sync", "--topic", "nothing"]).await;
    assert!(unknown.status.code() == Some(1) && said(&unknown).contains("topics list"), "{}", said(&unknown));
    let refused = house.run(&["subscribers", "sync", "--page", PAGE, "--topic", "nothing"]).await;
    assert!(refused.status.code() == Some(1) && said(&refused).contains("210010"), "{}", said(&refused));
}

#[tokio::test]
async fn subscribers_are_listed_without_their_tokens() {
    let house = House::new().await;
    let service = Service::start(&house.database.url);
    for body in [optin("1001", "news", 0, true), optin("1002", "sale", 0, true), optin("1001", "sale", 0, false)] {
        assert_eq!(service.post(body).await.0, 200);
    }
    let rows = house.rows(&["subscribers", "list", "--page", PAGE, "--topic", "sale"]).await;
    let shown: Vec<_> = rows.iter().map(|row| (row["user_id"].as_str().unwrap(), &row["sub_status"])).collect();
    assert_eq!(shown, [("1001", &json!(0)), ("1002", &json!(1))]);
    assert_eq!(rows[1]["can_receive_marketing"], true);
    let table = house.told(&["subscribers", "list"]).await;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(!table.contains("a-secret-of") && !format!("{rows:?}").contains("a-secret-of"), "{table}");
    assert!(house.rows(&["subscribers", "list", "--page", "111"]).await.is_empty());
}

#[tokio::test]
async fn an_opt_in_message_is_sent_once_and_journaled() {
    let house = House::new().await;
    house.topic(PAGE, "news").await;
    let to = ["optin", "send", "--page", PAGE, "--topic", "news", "--to", "1001"];
    let told = house.told(&to).await;
    let mid = house.database.text("select mid from messages").await;
    assert_eq!(told, format!("sent as {mid}\n"));
    assert_eq!(house.sobot.lock().api.optins, [json!({ "appid": PAGE, "title": "news", "recipient_id": "1001" })]);
    let journaled = "select concat_ws(' ', container, kind, user_id) from events";
    assert_eq!(house.database.text(journaled).await, "api message 1001");
    assert_eq!(house.database.text("select status from message_status").await, "sent");
    house.assert_rebuilt().await;

    let refused = house.run(&["optin", "send", "--page", PAGE, "--topic", "nothing", "--to", "1001"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("not sent: Sobot refused: 210010"), "{}", said(&refused));
    assert_eq!(house.database.count("select count(*) from events").await, 1);
    house.store.close().await;
}
