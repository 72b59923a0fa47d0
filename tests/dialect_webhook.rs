//! The wire, case by case: every body under `tests/data/payloads` becomes the events that
//! `expected.tsv` lists, and no body whatever makes the parser panic.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use sobot_hook::dialect::webhook::{MAX_EVENTS, parse};
use sobot_hook::event::{Container, Direction, Event, Facts, Kind, Note};
use sobot_hook::json::NotJson;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/payloads");

fn received_at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_760_100_000_000).unwrap()
}

fn parse_text(text: impl Into<Bytes>) -> Result<Vec<Event>, NotJson> {
    parse(&text.into(), received_at())
}

fn only(text: impl Into<Bytes>) -> Event {
    let mut events = parse_text(text).unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

/// An event of page 1 and user 2 with these members.
fn messaging(members: &str) -> String {
    format!(
        r#"{{"object":"page","entry":[{{"id":"1","time":1760000001000,"messaging":[
            {{"sender":{{"id":"2"}},"recipient":{{"id":"1"}},"timestamp":1760000000000,{members}}}]}}]}}"#
    )
}

#[test]
fn every_case_becomes_the_events_that_are_expected() {
    let expected = std::fs::read_to_string(format!("{CASES}/expected.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = expected.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let mut checked = 0;
    for rows in rows.chunk_by(|left, right| left[0] == right[0]) {
        let (file, class) = (rows[0][0], rows[0][1]);
        let body = std::fs::read(format!("{CASES}/cases/{file}")).unwrap();
        let parsed = parse_text(body.clone());
        if class == "malformed" {
            assert!(parsed.is_err(), "{file} is not JSON");
            continue;
        }
        let events = parsed.unwrap();
        if rows[0][5] == "-" {
            assert_eq!(events.len(), 1, "{file}");
            let is_callback = rows[0][4] == "callback";
            assert_eq!(events[0].kind, if is_callback { Kind::Upload } else { Kind::Other }, "{file}");
            assert_eq!(
                events[0].container,
                if is_callback { Container::Callback } else { Container::Document },
                "{file}"
            );
            continue;
        }
        assert_eq!(events.len(), rows.len(), "{file}");
        for (event, row) in events.iter().zip(rows) {
            let place = format!("{file} event {}", row[3]);
            assert_eq!(event.container.as_str(), row[4], "{place}");
            assert_eq!(event.kind.as_str(), row[5], "{place}");
            assert_eq!(event.page_id.as_ref().map_or("", |page| page.as_str()), row[6], "{place}");
            let user = event.user_id.as_ref().map_or("", |user| user.as_str());
            match event.direction {
                Direction::Inbound => assert_eq!(user, row[7], "{place}"),
                Direction::Outbound => assert_ne!(user, row[7], "{place}: an echo's sender is not the user"),
                Direction::Unknown => panic!("{place}: the webhook always tells who wrote"),
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn every_byte_of_an_unknown_body_is_kept() {
    for text in ["null", "[]", "{}", "3", r#"{"entry":[]}"#, r#"[1,"x",null,{"object":"page"},{"entry":"no"},[]]"#] {
        let event = only(text);
        assert_eq!((event.kind, event.container), (Kind::Other, Container::Document));
        assert_eq!(event.body.exact().unwrap(), text.as_bytes());
    }
}

#[test]
fn what_stands_around_an_event_is_kept_once() {
    let events = parse_text(
        r#"{"object":"page","sign":"x","entry":[
            {"id":"1","hop_context":[{"app_id":5}],"messaging":[{"sender":{"id":"2"}},{"sender":{"id":"3"}}]},
            {"id":"1","uid":"9","changed_fields":["a"]}, "lost?", {"id":"1","time":5,"messaging":[]}]}"#,
    )
    .unwrap();
    let kept: Vec<_> = events.iter().map(|event| (event.container, event.envelope.as_deref())).collect();
    assert_eq!(
        kept,
        [
            (Container::Messaging, Some(r#"{"document":{"sign":"x"},"entry":{"hop_context":[{"app_id":5}]}}"#)),
            (Container::Messaging, None),
            (Container::Document, None),
            (Container::Document, None),
        ]
    );
    assert_eq!(events[3].body.exact().unwrap(), "\"lost?\"".as_bytes());
}

#[test]
fn bare_entries_and_bare_events_are_events() {
    let entry = only(
        r#"{"id":"1","time":1760000000000,"messaging":[{"sender":{"id":"2"},"read":{"watermark":1760000000000}}]}"#,
    );
    assert_eq!((entry.kind, entry.note), (Kind::Read, None));
    let event = only(
        r#"{"sender":{"id":"2"},"recipient":{"id":"1"},"timestamp":1760000000000,"message":{"mid":"m","text":"x"}}"#,
    );
    assert_eq!((event.kind, event.note), (Kind::Message, None));
    assert_eq!(event.page_id.unwrap().as_str(), "1");
}

#[test]
fn a_flood_of_events_is_kept_whole() {
    let flood = format!(r#"{{"entry":[{{"messaging":[{}]}}]}}"#, vec!["0"; MAX_EVENTS + 1].join(","));
    let event = only(flood.clone());
    assert_eq!((event.container, event.note), (Container::Document, Some(Note::TooManyEvents)));
    assert_eq!(event.body.exact().unwrap(), flood.as_bytes());
    let most = format!(r#"{{"entry":[{{"messaging":[{}]}}]}}"#, vec!["0"; MAX_EVENTS].join(","));
    assert_eq!(parse_text(most).unwrap().len(), MAX_EVENTS);
}

#[test]
fn times_are_normalised_and_the_absurd_ones_noted() {
    let at = |timestamp: &str| {
        let event = only(
            messaging("\"read\":{\"watermark\":1760000000000}")
                .replace("\"timestamp\":1760000000000", &format!("\"timestamp\":{timestamp}")),
        );
        (event.note, event.occurred_at.timestamp_millis())
    };
    for same in [
        "1760000000000",
        "1760000000",
        "\"1760000000\"",
        "1760000000.0",
        "1.76e12",
        "\"2025-10-09T08:53:20+0000\"",
        "\"2025-10-09T16:53:20+08:00\"",
        "\"2025-10-09T08:53:20Z\"",
        "\"2025-10-09 08:53:20\"",
        "\"20251009T085320Z\"",
        "\"2025-10-09T08:53:20,000+0000\"",
    ] {
        assert_eq!(at(same), (None, 1_760_000_000_000), "{same}");
    }
    for missing in ["null", "true", "{}", "\"soon\""] {
        assert_eq!(at(missing), (None, 1_760_000_000_000), "{missing}: the watermark");
    }
    let receipt = received_at().timestamp_millis();
    for late in ["1760186400001", "9223372036854775807", "1e400", "1760000000000000"] {
        assert_eq!(at(late), (Some(Note::TimeTooLate), receipt), "{late}");
    }
    for early in ["0", "1075852799", "-5", "1e3"] {
        assert_eq!(at(early), (Some(Note::TimeTooEarly), receipt), "{early}");
    }
    assert_eq!(at("1760186400000"), (None, 1_760_186_400_000));
    let false_watermark = only(messaging(r#""delivery":{"mids":["m"],"watermark":1760200000000}"#));
    assert_eq!(false_watermark.note, Some(Note::TimeTooLate));
}

#[test]
fn the_same_event_has_the_same_key_however_it_is_written() {
    let key = |text: &str| only(text.to_owned()).key;
    let optin = messaging(r#""optin":{"type":"notification_messages","title":"\u8ba2/","n":[1,{"a":1.0,"b":null}]}"#);
    let again = messaging(r#""optin":{"n":[1,{"b":null,"a":1}],"title":"订\/","type":"notification_messages"}"#);
    assert_eq!(key(&optin), key(&again));
    assert_ne!(key(&optin), key(&optin.replace("1.0", "2")));
    let message = messaging(r#""message":{"mid":"m","attachments":[{"type":"image","payload":{"url":"a?sig=1"}}]}"#);
    assert_eq!(key(&message), key(&message.replace("sig=1", "sig=2")));
    assert_ne!(key(&message), key(&message.replace(r#""mid":"m""#, r#""mid":"m","is_deleted":true"#)));
    assert_ne!(key(&message), key(&message.replace(r#""mid":"m""#, r#""mid":"m","is_echo":true"#)));
}

#[test]
fn ids_that_no_index_holds_are_noted() {
    let long = "x".repeat(513);
    let event = only(messaging(&format!(r#""message":{{"mid":"{long}"}}"#)));
    assert_eq!(event.note, Some(Note::IdTooLong));
    let event = only(messaging(r#""message":{"mid":"m"}"#).replace(r#"{"id":"2"}"#, &format!(r#"{{"id":"{long}"}}"#)));
    assert_eq!((event.note, event.user_id), (Some(Note::IdTooLong), None));
}

#[test]
fn an_echo_that_was_not_turned_round_still_finds_the_customer() {
    let event = only(messaging(r#""message":{"mid":"m","is_echo":true}"#));
    assert_eq!(event.direction, Direction::Outbound);
    assert_eq!(event.user_id.unwrap().as_str(), "2");
}

#[test]
fn repeated_containers_lose_nothing() {
    let event =
        |mid: &str| format!(r#"{{"sender":{{"id":"2"}},"timestamp":1760000000000,"message":{{"mid":"{mid}"}}}}"#);
    let body = format!(
        r#"{{"entry":[{{"id":"1","messaging":[{}]}}],"entry":{{"id":"1","messaging":[{}],"messaging":[],"standby":[{}],"messaging":{}}}}}"#,
        event("a"),
        event("b"),
        event("c"),
        event("d")
    );
    let keys: std::collections::HashSet<_> = parse_text(body).unwrap().iter().map(|event| event.key).collect();
    assert_eq!(keys.len(), 4);
}

#[test]
fn numbers_that_jsonb_has_no_room_for_stay_bytes() {
    let zeros = "0".repeat(20_000);
    for number in ["0e-20000", "1e5000", &format!("1{zeros}"), &format!("0.{zeros}1"), "0e99999999999"] {
        let event = only(messaging(&format!(r#""x":{number}"#)));
        assert_eq!(event.body.jsonb, None, "{}", &number[..8]);
        assert!(event.body.raw.is_some());
    }
    assert!(only(messaging(r#""x":1e400"#)).body.raw.is_none());
}

#[test]
fn what_an_envelope_says_is_read_once_however_many_events_it_has() {
    let word = "A".repeat(100_000);
    let events = vec!["{}"; 1_000].join(",");
    let parsed = parse_text(format!(
        r#"{{"object":"{word}","entry":[{{"id":"{word}","time":"{word}","messaging":[{events}]}}]}}"#
    ))
    .unwrap();
    assert!(parsed.iter().all(|event| event.object.is_none() && event.page_id.is_none()));
    let around = parsed[0].envelope.as_ref().unwrap();
    assert_eq!(around.matches(&word).count(), 3, "none of it is lost");
    assert!(parsed[1..].iter().all(|event| event.envelope.is_none()));
}

#[test]
fn a_stranger_among_the_keys_does_not_change_what_an_event_is() {
    for key in ["reaction", "message_edit", "postback", "referral"] {
        let event = only(messaging(&format!(r#""app_id":"1","{key}":{{}},"lead":{{}}"#)));
        assert_eq!(event.event_type.as_deref(), Some(key));
    }
    assert_eq!(only(messaging(r#""b":1,"a":2"#)).event_type.as_deref(), Some("a"));
}

#[test]
fn a_note_or_another_kind_does_not_stand_in_the_way_of_a_twin() {
    let timeless = |time: &str| {
        only(format!(
            r#"{{"entry":[{{"id":"1",{time}"messaging":[{{"sender":{{"id":"2"}},"delivery":{{"mids":["m"]}}}}]}}]}}"#
        ))
    };
    assert_ne!(timeless(r#""time":5,"#).key, timeless("").key);
    let callback = r#"{"track_id":"t","attachment_id":"a"}"#;
    assert_ne!(only(callback).key, only(format!(r#"{{"entry":[{{"messaging":[{callback}]}}]}}"#)).key);
    let text = |text: &str| only(messaging(&format!(r#""message":{{"mid":"m","text":"{text}"}}"#))).key;
    assert_ne!(text("a"), text("b"));
}

#[test]
fn a_callback_is_one_whatever_stands_beside_it() {
    let plain = only(r#"{"track_id":"t","attachment_id":7}"#);
    let event = r#"{"sender":{"id":"2"},"recipient":{"id":"1"},"timestamp":1760000000000,"message":{"mid":"m"}}"#;
    let entry = format!(r#"{{"id":"1","hop":5,"messaging":[{event}]}}"#);
    // Beside what it stands, whether it is the same event as the plain one, and the events that are found besides.
    for (members, is_same, others) in [
        (r#""object":"page","entry":[]"#.to_owned(), true, vec![]),
        (r#""object":"page","entry":null"#.to_owned(), false, vec![]),
        (r#""entry":[{"id":"1","time":1760000000000,"messaging":[]}]"#.to_owned(), true, vec![]),
        (r#""entry":["lost?"]"#.to_owned(), true, vec![Container::Document]),
        (r#""messaging":[],"standby":null"#.to_owned(), false, vec![]),
        (format!(r#""object":"page","entry":[{entry}]"#), true, vec![Container::Messaging]),
        (format!(r#""entry":{entry},"uid":9"#), false, vec![Container::Messaging]),
        (format!(r#""messaging":[{event},{event}]"#), true, vec![Container::Messaging; 2]),
        (event[1..event.len() - 1].to_owned(), true, vec![Container::Messaging]),
    ] {
        let mut events = parse_text(format!(r#"{{"track_id":"t",{members},"attachment_id":7}}"#)).unwrap();
        let callback = events.remove(0);
        assert_eq!((callback.kind, callback.container), (Kind::Upload, Container::Callback), "{members}");
        assert_eq!((&callback.facts, callback.note), (&plain.facts, None), "{members}");
        assert_eq!(callback.key == plain.key, is_same, "{members}");
        assert_eq!(events.iter().map(|event| event.container).collect::<Vec<_>>(), others, "{members}");
        for event in events.iter().filter(|event| event.container == Container::Messaging) {
            assert_eq!((event.kind, event.key), (Kind::Message, only(entry.clone()).key), "{members}");
        }
        // Each byte is kept once: with the callback, or with the event.
        let kept = |event: &Event| format!("{:?} {:?}", event.body.exact(), event.envelope);
        let around: String = [&[callback], events.as_slice()].concat().iter().map(kept).collect();
        for part in ["lost?", "uid", "hop"].iter().filter(|part| members.contains(*part)) {
            assert_eq!(around.matches(part).count(), 1, "{part} in {around}");
        }
    }
    let in_entry = only(r#"{"entry":[{"id":"1","time":1760000000000,"track_id":"t","attachment_id":7}]}"#);
    assert_eq!((in_entry.facts, in_entry.is_timed_by_receipt), (plain.facts, false));
    // What names no upload is none.
    for not in [r#""track_id":"t""#, r#""track_id":"t","attachment_id":{}"#, r#""track_id":null,"attachment_id":"7""#] {
        let body = format!(r#"{{"object":"page",{not},"entry":[]}}"#);
        assert_eq!(only(body).container, Container::Document, "{not}");
    }
}

#[test]
fn what_the_page_reads_says_nothing_of_what_it_sent() {
    let read = messaging(r#""read":{"watermark":1760000000000}"#);
    let by_page = only(
        read.replace(r#""sender":{"id":"2"},"recipient":{"id":"1"}"#, r#""sender":{"id":"1"},"recipient":{"id":"2"}"#),
    );
    assert_eq!((by_page.note, by_page.facts), (None, Facts::Seen { opens_window: false }));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "object",
            "entry",
            "messaging",
            "standby",
            "changes",
            "id",
            "time",
            "sender",
            "recipient",
            "timestamp",
            "message",
            "delivery",
            "read",
            "optin",
            "mid",
            "mids",
            "watermark",
            "track_id",
            "attachment_id",
            "is_echo",
            "is_deleted",
            "attachments",
            "type",
            "title",
            "message_edit",
            "notification_messages_status",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|quarters| (f64::from(quarters) / 4.0).into()),
        any::<String>().prop_map(Into::into),
        Just(serde_json::Value::from(1_760_000_000_000_i64)),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_becomes_events(value in json()) {
        let text = value.to_string();
        let events = parse_text(text.clone()).unwrap();
        prop_assert!(!events.is_empty());
        for event in &events {
            let exact = event.body.exact().unwrap();
            prop_assert!(text.contains(std::str::from_utf8(exact).unwrap()));
            prop_assert!(event.occurred_at <= received_at() + chrono::TimeDelta::hours(24));
        }
    }

    #[test]
    fn key_order_does_not_matter(value in json()) {
        // serde_json writes its maps sorted, so reading and writing reorders whatever came in.
        let event = format!(r#"{{"zz":1,"sender":{{"id":"2"}},"x":{value},"a":{value}}}"#);
        let sorted = serde_json::from_str::<serde_json::Value>(&event).unwrap().to_string();
        let key = |event: &str| only(format!(r#"{{"entry":[{{"id":"1","messaging":[{event}]}}]}}"#)).key;
        prop_assert_eq!(key(&event), key(&sorted));
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_text(bytes);
    }

    #[test]
    fn any_damage_to_a_real_body_is_answered(at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400) {
        let mut body = messaging(r#""message":{"mid":"m_1","text":"\u4f60\ud83d\ude00 \\u0000"}"#).into_bytes();
        if let Some(damaged) = body.get_mut(at) { *damaged = byte; }
        body.truncate(cut);
        let _ = parse_text(body);
    }
}
