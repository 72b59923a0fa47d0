//! However JSON is spelled, it means the same: what is ruled of an event depends on its decoded values alone, and so is
//! the same again when it comes back from `jsonb`, which keeps no spelling.

mod support;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fastrand::Rng;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sobot_hook::dialect::recall;
use sobot_hook::dialect::webhook::parse;
use sobot_hook::event::{Event, Facts, Journaled, Note, Receipt};
use sobot_hook::jobs::rebuild::rebuild;
use sobot_hook::store::{Batch, Scope};
use support::database::Database;

fn received_at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_760_100_000_000).unwrap()
}

/// JSON without a spelling.
#[derive(Debug, Clone)]
enum Value {
    /// `true`, `false` or `null`.
    Word(&'static str),
    /// Digits × 10^exponent.
    Number(String, i32),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

fn number(digits: &str, exponent: i32) -> Value {
    Value::Number(digits.to_owned(), exponent)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// One of all the ways to write a value.
fn spell(value: &Value, rng: &mut Rng) -> String {
    let written = match value {
        Value::Word(word) => (*word).to_owned(),
        Value::Number(digits, exponent) => spell_number(digits, *exponent, rng),
        Value::Text(text) => spell_text(text, rng),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|element| spell(element, rng)).collect();
            format!("[{}{}]", space(rng), elements.join(","))
        }
        Value::Object(members) => {
            let mut order: Vec<_> = members.iter().collect();
            rng.shuffle(&mut order);
            let mut written: Vec<_> = order
                .into_iter()
                .map(|(name, value)| format!("{}{}:{}", spell_text(name, rng), space(rng), spell(value, rng)))
                .collect();
            // A member that a later one of the same name takes back. (Containers add up: see the test of the dialect.)
            let is_repeated = |(name, _): &&(String, Value)| !["entry", "messaging"].contains(&name.as_str());
            if let Some((name, _)) = rng.choice(members).filter(is_repeated).filter(|_| rng.u8(..4) == 0) {
                let junk = rng.choice(["null", "1", "true", r#"{"id":"9"}"#, r#""x""#]).unwrap();
                written.insert(0, format!("{}:{junk}", spell_text(name, rng)));
            }
            format!("{{{}{}}}", space(rng), written.join(","))
        }
    };
    [space(rng), &written, space(rng)].concat()
}

fn space(rng: &mut Rng) -> &'static str {
    rng.choice(["", "", "", " ", "\n\t"]).unwrap()
}

fn spell_number(digits: &str, exponent: i32, rng: &mut Rng) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let zeros = if rng.bool() { 0 } else { rng.usize(..150) };
    let zeros_written = "0".repeat(zeros);
    let exponent_of_more = exponent - i32::try_from(zeros).unwrap();
    let letter = rng.choice(["e", "E"]).unwrap();
    match rng.u8(..4) {
        0 if exponent == 0 => format!("{sign}{digits}"),
        1 if exponent == 0 => format!("{sign}{digits}.0{zeros_written}"),
        2 if digits != "0" => {
            let (first, rest) = digits.split_at(1);
            let exponent = exponent + i32::try_from(rest.len()).unwrap();
            format!("{sign}{first}.{rest}0{zeros_written}{letter}{exponent}")
        }
        _ if digits == "0" => format!("{}0.{zeros_written}0{letter}+{zeros}", rng.choice(["", "-"]).unwrap()),
        _ => format!("{sign}{digits}{zeros_written}{letter}{exponent_of_more}"),
    }
}

fn spell_text(text: &str, rng: &mut Rng) -> String {
    let escapes = rng.u8(..4);
    let mut written = String::from("\"");
    for character in text.chars() {
        let must = matches!(character, '"' | '\\') || character < ' ';
        if must || rng.u8(..4) < escapes {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let escape = if rng.bool() { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                written.push_str(&escape);
            }
        } else if character == '/' && rng.bool() {
            written.push_str("\\/");
        } else {
            written.push(character);
        }
    }
    written + "\""
}

fn any_of(values: Vec<Value>) -> impl Strategy<Value = Value> + Clone {
    prop::sample::select(values)
}

fn any_id() -> impl Strategy<Value = Value> + Clone {
    let mut ids: Vec<_> = ["1", "1", "2", "订/阅\u{1F600}", "", "a\u{0}b", "true"].map(text).into();
    // At the limit, beyond it, and so long that no spelling of it is short.
    ids.extend([511, 512, 513, 4_000].map(|length| Value::Text("x".repeat(length))));
    ids.extend([170, 171].map(|length| Value::Text("订".repeat(length))));
    ids.extend([number("1", 0), number("0", 0), number("-5", 0), number("61", 14), number("15", -1)]);
    ids.extend([number("1", 511), number("1", 512), number("12", 520), number("18446744073709551617", 0)]);
    ids.push(Value::Word("null"));
    let ordinary = vec![text("1"), text("2"), number("61", 14)];
    prop_oneof![2 => any_of(ordinary), 1 => any_of(ids)]
}

fn any_time() -> impl Strategy<Value = Value> + Clone {
    let mut times = vec![number("1760000000000", 0), number("176", 10), number("176", 7), number("17600000000005", -1)];
    times.extend([number("0", 0), number("-5", 0), number("1", 400), number("1", -400), number("2592", 6)]);
    times.extend(
        ["1760000000000", " 1760000000 ", "2025-10-09T08:53:20+0000", "2025-10-09 08:53:20", "soon", "1e400"].map(text),
    );
    times.push(Value::Text(format!("2025-10-09T08:53:20.{}Z", "0".repeat(79))));
    times.push(Value::Text(format!("2025-10-09T08:53:20.{}Z", "0".repeat(80))));
    times.extend(["null", "true"].map(Value::Word));
    prop_oneof![any_of(vec![number("1760000000000", 0), number("176", 7)]), any_of(times)]
}

fn any_flag() -> impl Strategy<Value = Value> + Clone {
    any_of(vec![Value::Word("true"), Value::Word("false"), text("true"), text("truer"), text("false"), number("1", 0)])
}

/// The members that make an event what it is.
fn any_content() -> impl Strategy<Value = (&'static str, Value)> {
    let statuses = ["STOP_NOTIFICATIONS", "resume notifications", "what"].map(text);
    let status = any_of([vec![Value::Word("null")], statuses.into()].concat());
    let attachments = any_of(vec![
        Value::Word("null"),
        Value::Array(vec![object([("type", text("image"))]), object([("type", text("fi/le"))])]),
        object([("type", text("image"))]),
    ]);
    let message = (any_id(), any_flag(), any_flag(), attachments).prop_map(|(mid, deleted, echo, attachments)| {
        let members = [("mid", mid), ("text", text("\"你\"\n")), ("attachments", attachments)];
        ("message", object([members, [("is_deleted", deleted), ("is_echo", echo), ("n", number("15", -1))]].concat()))
    });
    let delivery = (any_id(), any_id(), any_time()).prop_map(|(mid, other, watermark)| {
        ("delivery", object([("mids", Value::Array(vec![mid, other])), ("watermark", watermark)]))
    });
    let read =
        (any_id(), any_time()).prop_map(|(mid, watermark)| ("read", object([("mid", mid), ("watermark", watermark)])));
    let optin = (any_id(), any_id(), any_time(), status).prop_map(|(title, token, expiry, status)| {
        let members =
            [("type", text("notification_messages")), ("title", title), ("notification_messages_token", token)];
        let rest = [
            ("token_expiry_timestamp", expiry),
            ("notification_messages_status", status),
            ("notification_messages_timezone", text("Asia/Shanghai")),
        ];
        ("optin", object([members, rest].concat()))
    });
    let edit = (any_id(), any_id())
        .prop_map(|(mid, count)| ("message_edit", object([("mid", mid), ("text", text("new")), ("num_edit", count)])));
    let action = any_of(vec![text("react"), text("unreact")]);
    let reaction = action.prop_map(|action| ("reaction", object([("action", action)])));
    let stranger = prop_oneof![Just("postback"), Just("stran/ger")].prop_map(|name| (name, object([])));
    prop_oneof![message, delivery, read, optin, edit, reaction, stranger]
}

fn any_body() -> impl Strategy<Value = Value> {
    let event = (any_id(), any_id(), any_time(), any_content()).prop_map(|(sender, recipient, timestamp, content)| {
        let party = |id: Value| object([("id", id)]);
        object([("sender", party(sender)), ("recipient", party(recipient)), ("timestamp", timestamp), content])
    });
    let word = any_of(vec![text("page"), Value::Text("w".repeat(400)), Value::Text("w".repeat(600)), number("1", 0)]);
    let enveloped = (word, any_id(), any_time(), event).prop_map(|(word, page, time, event)| {
        let entry = object([("id", page), ("time", time), ("messaging", Value::Array(vec![event]))]);
        object([("object", word), ("entry", Value::Array(vec![entry]))])
    });
    let callback = (any_id(), any_id())
        .prop_map(|(track, attachment)| object([("track_id", track), ("attachment_id", attachment)]));
    prop_oneof![8 => enveloped, 1 => callback]
}

/// All that is ruled of an event.
fn rulings(event: &Event) -> impl PartialEq + std::fmt::Debug + use<> {
    let Event { key, occurred_at, is_timed_by_receipt, user_id, page_id, object, entry_time, kind, event_type, .. } =
        event.clone();
    let times = (occurred_at, is_timed_by_receipt, entry_time);
    let Event { container, note, direction, facts, .. } = event.clone();
    (key, times, (user_id, page_id, object), (container, kind, event_type), (note, direction, facts))
}

fn events_of(body: &str) -> Vec<Event> {
    parse(&Bytes::from(body.to_owned()), received_at()).unwrap()
}

/// A body and two ways to write it.
fn any_spelled() -> impl Strategy<Value = (String, String)> {
    (any_body(), any::<u64>(), any::<u64>()).prop_map(|(body, one, other)| {
        let spelled = |seed| spell(&body, &mut Rng::with_seed(seed));
        (spelled(one), spelled(other))
    })
}

proptest! {
    #![proptest_config(Config { cases: 1_500, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_spelling_of_a_body_means_the_same((one, other) in any_spelled()) {
        let (one, other) = (events_of(&one), events_of(&other));
        let rulings = |events: &[Event]| events.iter().map(rulings).collect::<Vec<_>>();
        prop_assert_eq!(rulings(&one), rulings(&other));
    }
}

#[test]
fn what_jsonb_keeps_means_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, store) = runtime.block_on(Database::migrated());
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_spelled(), |(one, other)| {
        let events = [events_of(&one), events_of(&other)].concat();
        let batch = Batch { events: events.iter().collect(), quarantined: Vec::new() };
        runtime.block_on(store.session().commit(&batch)).unwrap();
        for event in events.iter().filter(|event| event.note.is_none() && event.container.is_folded()) {
            let Some(jsonb) = &event.body.jsonb else { continue };
            let kept = sqlx::query_scalar("select $1::jsonb::text").bind(std::str::from_utf8(jsonb).unwrap());
            let kept: String = runtime.block_on(kept.fetch_one(&database.pool)).unwrap();
            let recalled = recall(&Journaled {
                body: &kept.into(),
                container: event.container,
                page_id: event.page_id.as_ref().map_or("", |page| page.as_str()),
                key: event.key,
                occurred_at: event.occurred_at,
                entry_time: event.entry_time,
                receipt: Receipt { received_at: event.received_at, clock_skew: None },
            });
            let rulings = |event: &Event| {
                let Event { user_id, page_id, kind, event_type, note, direction, facts, .. } = event.clone();
                (user_id, page_id, kind, event_type, note, direction, facts)
            };
            prop_assert_eq!(rulings(&recalled.unwrap()), rulings(event));
        }
        Ok(())
    });
    let rebuilt = runtime.block_on(rebuild(&store, Scope::Check, |_, _| (), |difference| eprintln!("{difference:?}")));
    runtime.block_on(store.close());
    outcome.unwrap();
    let rebuilt = rebuilt.unwrap();
    assert!(rebuilt.events > 100, "{rebuilt:?}");
    assert_eq!(rebuilt.differences, 0);
}

fn only(members: &str) -> Event {
    let body = format!(
        r#"{{"object":"page","entry":[{{"id":"1","messaging":[{{"sender":{{"id":"2"}},"timestamp":1760000000000,{members}}}]}}]}}"#
    );
    let mut events = events_of(&body);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[test]
fn escapes_and_long_numbers_are_read() {
    let unsend = only(r#""message":{"mid":"m","is_deleted":"\u0074rue"}"#);
    assert!(matches!(unsend.facts, Facts::Unsend { .. }), "{unsend:?}");
    let watermark = |watermark: &str| match only(&format!(r#""read":{{"watermark":{watermark}}}"#)).facts {
        Facts::Read { watermark, .. } => watermark.map(|at| at.timestamp_millis()),
        facts => panic!("{facts:?}"),
    };
    let escaped = "2025-10-09T08:53:20Z".bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
    for same in [
        "1760000000000".to_owned(),
        format!("1760000000000.{}", "0".repeat(300)),
        format!("1760000000000{}e-2000", "0".repeat(2_000)),
        format!("\"{escaped}\""),
    ] {
        assert_eq!(watermark(&same), Some(1_760_000_000_000), "{same}");
    }
    let long = only(r#""message":{"mid":1e600}"#);
    assert_eq!(long.note, Some(Note::IdTooLong));
}
