//! Keys are a contract on disk: every body of `tests/data/keys.tsv`, and every answer of an API in
//! `tests/data/own_keys.tsv`, has the keys that stand there as literals.
//!
//! A journal knows its events by their keys. A service that computes another key for the same event stores it a
//! second time, so a key changes only by a decision of its own, with a migration, and never to make this test pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sobot_hook::dialect::graph::{self, Conversation, Platform};
use sobot_hook::dialect::sobot::{self, Sent};
use sobot_hook::dialect::webhook::parse;
use support::own::{page, user};

mod support;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// Bodies that tell of the same event, however they are spelled, stand under the same name.
struct Row {
    event: String,
    spelling: String,
    /// One an event, 32 hexadecimal digits each, separated by spaces; `-` where the body is no JSON.
    keys: String,
    /// The same, as the code finds them.
    found: String,
}

fn rows() -> Vec<Row> {
    let mut rows = rows_of_bodies();
    rows.extend(rows_of_answers());
    rows
}

fn lines(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{DATA}/{file}")).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// What we make of an API's answer, from what was known and what was told.
fn rows_of_answers() -> Vec<Row> {
    let row = |line: &String| {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[event, spelling, keys, container, known, told] = columns.as_slice() else {
            panic!("six columns: {line}")
        };
        let found = own_key(container, &serde_json::from_str(known).unwrap(), told);
        Row { event: event.to_owned(), spelling: spelling.to_owned(), keys: keys.to_owned(), found }
    };
    lines("own_keys.tsv").iter().map(row).collect()
}

fn own_key(container: &str, known: &Value, told: &str) -> String {
    let page_id = &page(known["page_id"].as_str().unwrap());
    let at = received_at();
    let event = match container {
        "api" => {
            let user_id = &user(known["user_id"].as_str().unwrap());
            sobot::sent(&Sent { page_id, user_id, mid: known["mid"].as_str(), request: told, answered_at: at })
        }
        "sync" => sobot::subscriber(page_id, told, at),
        "backfill" => {
            let platform = if known["platform"] == "instagram" { Platform::Instagram } else { Platform::Messenger };
            let conversation_id = known["conversation_id"].as_str().unwrap();
            let user_id = known["user_id"].as_str();
            graph::message(&Conversation { page_id, platform, conversation_id, user_id }, told, at)
        }
        other => panic!("{other} is no container of our own"),
    };
    hex(event.unwrap().key.0)
}

fn rows_of_bodies() -> Vec<Row> {
    let row = |line: &String| {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[event, spelling, keys, body] = columns.as_slice() else { panic!("four columns: {line}") };
        let body = match body.strip_prefix("payloads/") {
            Some(file) => std::fs::read(format!("{DATA}/payloads/{file}")).unwrap().into(),
            None => Bytes::from(body.to_owned()),
        };
        let found = self::keys(&body);
        Row { event: event.to_owned(), spelling: spelling.to_owned(), keys: keys.to_owned(), found }
    };
    lines("keys.tsv").iter().map(row).collect()
}

/// 2025-10-10 at 12:40 UTC.
fn received_at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_760_100_000_000).unwrap()
}

/// The keys of a body's events, as the column `keys` has them. What happened a day later than its receipt is noted, and a
/// note is part of the key.
fn keys(body: &Bytes) -> String {
    let Ok(events) = parse(body, received_at()) else { return "-".to_owned() };
    let keys: Vec<String> = events.iter().map(|event| hex(event.key.0)).collect();
    keys.join(" ")
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn every_body_has_the_keys_that_journals_know_it_by() {
    let mut changed = String::new();
    for Row { event, spelling, keys: expected, found } in rows() {
        if found != expected {
            writeln!(changed, "{event} ({spelling}):\n  expected {expected}\n  found    {found}").unwrap();
        }
    }
    assert!(
        changed.is_empty(),
        "Keys are a contract on disk, and these bodies have others than the journals that exist. Repair the code; \
         to change a key is a decision of its own, with a migration.\n{changed}"
    );
}

#[test]
fn one_event_has_one_key_however_it_is_spelled() {
    let mut first = BTreeMap::new();
    for Row { event, spelling, keys, .. } in rows() {
        let (of_first, known) = first.entry(event.clone()).or_insert((spelling.clone(), keys.clone()));
        assert_eq!(*known, keys, "{event}: the keys of “{of_first}” and of “{spelling}” are a contract: the same");
    }
}

#[test]
fn no_two_events_share_a_key() {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for Row { event, keys, .. } in rows() {
        for key in keys.split(' ').filter(|key| *key != "-") {
            let owner = owners.entry(key.to_owned()).or_insert_with(|| event.clone());
            assert_eq!(*owner, event, "{key}: keys are a contract, and these are two events");
        }
    }
}

#[test]
fn every_payload_is_listed() {
    let lines = lines("keys.tsv");
    let listed: BTreeSet<&str> = lines.iter().filter_map(|line| line.split("\tpayloads/cases/").nth(1)).collect();
    for case in std::fs::read_dir(format!("{DATA}/payloads/cases")).unwrap() {
        let name = case.unwrap().file_name().into_string().unwrap();
        assert!(listed.contains(name.as_str()), "{name} has no line in keys.tsv");
    }
}

#[test]
fn a_flood_is_one_event() {
    let flood = format!(r#"{{"entry":[{{"messaging":[{}]}}]}}"#, vec!["0"; 10_001].join(","));
    assert_eq!(keys(&flood.into()), "f03362a5fce1a673d7fd9febb5347484", "keys are a contract, the flood's too");
}
