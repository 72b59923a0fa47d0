//! A person is erased: nothing of them is left or comes back, and everybody else is whole.

mod support;

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Scope, Store};
use sqlx::{Executor, PgPool};
use support::database::{Database, STATE, Server, connect, create, text};
use support::service::{SECRET, Service, program};
use support::wire::{delivery, echo, envelope, event, message, read};
use support::{PATIENCE, until};

const AT: i64 = 1_760_000_000_000;
const DAY: i64 = 86_400_000;

/// The person, another customer, and a page of theirs.
const WHO: &str = "5248075060000001";
const OTHER: &str = "5248075060000002";
const PAGE: &str = "1106619880000000";

/// What of the person must be found nowhere afterwards.
const TRACES: [&str; 4] = [WHO, "their secret", "token-of-theirs", "their-mid"];

fn optin(user: &str, token: &str) -> String {
    let optin = json!({ "optin": {
        "type": "notification_messages", "title": "news", "notification_messages_token": token,
    } });
    envelope(PAGE, &event(user, PAGE, AT + 4, &optin))
}

/// What both are told to have done.
fn life(user: &str, mid: &str, text: &str, token: &str) -> Vec<String> {
    let mid = |number: u32| format!("{mid}-{number}");
    let postback = json!({ "sender": { "id": user }, "recipient": { "id": PAGE }, "postback": { "payload": text } });
    vec![
        message(user, PAGE, &mid(1), AT, text),
        message(user, PAGE, &mid(2), AT - 70 * DAY, text),
        echo(user, PAGE, &mid(3), AT + 1, text),
        delivery(user, PAGE, AT + 2, &[&mid(3)], AT + 1),
        read(user, PAGE, AT + 3, AT + 1),
        optin(user, token),
        // It tells no time.
        json!({ "object": "page", "entry": [{ "id": PAGE, "messaging": [postback] }] }).to_string(),
    ]
}

fn theirs() -> Vec<String> {
    life(WHO, "their-mid", "their secret", "token-of-theirs")
}

/// Without what takes its time from its receipt, so that two databases can be compared.
fn others() -> Vec<String> {
    let mut others = life(OTHER, "mid", "hello", "token");
    others.pop();
    others.push(message(OTHER, PAGE, "mid-4", AT + 9, "hello"));
    others
}

/// A body of both, of which only one part is theirs.
fn of_both() -> String {
    let event = |user: &str, mid: &str, text: &str| {
        event(user, PAGE, AT + 5, &json!({ "message": { "mid": mid, "text": text } }))
    };
    let events = [event(WHO, "their-mid-5", "their secret"), event(OTHER, "mid-5", "hello")];
    json!({ "object": "page", "entry": [{ "id": PAGE, "messaging": events }] }).to_string()
}

fn erase(url: &str, directory: &Path, more: &[&str]) -> Output {
    let mut erase = program();
    erase.args(["erase", "--user", WHO]).args(more).env("DATABASE_URL", url);
    erase.env("SOBOT_HOOK__STORAGE__DATA_DIR", directory).output().unwrap()
}

fn erased(url: &str, directory: &Path, more: &[&str]) -> String {
    let output = erase(url, directory, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every row of every table, as text.
async fn dump(database: &Database) -> String {
    dump_of(&database.pool).await
}

async fn dump_of(pool: &PgPool) -> String {
    let tables = "
        select string_agg(format('select %L || t::text from %I as t', relname || ' ', relname), ' union all ')
        from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r'";
    let rows = text(pool, tables).await;
    text(pool, &format!("select string_agg(row, E'\\n' order by row) from ({rows}) as rows (row)")).await
}

fn assert_no_trace(what: &str, text: &str) {
    for trace in TRACES {
        assert!(!text.contains(trace), "{trace} is left in {what}");
        assert!(!text.contains(&hex::encode(trace)), "{trace} is left in {what}, in hexadecimal digits");
    }
}

/// Every file below a directory, as one text.
fn files(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &files(&path);
        } else {
            text += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
        }
    }
    text
}

async fn assert_rebuilt(url: &str) {
    let store = Store::connect_lazily(url, 4, PATIENCE).unwrap();
    let rebuilt = rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await.unwrap();
    assert_eq!(rebuilt.differences, 0);
    store.close().await;
}

async fn post_all(service: &Service, bodies: &[String]) {
    for body in bodies {
        assert_eq!(service.post(body.clone()).await.0, 200);
    }
}

#[tokio::test]
async fn nothing_of_a_person_is_left_or_comes_back_and_everybody_else_is_whole() {
    // What there would be if they had never been.
    let (without, directory) = (Database::create().await, tempfile::tempdir().unwrap());
    let service = Service::start(&without.url);
    post_all(&service, &others()).await;
    assert_eq!(service.post("no JSON of anybody").await.0, 400);
    drop(service);

    let database = Database::create().await;
    let place = [("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path().to_str().unwrap())];
    let service = Service::start_with(&database.url, &place);
    // The last one with the id around it.
    let mut others = others();
    let last = others.pop().unwrap().replacen('{', &format!(r#"{{"hop":["{WHO}"],"#), 1);
    post_all(&service, &others).await;
    post_all(&service, &[last]).await;
    post_all(&service, &theirs()).await;
    for quarantined in ["no JSON of anybody", "no JSON", &format!("[\"{WHO}\", their secret")] {
        assert_eq!(service.post(quarantined.to_owned()).await.0, 400);
    }
    database.pool.execute("delete from quarantine where raw = 'no JSON'").await.unwrap();
    // Rows that name no user, in which the id stands, however it is spelled.
    let escaped = WHO.replace('5', "\\u0035");
    for document in [format!(r#"{{"whatever":{{"id":{WHO}}}}}"#), format!(r#"{{"nul":"\u0000","id":"{escaped}"}}"#)] {
        assert_eq!(service.post(document).await.0, 200);
    }
    let before = dump(&database).await;
    for trace in TRACES {
        assert!(before.contains(trace), "{trace} should be there at first");
    }

    let counted = erased(&database.url, directory.path(), &["--dry-run"]);
    assert!(counted.contains("dry run") && dump(&database).await == before, "{counted}");
    let told: Value = serde_json::from_str(&erased(&database.url, directory.path(), &["--json"])).unwrap();
    assert_eq!(told["erased"][0], json!({ "place": "events", "deleted": 9, "changed": 1 }));
    assert_no_trace("the database", &dump(&database).await);
    assert_no_trace("the files", &files(directory.path()));
    assert_eq!(database.text(STATE).await, without.text(STATE).await);
    assert_rebuilt(&database.url).await;

    // Repeated, from whatever source, they stay away; and both of a body are judged by themselves.
    post_all(&service, &theirs()).await;
    assert_eq!(service.post(of_both()).await.0, 200);
    assert_no_trace("the database", &dump(&database).await);
    assert_eq!(database.count("select count(*) from messages where mid = 'mid-5'").await, 1);
    let outcomes = service.metrics().await;
    let erased = outcomes.lines().filter(|line| line.contains(r#"outcome="erased""#));
    assert_eq!(
        erased.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>(),
        8,
        "{outcomes}"
    );

    // What they do from now on is new.
    let now = database.count("select (extract(epoch from now()) * 1000)::int8").await;
    assert_eq!(service.post(message(WHO, PAGE, "new", now + 1, "I am back")).await.0, 200);
    assert_eq!(database.count("select count(*) from messages where text = 'I am back'").await, 1);
    assert_rebuilt(&database.url).await;
}

#[tokio::test]
async fn what_waits_or_lies_damaged_in_the_spool_goes_too() {
    let (database, directory) = (Database::create().await, tempfile::tempdir().unwrap());
    let place = [("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path().to_str().unwrap())];
    let nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
    let mut service = {
        let mut serve = program();
        serve.arg("serve").env("DATABASE_URL", nowhere).envs(place);
        serve.env("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0").env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0");
        serve.env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET).env("SOBOT_HOOK__LOG__FORMAT", "json");
        Service::launch(serve)
    };
    post_all(&service, &theirs()).await;
    post_all(&service, &[of_both()]).await;
    post_all(&service, &others()).await;
    service.kill();
    let spool = directory.path().join("spool");
    let aside = spool.join("damaged-20260101T000000000000");
    std::fs::create_dir(&aside).unwrap();
    for name in ["spool.sqlite", "spool.sqlite-wal"] {
        std::fs::copy(spool.join(name), aside.join(name)).unwrap();
    }
    assert!(files(directory.path()).contains("their secret"));

    let store = Store::connect_lazily(&database.url, 4, PATIENCE).unwrap();
    store.migrate(PATIENCE).await.unwrap();
    let counted: Value =
        serde_json::from_str(&erased(&database.url, directory.path(), &["--dry-run", "--json"])).unwrap();
    let told: Value = serde_json::from_str(&erased(&database.url, directory.path(), &["--json"])).unwrap();
    assert_eq!(counted["erased"], told["erased"]);
    let place_of = |name: &str| {
        told["erased"].as_array().unwrap().iter().find(|line| line["place"] == name).unwrap()["changed"].clone()
    };
    assert_eq!((place_of("spool"), place_of("damaged spool files")), (json!(8), json!(1)));
    assert_no_trace("the spool", &files(directory.path()));

    let service = Service::start_with(&database.url, &place);
    until("all is drained", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    assert_no_trace("the database", &dump(&database).await);
    assert_eq!(database.count("select count(*) from messages").await, 5);
    assert_eq!(database.count("select count(*) from events where user_id = ''").await, 0);
    assert_rebuilt(&database.url).await;
    store.close().await;
}

#[tokio::test]
async fn of_one_page_alone_and_with_a_service_that_writes_meanwhile() {
    let (database, directory) = (Database::create().await, tempfile::tempdir().unwrap());
    let service = Service::start(&database.url);
    post_all(&service, &theirs()).await;
    assert_eq!(service.post(message(WHO, "2", "elsewhere", AT, "kept")).await.0, 200);
    let output = async {
        let (url, directory) = (database.url.clone(), directory.path().to_owned());
        tokio::task::spawn_blocking(move || erase(&url, &directory, &["--page", PAGE])).await.unwrap()
    };
    let posting = async {
        for number in 0..200 {
            let body = message(WHO, PAGE, &format!("their-mid-{number}"), AT + number, "their secret");
            assert_eq!(service.post(body).await.0, 200);
        }
    };
    let (output, ()) = tokio::join!(output, posting);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = format!("select count(*) from messages where user_id = '{WHO}' and page_id = '{PAGE}'");
    assert_eq!(database.count(&left).await, 0);
    assert_eq!(database.count("select count(*) from messages where text = 'kept'").await, 1);
    assert_rebuilt(&database.url).await;
}

#[tokio::test]
async fn what_was_taken_back_is_said_no_more_and_its_repetition_neither() {
    let (database, directory) = (Database::create().await, tempfile::tempdir().unwrap());
    let service = Service::start(&database.url);
    let edit = json!({ "message_edit": { "mid": "back", "text": "their secret, too", "num_edit": 1 } });
    let taken_back = json!({ "message": { "mid": "back", "is_deleted": true } });
    let bodies = [
        message(WHO, PAGE, "back", AT, "their secret"),
        envelope(PAGE, &event(WHO, PAGE, AT + 1, &edit)),
        envelope(PAGE, &event(WHO, PAGE, AT + 2, &taken_back)),
        message(WHO, PAGE, "kept", AT + 3, "said and kept"),
    ];
    post_all(&service, &bodies).await;
    let unsent = |more: &[&str]| {
        let mut erase = program();
        erase.args(["erase", "--unsent"]).args(more).env("DATABASE_URL", &database.url);
        let output = erase.env("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["erased"].clone()
    };
    let line = |place: &str, changed: u64| json!({ "place": place, "deleted": 0, "changed": changed });
    for more in [&["--json", "--dry-run"][..], &["--json"]] {
        assert_eq!(unsent(more), json!([line("events", 2), line("messages", 1)]));
    }
    assert_eq!(unsent(&["--json"]), json!([line("events", 0), line("messages", 0)]));
    // Beside something new, so that what is known would be merged again.
    let again = bodies.iter().chain([&message(WHO, PAGE, "new", AT + 4, "new")]).cloned().collect::<Vec<_>>();
    post_all(&service, &again).await;
    let rows = dump(&database).await;
    assert!(!rows.contains("their secret") && rows.contains("said and kept"));
    let statuses = "select string_agg(mid || ' ' || status, ', ' order by mid) from message_status";
    assert_eq!(database.text(statuses).await, "back deleted, kept received, new received");
    assert_rebuilt(&database.url).await;
}

#[tokio::test]
async fn bad_arguments_and_a_missing_schema_are_told() {
    let (database, directory) = (Database::create().await, tempfile::tempdir().unwrap());
    let output = erase(&database.url, directory.path(), &["--page", ""]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--page is empty"));
    let output = erase(&database.url, directory.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("run sobot-hook migrate"));
}

/// What everything is killed under: the person's events again and again, and those of others, which are counted.
async fn post_until(stop: &AtomicBool, webhook: &Mutex<String>) -> Vec<String> {
    let client = sobot_hook::outbound::client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
    let mut acknowledged = Vec::new();
    let theirs = theirs();
    for (number, of_theirs) in (0..).zip(theirs.iter().cycle()) {
        if stop.load(SeqCst) {
            return acknowledged;
        }
        let mid = format!("other-{number}");
        let bodies = [message(OTHER, PAGE, &mid, AT + number, "hello"), of_theirs.clone()];
        for (body, mid) in bodies.into_iter().zip([Some(mid), None]) {
            let url = webhook.lock().unwrap().clone();
            let answer = client.post(url).body(body).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                acknowledged.extend(mid);
            }
        }
    }
    unreachable!("they do not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_while_everything_is_killed() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let place = [("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path().to_str().unwrap())];
    let mut service = Service::start_with(&url, &place);
    post_all(&service, &theirs()).await;
    let (stop, webhook) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(service.webhook.clone())));
    let posting = tokio::spawn({
        let (stop, webhook) = (Arc::clone(&stop), Arc::clone(&webhook));
        async move { post_until(&stop, &webhook).await }
    });
    let spawn_erase = || {
        let mut erase = program();
        erase.args(["erase", "--user", WHO]).env("DATABASE_URL", &url).envs(place);
        erase.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for round in 0..6 {
        let mut erasing = spawn_erase();
        let before = service.metric("sobot_hook_events_received_total").await;
        until("more has come", async || service.metric("sobot_hook_events_received_total").await > before + 20).await;
        // Whether it has ended by now or not.
        erasing.kill().unwrap();
        erasing.wait().unwrap();
        if round % 2 == 0 {
            server.crash();
            let before = service.metric("sobot_hook_spool_entries").await;
            until("it spools", async || service.metric("sobot_hook_spool_entries").await > before + 5).await;
            server.resume();
        } else {
            service.kill();
            service = Service::start_with(&url, &place);
            *webhook.lock().unwrap() = service.webhook.clone();
        }
    }
    until("somebody is erased", async || spawn_erase().wait().unwrap().success()).await;
    stop.store(true, SeqCst);
    let acknowledged = posting.await.unwrap();
    until("all is drained", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    assert!(erased(&url, directory.path(), &[]).contains("does not come back"));

    let pool = connect(&url);
    let rows = dump_of(&pool).await;
    assert_no_trace("the database", &rows);
    assert_no_trace("the files", &files(directory.path()));
    let kept = "select count(*) from messages where user_id = $1 and mid = any ($2)";
    let kept: i64 = sqlx::query_scalar(kept).bind(OTHER).bind(&acknowledged).fetch_one(&pool).await.unwrap();
    assert!(acknowledged.len() > 50);
    assert_eq!(kept, i64::try_from(acknowledged.len()).unwrap(), "others are whole");
    assert_rebuilt(&url).await;
}
