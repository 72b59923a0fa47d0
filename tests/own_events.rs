//! What we send, synchronise and backfill ourselves, and what the webhook tells of the same: stories, told in every order,
//! and the state that they end in.

mod support;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sobot_hook::dialect::graph::{self, Conversation, Platform};
use sobot_hook::dialect::sobot::{self, Sent};
use sobot_hook::dialect::webhook::parse;
use sobot_hook::event::Event;
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Batch, Fate, Scope, Store};
use sqlx::Executor;
use support::database::Database;
use support::own::{page, user};
use support::wire::{delivery, echo, envelope, event, message, read};

/// 2025-10-09 08:53:20 UTC.
const BEGIN: i64 = 1_760_000_000_000;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(BEGIN + millis).unwrap()
}

fn told(body: String) -> Event {
    parse(&Bytes::from(body), at(3_600_000)).unwrap().remove(0)
}

fn sent(mid: &str, answered_at: i64, text: &str) -> Event {
    let request = json!({ "recipientid": "2", "pageid": "1", "type": "text", "payload": text }).to_string();
    let (page_id, user_id) = (&page("1"), &user("2"));
    sobot::sent(&Sent { page_id, user_id, mid: Some(mid), request: &request, answered_at: at(answered_at) }).unwrap()
}

/// A message of the same conversation, as Meta has it an hour later.
fn backfilled(mid: &str, second: i64, members: &Value) -> Event {
    let created_time = at(second * 1_000).format("%FT%T+0000").to_string();
    let mut message = json!({ "id": mid, "created_time": created_time });
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let page_id = &page("1");
    let conversation =
        Conversation { page_id, platform: Platform::Messenger, conversation_id: "t_1", user_id: Some("2") };
    graph::message(&conversation, &message.to_string(), at(3_600_000)).unwrap()
}

fn by_customer(text: &str) -> Value {
    json!({ "from": { "id": "2" }, "to": { "data": [{ "id": "1" }] }, "message": text })
}

fn by_page(text: &str) -> Value {
    json!({ "from": { "id": "1" }, "to": { "data": [{ "id": "2" }] }, "message": text })
}

/// An opt-in of topic `t` with these members.
fn optin(millis: i64, members: &Value) -> Event {
    let mut optin = json!({ "type": "notification_messages", "title": "t" });
    optin.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    told(envelope("1", &event("2", "1", BEGIN + millis, &json!({ "optin": optin }))))
}

/// The same subscription in Sobot's list.
fn listed(update_time: i64, members: &Value) -> Event {
    let mut item = json!({ "facebookid": "2", "pageid": "1", "sub_title": "t", "update_time": BEGIN + update_time });
    item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    sobot::subscriber(&page("1"), &item.to_string(), at(3_600_000)).unwrap()
}

/// A database in which stories are told.
struct Stage {
    database: Database,
    store: Store,
}

impl Stage {
    async fn new() -> Self {
        let (database, store) = Database::migrated().await;
        Self { database, store }
    }

    /// Commits the events one by one in each of some orders, forward and backward among them, and asks what is to be seen
    /// after each. It is always the same, and the journal tells the same.
    async fn seen(&self, events: &[Event], question: &str) -> String {
        let mut answers = Vec::new();
        for turn in 0..events.len() {
            let mut order: Vec<&Event> = events.iter().collect();
            order.rotate_left(turn);
            answers.push(self.seen_after(&order, question).await);
            order.reverse();
            answers.push(self.seen_after(&order, question).await);
        }
        let rebuilt = rebuild(&self.store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")).await;
        assert_eq!(rebuilt.unwrap().differences, 0);
        answers.dedup();
        assert_eq!(answers.len(), 1, "the order matters: {answers:#?}");
        answers.remove(0)
    }

    async fn seen_after(&self, order: &[&Event], question: &str) -> String {
        let empty = "truncate events, messages, conversations, subscriptions";
        self.database.pool.execute(empty).await.unwrap();
        let mut session = self.store.session();
        for event in order {
            session.commit(&Batch { events: vec![*event], quarantined: Vec::new() }).await.unwrap();
        }
        self.database.text(question).await
    }
}

/// Each message: mid, direction, status, evidence, text, source, and its time in milliseconds of the story.
const MESSAGES: &str = "
    select string_agg(
        concat_ws(' ', mid, seen.direction, status, coalesce(evidence, '-'), coalesce(seen.text, '-'), source,
            coalesce((extract(epoch from seen.sent_at) * 1000)::bigint - 1760000000000, -1)),
        '; ' order by mid)
    from message_status as seen join messages using (page_id, user_id, mid)";

#[tokio::test]
async fn what_we_send_is_sent_and_then_delivered_and_read() {
    let stage = Stage::new().await;
    let sending = [sent("m", 700, "Hello"), told(message("2", "1", "q", BEGIN, "?"))];
    assert_eq!(stage.seen(&sending, MESSAGES).await, "m outbound sent - Hello 1 700; q inbound received - ? 0 0");
    // Its sending opens no window.
    let window = "select extract(epoch from last_inbound_at)::bigint::text from messaging_window";
    assert_eq!(stage.seen(&sending, window).await, "1760000000");
    let touched = "select extract(epoch from last_seen_at - first_seen_at)::text from conversations";
    assert_eq!(stage.seen(&sending, touched).await, "0.700000");

    let delivered = told(delivery("2", "1", BEGIN + 900, &["m"], BEGIN + 600));
    let story = [sent("m", 700, "Hello"), delivered.clone()];
    assert_eq!(stage.seen(&story, MESSAGES).await, "m outbound delivered mid Hello 1 700");
    // The answer came after the message was written: what the delivery named was written by its watermark.
    let story = [sent("m", 700, "Hello"), delivered, told(read("2", "1", BEGIN + 950, BEGIN + 600))];
    assert_eq!(stage.seen(&story, MESSAGES).await, "m outbound read watermark Hello 1 700");
    stage.store.close().await;
}

#[tokio::test]
async fn a_live_webhook_of_the_same_message_wins() {
    let stage = Stage::new().await;
    let story = [
        sent("m", 700, "as we sent it"),
        backfilled("m", 0, &by_page("as Meta has it")),
        told(echo("2", "1", "m", BEGIN + 500, "as it was echoed")),
    ];
    assert_eq!(stage.seen(&story, MESSAGES).await, "m outbound sent - as it was echoed 0 500");
    assert_eq!(stage.seen(&story[..2], MESSAGES).await, "m outbound sent - as we sent it 1 700");
    let unsent =
        told(envelope("1", &event("2", "1", BEGIN, &json!({ "message": { "mid": "m", "is_deleted": true } }))));
    let named = told(delivery("2", "1", BEGIN + 900, &["m"], BEGIN + 600));
    let shown = stage.seen(&[backfilled("m", 0, &by_page("as Meta has it")), unsent, named], MESSAGES).await;
    assert_eq!(shown, "m outbound deleted - - 4 0");
    stage.store.close().await;
}

#[tokio::test]
async fn a_message_of_the_past_is_one_like_any_other() {
    let stage = Stage::new().await;
    let story = [backfilled("q", 0, &by_customer("?")), backfilled("a", 60, &by_page("!"))];
    assert_eq!(stage.seen(&story, MESSAGES).await, "a outbound sent - ! 4 60000; q inbound received - ? 4 0");
    let window = "select extract(epoch from open_until)::bigint::text from messaging_window";
    assert_eq!(stage.seen(&story, window).await, (BEGIN / 1_000 + 24 * 3_600).to_string());
    // Its time is known to the second: a watermark within that second may be that of an earlier message.
    let reads =
        |watermark: i64| [backfilled("a", 60, &by_page("!")), told(read("2", "1", BEGIN + 70_000, BEGIN + watermark))];
    assert_eq!(stage.seen(&reads(60_500), MESSAGES).await, "a outbound sent - ! 4 60000");
    assert_eq!(stage.seen(&reads(61_000), MESSAGES).await, "a outbound read watermark ! 4 60000");
    stage.store.close().await;
}

#[tokio::test]
async fn of_a_message_that_is_only_listed_it_shows_that_it_is_not_known() {
    let stage = Stage::new().await;
    let listing = backfilled("m", 60, &json!({}));
    let known = "select concat_ws(' ', is_content_known, text is null, sent_at is null) from message_status";
    assert_eq!(stage.seen(std::slice::from_ref(&listing), MESSAGES).await, "m unknown unknown - - 5 60000");
    assert_eq!(stage.seen(std::slice::from_ref(&listing), known).await, "f t f");
    // It opens no window, though the customer may have written it.
    let inbound = "select concat_ws(' ', last_inbound_at is null, last_seen_at = first_seen_at) from conversations";
    assert_eq!(stage.seen(std::slice::from_ref(&listing), inbound).await, "t t");
    // A receipt tells who wrote it, and the listing when.
    let named = told(delivery("2", "1", BEGIN + 90_000, &["m"], BEGIN + 80_000));
    assert_eq!(stage.seen(&[listing.clone(), named.clone()], MESSAGES).await, "m outbound delivered mid - 3 60000");
    let later = backfilled("m", 61, &json!({}));
    assert_eq!(stage.seen(&[listing.clone(), named, later], MESSAGES).await, "m outbound delivered mid - 3 60000");
    // As soon as anything tells what it says, that counts.
    let story = [listing, backfilled("m", 60, &by_customer("?"))];
    assert_eq!(stage.seen(&story, MESSAGES).await, "m inbound received - ? 4 60000");
    assert_eq!(stage.seen(&story, known).await, "t f f");
    stage.store.close().await;
}

/// Status, token, when it ends (in days of the story, `-` if it does not), time zone, what the opt-in said of the token,
/// since when.
const SUBSCRIPTION: &str = "
    select concat_ws(' ', sub_status, coalesce(token, '-'),
               coalesce(((extract(epoch from token_expires_at) - 1760000000) / 86400)::int::text, '-'),
               coalesce(timezone, '-'), coalesce(user_token_status, '-'),
               (extract(epoch from first_subscribed_at) * 1000)::bigint - 1760000000000)
    from subscriptions";

#[tokio::test]
async fn an_opt_in_and_the_list_complete_each_other() {
    let stage = Stage::new().await;
    let day = 86_400_000;
    let opted_in = optin(
        0,
        &json!({ "notification_messages_token": "a", "token_expiry_timestamp": BEGIN + 90 * day,
                 "user_token_status": "NOT_REFRESHED", "notification_messages_timezone": "Asia/Shanghai" }),
    );
    let item =
        |token: Value| json!({ "sub_status": 1, "sub_token": token, "timezone": "", "create_time": BEGIN - 1_000 });
    // The same change, a little later; the list knows no expiry, and when it all began.
    let same = [opted_in.clone(), listed(40, &item(json!("a")))];
    assert_eq!(stage.seen(&same, SUBSCRIPTION).await, "1 a 90 Asia/Shanghai NOT_REFRESHED -1000");
    // Another token, of which nobody knows when it ends; then the first one once more.
    let other = [opted_in.clone(), listed(40, &item(json!("b")))];
    assert_eq!(stage.seen(&other, SUBSCRIPTION).await, "1 b - Asia/Shanghai NOT_REFRESHED -1000");
    let again = [opted_in.clone(), listed(40, &item(json!("b"))), listed(80, &item(json!("a")))];
    assert_eq!(stage.seen(&again, SUBSCRIPTION).await, "1 a 90 Asia/Shanghai NOT_REFRESHED -1000");
    // Without a token it takes none away.
    let silent = [opted_in.clone(), listed(40, &item(Value::Null))];
    assert_eq!(stage.seen(&silent, SUBSCRIPTION).await, "1 a 90 Asia/Shanghai NOT_REFRESHED -1000");

    let stopped = optin(60, &json!({ "notification_messages_status": "STOP_NOTIFICATIONS" }));
    let story = [opted_in.clone(), listed(40, &item(json!("a"))), stopped];
    assert_eq!(stage.seen(&story, SUBSCRIPTION).await, "0 a 90 Asia/Shanghai NOT_REFRESHED -1000");
    // What the webhook missed.
    let missed = [opted_in, listed(99, &json!({ "sub_status": 0, "sub_token": "a" }))];
    assert_eq!(stage.seen(&missed, SUBSCRIPTION).await, "0 a 90 Asia/Shanghai NOT_REFRESHED 0");
    let reach = "select can_receive_marketing::text from subscribers";
    assert_eq!(stage.seen(&missed, reach).await, "false");
    stage.store.close().await;
}

#[tokio::test]
async fn what_we_do_ourselves_is_no_sign_of_life_of_a_page() {
    let (database, store) = Database::migrated().await;
    let events = [sent("m", 0, "x"), backfilled("m", 0, &json!({})), listed(0, &json!({ "sub_status": 1 }))];
    let batch = Batch { events: events.iter().collect(), quarantined: Vec::new() };
    assert_eq!(store.session().commit(&batch).await.unwrap().fates, [Fate::Stored; 3]);
    let since = at(0) - TimeDelta::days(1);
    assert_eq!(store.pages_heard(since).await.unwrap(), []);
    let event = told(message("2", "1", "q", BEGIN, "?"));
    store.session().commit(&Batch { events: vec![&event], quarantined: Vec::new() }).await.unwrap();
    assert_eq!(store.pages_heard(since).await.unwrap(), [(page("1"), event.received_at)]);
    assert_eq!(database.count("select count(*) from events").await, 4);
    // Asked for again, nothing is new.
    assert_eq!(store.session().commit(&batch).await.unwrap().fates, [Fate::Known; 3]);
    store.close().await;
}
