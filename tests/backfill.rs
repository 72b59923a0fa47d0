//! Past conversations and what was missed: the real program asks a simulated Meta, over real HTTP and at its real pace.

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Output};

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use sobot_hook::clock;
use sobot_hook::demo::graph::{GraphApi, SimulatedConversation, SimulatedMessage, SimulatedPage};
use sobot_hook::demo::simulator::{Api, Call, Reply, Simulator};
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Scope, Store};
use support::database::Database;
use support::service::{Service, program};
use support::until;
use support::wire::message;

const PAGE: &str = "110";
const TOKEN: &str = "t0ken";

/// Meta, whose first page of conversations is empty, and which no longer gives some messages away.
#[derive(Debug)]
struct Meta {
    graph: GraphApi,
    unsent: Vec<&'static str>,
}

impl Api for Meta {
    fn answer(&mut self, call: &Call) -> Reply {
        if call.path.ends_with("/conversations") && call.parameter("after").is_empty() {
            let paging = json!({ "cursors": { "after": "0" }, "next": "https://graph.example/next" });
            return Reply::ok(json!({ "data": [], "paging": paging }));
        }
        if self.unsent.iter().any(|mid| call.path.ends_with(mid)) {
            let error = json!({ "code": 9_000_001, "message": "This Message has been deleted" });
            return Reply { status: StatusCode::BAD_REQUEST, ..Reply::ok(json!({ "error": error })) };
        }
        self.graph.answer(call)
    }
}

struct House {
    meta: Simulator<Meta>,
    database: Database,
    store: Store,
}

/// A conversation whose messages, the newest first, were written one a minute up to this time, by the customer and the page
/// in turns.
fn conversation(id: &str, user: &str, messages: i64, last: DateTime<Utc>) -> SimulatedConversation {
    let message = |number: i64| {
        let parties = if number % 2 == 0 { [user, PAGE] } else { [PAGE, user] };
        SimulatedMessage {
            mid: format!("m_{id}_{number}"),
            created_at: last - TimeDelta::minutes(number),
            fields: Map::from_iter([
                ("message".to_owned(), json!(format!("text {number}"))),
                ("from".to_owned(), json!({ "id": parties[0] })),
                ("to".to_owned(), json!({ "data": [{ "id": parties[1] }] })),
            ]),
        }
    };
    let (id, user_id) = (id.to_owned(), user.to_owned());
    SimulatedConversation { id, platform: "messenger", user_id, messages: (0..messages).map(message).collect() }
}

impl House {
    async fn new(conversations: Vec<SimulatedConversation>, unsent: &[&'static str]) -> Self {
        let page = SimulatedPage { token: TOKEN.to_owned(), conversations };
        let graph = GraphApi { pages: BTreeMap::from([(PAGE.to_owned(), page)]), usage: Vec::new() };
        let meta = Simulator::start(Meta { graph, unsent: unsent.to_vec() }).await.unwrap();
        let (database, store) = Database::migrated().await;
        Self { meta, database, store }
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args([name, "--page", PAGE]).args(arguments).env("DATABASE_URL", &self.database.url);
        command.env("SOBOT_HOOK__GRAPH__BASE_URL", self.meta.url());
        command.env("SOBOT_HOOK__GRAPH__PAGE_TOKENS", format!("{PAGE}={TOKEN}"));
        command
    }

    /// The counts that it prints.
    async fn counts(&self, name: &str, arguments: &[&str]) -> Value {
        let mut command = self.command(name, arguments);
        command.arg("--json");
        let output = output(command).await;
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How often Meta was asked for the details of a message.
    fn asked_for_details(&self) -> usize {
        self.meta.lock().calls.iter().filter(|call| call.path.contains("/m_")).count()
    }

    async fn assert_rebuilt(&self) {
        let rebuilt = rebuild(&self.store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await;
        assert_eq!(rebuilt.unwrap().differences, 0);
    }
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn hours_ago(hours: i64) -> DateTime<Utc> {
    clock::now() - TimeDelta::hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn past_conversations_come_whole_once_and_what_is_too_old_only_with_its_time() {
    let conversations = vec![
        conversation("t_a", "201", 3, hours_ago(1)),
        conversation("t_b", "202", 23, hours_ago(2)),
        conversation("t_c", "203", 2, hours_ago(3)),
    ];
    let told: Vec<(String, i64)> = conversations[1].messages[..18]
        .iter()
        .map(|message| (message.mid.clone(), message.created_at.timestamp_millis()))
        .collect();
    let house = House::new(conversations, &["m_t_c_0"]).await;
    let service = Service::start(&house.database.url);
    for (mid, at) in &told {
        assert_eq!(service.post(message("202", PAGE, mid, *at, "live")).await.0, 200);
    }
    let counts = house.counts("backfill", &[]).await;
    let of = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!(["conversations", "told", "listed", "known", "failed"].map(of), [3, 6, 4, 18, 0], "{counts}");
    assert_eq!(house.asked_for_details(), 7, "nobody asks for what is known or too old");
    let messages = |condition: &str| format!("select count(*) from message_status where {condition}");
    for (condition, wanted) in [
        ("true", 28),
        ("is_content_known", 24),
        ("text = 'live'", 18),
        ("user_id = '201' and direction = 'outbound' and text = 'text 1'", 1),
        ("status = 'unknown' and sent_at is not null", 4),
    ] {
        assert_eq!(house.database.count(&messages(condition)).await, wanted, "{condition}");
    }

    let again = house.counts("backfill", &[]).await;
    assert_eq!((&again["unchanged"], &again["calls"]), (&json!(3), &json!(2)), "{again}");
    let at = hours_ago(1).timestamp_millis();
    assert_eq!(service.post(message("201", PAGE, "m_t_a_0", at, "live")).await.0, 200);
    let live = "select text || source from messages where mid = 'm_t_a_0'";
    assert_eq!(house.database.text(live).await, "live0", "the webhook is the better source");
    assert_eq!(house.database.count("select count(*) from events where container = 'backfill'").await, 10);
    house.assert_rebuilt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_way_the_same_command_does_the_rest() {
    let conversations =
        (1..=4).map(|number| conversation(&format!("t_{number}"), &format!("20{number}"), 2, hours_ago(number)));
    let house = House::new(conversations.collect(), &[]).await;
    let mut killed = house.command("backfill", &[]).spawn().unwrap();
    let stored = "select count(*) from events";
    until("something is stored", async || house.database.count(stored).await >= 2).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(house.database.count(stored).await < 8, "it was killed too late");
    let counts = house.counts("backfill", &[]).await;
    assert_eq!(counts["failed"], json!(0));
    assert_eq!(house.database.count(stored).await, 8);
    assert_eq!(house.database.count("select count(*) from message_status where is_content_known").await, 8);
    assert!(house.asked_for_details() <= 10, "only what was under way is asked for again");
    house.assert_rebuilt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_where_nothing_has_moved_since_and_says_what_is_wrong_with_a_token() {
    let conversations = vec![conversation("t_a", "201", 1, hours_ago(1)), conversation("t_b", "202", 1, hours_ago(9))];
    let house = House::new(conversations, &[]).await;
    let since = hours_ago(5).to_rfc3339();
    let counts = house.counts("backfill", &["--since", &since]).await;
    assert_eq!((&counts["conversations"], &counts["told"]), (&json!(1), &json!(1)), "{counts}");
    let counts = house.counts("backfill", &["--user", "202"]).await;
    assert_eq!((&counts["conversations"], &counts["told"]), (&json!(1), &json!(1)), "{counts}");

    let mut dead = house.command("backfill", &[]);
    dead.env("SOBOT_HOOK__GRAPH__PAGE_TOKENS", format!("{PAGE}=s3cret"));
    let mut missing = house.command("backfill", &[]);
    missing.env("SOBOT_HOOK__GRAPH__PAGE_TOKENS", "111=t0ken");
    let mut instagram = house.command("backfill", &["--platform", "instagram"]);
    instagram.arg("--json");
    // The first page of the list is empty for everybody.
    for (command, code, wanted) in
        [(dead, 1, "no longer accepts"), (missing, 64, "graph.page_tokens"), (instagram, 64, "--account")]
    {
        let refused = output(command).await;
        assert_eq!(refused.status.code(), Some(code), "{}", said(&refused));
        assert!(said(&refused).contains(wanted) && !said(&refused).contains("s3cret"), "{}", said(&refused));
    }
}

/// The webhook brings a message, is off while more are written, and is on again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_found_filled_as_far_as_meta_tells_and_written_down() {
    let conversations = vec![
        conversation("t_a", "201", 3, hours_ago(1)),
        conversation("t_b", "202", 2, hours_ago(2)),
        conversation("t_c", "203", 2, hours_ago(40)),
    ];
    let house = House::new(conversations.clone(), &["m_t_b_1"]).await;
    let at =
        |conversation: usize, number: usize| conversations[conversation].messages[number].created_at.timestamp_millis();
    let service = Service::start(&house.database.url);
    assert_eq!(service.post(message("201", PAGE, "m_t_a_2", at(0, 2), "live")).await.0, 200);
    let since = hours_ago(20).to_rfc3339();
    let dry = house.counts("heal", &["--since", &since, "--dry-run"]).await;
    let found = |counts: &Value| ["conversations", "filled", "lost"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!(found(&dry), [2, 4, 0], "{dry}");
    assert_eq!(house.database.count("select count(*) from events").await, 1);

    let healed = house.counts("heal", &["--since", &since]).await;
    assert_eq!(found(&healed), [2, 3, 1], "{healed}");
    let gaps = "select string_agg(user_id || ' ' || filled || ' ' || lost, ', ' order by user_id) from gaps";
    assert_eq!(house.database.text(gaps).await, "201 2 0, 202 1 1");
    let missing = "select mid from message_status where not is_content_known";
    assert_eq!(house.database.text(missing).await, "m_t_b_1");
    let again = house.counts("heal", &["--since", &since]).await;
    assert_eq!(found(&again), [2, 0, 0], "what is lost is told once: {again}");
    house.assert_rebuilt().await;

    // Erased, nothing of the gap stays.
    let mut erase = program();
    erase.args(["erase", "--user", "202"]).env("DATABASE_URL", &house.database.url);
    let directory = tempfile::tempdir().unwrap();
    erase.env("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path());
    let erased = output(erase).await;
    assert!(erased.status.success(), "{}", said(&erased));
    assert_eq!(house.database.text(gaps).await, "201 2 0");
    let again = house.counts("heal", &["--since", &since]).await;
    assert_eq!(found(&again), [2, 0, 0], "the person does not come back: {again}");
    assert_eq!(house.database.count("select count(*) from messages where user_id = '202'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_looks_by_itself_and_counts_what_was_missed() {
    let house = House::new(vec![conversation("t_a", "201", 2, hours_ago(1))], &[]).await;
    house.database.run(&format!("insert into heals values ('{PAGE}', now() - interval '2 hours')")).await;
    let tokens = format!("{PAGE}={TOKEN}");
    let environment = [
        ("SOBOT_HOOK__GRAPH__BASE_URL", &*house.meta.url()),
        ("SOBOT_HOOK__GRAPH__PAGE_TOKENS", &*tokens),
        ("SOBOT_HOOK__GRAPH__HEAL_MINUTES", "60"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let service = Service::start_with(&house.database.url, &environment);
    until("it has looked", async || service.metric("sobot_hook_missed_messages_total").await == 2).await;
    assert!(service.metrics().await.contains("sobot_hook_missed_messages_total{outcome=\"filled\"} 2\n"));
    assert_eq!(house.database.count("select filled from gaps").await, 2);
    let is_recent = "select count(*) from heals where healed_until > now() - interval '10 minutes'";
    assert_eq!(house.database.count(is_recent).await, 1);
}
