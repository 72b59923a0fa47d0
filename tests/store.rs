//! What a commit tells of its batch, and what it does when the batch comes again.

mod support;

use bytes::Bytes;
use chrono::DateTime;
use sobot_hook::dialect::webhook::parse;
use sobot_hook::event::Event;
use sobot_hook::store::Fate::{Known, Stored};
use sobot_hook::store::{Batch, Quarantined};
use support::database::Database;
use support::wire::message;

const AT: i64 = 1_760_000_000_000;

fn event(mid: &str) -> Event {
    event_at(mid, AT)
}

fn event_at(mid: &str, at: i64) -> Event {
    let received_at = DateTime::from_timestamp_millis(AT + 60_000).unwrap();
    parse(&Bytes::from(message("2", "1", mid, at, "x")), received_at).unwrap().remove(0)
}

#[tokio::test]
async fn a_batch_tells_which_of_its_events_are_new() {
    let (database, store) = Database::migrated().await;
    let (a, b, c) = (event("a"), event("b"), event("c"));
    let mut session = store.session();
    let mut commit = async |events: Vec<&Event>| {
        let batch = Batch { events, quarantined: Vec::new() };
        session.commit(&batch).await.unwrap().fates
    };
    assert_eq!(commit(vec![&b, &a]).await, [Stored, Stored]);
    // Known, new, and repeated within the batch.
    assert_eq!(commit(vec![&a, &c, &c, &b]).await, [Known, Stored, Known, Known]);
    assert_eq!(commit(vec![&c, &a]).await, [Known, Known]);
    // The same message told of another moment has the same key and is another event.
    let again = event_at("a", AT + 1);
    assert_eq!(again.key, a.key);
    assert_eq!(commit(vec![&a, &again]).await, [Known, Stored]);
    assert_eq!(database.count("select count(*) from events").await, 4);
    assert_eq!(database.count("select count(*) from messages").await, 3);
}

#[tokio::test]
async fn a_batch_whose_commit_was_not_heard_of_changes_nothing_when_it_comes_again() {
    let (database, store) = Database::migrated().await;
    let event = event("a");
    let received_at = event.received_at;
    let row = |raw| Quarantined { received_at, reason: "no JSON", raw };
    let batch = Batch { events: vec![&event], quarantined: vec![row(b"one"), row(b"two")] };
    let mut session = store.session();
    for _ in 0..2 {
        session.commit(&batch).await.unwrap();
    }
    assert_eq!(database.count("select count(*) from events").await, 1);
    assert_eq!(database.count("select count(*) from quarantine").await, 2);
}
