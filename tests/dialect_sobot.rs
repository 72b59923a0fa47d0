//! Sobot's API: a message that we sent and a subscriber of its list become one event each, which its journal's row tells
//! again; no answer whatever makes the dialect panic.

mod support;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use sobot_hook::dialect::sobot::{Sent, sent, subscriber};
use sobot_hook::event::{Container, Direction, Event, Facts, Kind, Note, SubscriptionFacts};
use support::own::{any_json, page, recalled, user};

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_760_100_000_000).unwrap()
}

fn answered(mid: Option<&str>, request: &str) -> Event {
    sent(&Sent { page_id: &page("110"), user_id: &user("2200"), mid, request, answered_at: at() }).unwrap()
}

fn listed(item: &Value) -> Event {
    subscriber(&page("110"), &item.to_string(), at()).unwrap()
}

/// An item of the list, with these members in place of its own.
fn item(members: &Value) -> Value {
    let mut item = json!({
        "companyid": "5f52", "create_time": 1_715_079_942_588_i64, "facebookid": "2200", "pageid": "110", "sub_status": 1,
        "sub_title": "nice day", "sub_token": "69565", "timezone": "UTC", "title_describe": "132",
        "update_time": 1_715_155_761_777_i64,
    });
    item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    item
}

fn subscription(event: &Event) -> &SubscriptionFacts {
    let Facts::Subscription(facts) = &event.facts else { panic!("{event:?}") };
    facts
}

#[test]
fn what_we_send_is_a_message_as_its_echo_will_tell_it() {
    let button = json!({ "template_type": "button", "text": "Which?", "buttons": [] });
    for (request, text, types) in [
        (json!({ "type": "text", "payload": "你好" }), Some("你好"), None),
        (json!({ "type": "image", "payload": { "url": "u" } }), None, Some("image")),
        (json!({ "type": "audio", "payload": { "url": "u" } }), None, Some("audio")),
        (json!({ "type": "video", "payload": { "url": "u" } }), None, Some("video")),
        (json!({ "type": "file", "payload": { "url": "u" } }), None, Some("file")),
        (json!({ "type": "template", "payload": button }), Some("Which?"), Some("template")),
        (json!({ "type": "template", "payload": { "template_type": "media" } }), None, Some("template")),
        // An opt-in message.
        (json!({ "appid": "110", "title": "nice day", "recipient_id": "2200" }), None, Some("template")),
        (json!({ "type": "text", "payload": { "text": "no text" } }), None, None),
        (json!({}), None, None),
    ] {
        let event = answered(Some("m_1"), &request.to_string());
        assert_eq!((event.container, event.kind, event.note), (Container::Api, Kind::Message, None));
        assert_eq!((event.direction, event.user_id.as_ref()), (Direction::Outbound, Some(&user("2200"))));
        assert_eq!((event.occurred_at, event.is_timed_by_receipt), (at(), false));
        let Facts::Message(facts) = &event.facts else { panic!("{event:?}") };
        assert_eq!((facts.text.as_deref(), facts.attachment_types.as_deref()), (text, types), "{request}");
        assert_eq!(facts.mid.as_str(), "m_1");
    }
}

#[test]
fn no_token_of_a_request_is_kept() {
    let request = r#"{"recipient_token":"SECRET","pageid":"110","Token":"SECRET","type":"text","payload":"token"}"#;
    let event = answered(Some("m_1"), request);
    let body = std::str::from_utf8(event.body.exact().unwrap()).unwrap();
    assert!(body.ends_with(r#""request":{"pageid":"110","type":"text","payload":"token"}}"#), "{body}");
    // However its name is spelled; and of what is no object nothing can be told apart.
    for request in [r#"{"recipient\u005ftoken":"SECRET"}"#, r#"["SECRET"]"#, r#""SECRET""#] {
        let event = answered(Some("m_1"), request);
        assert!(!format!("{event:?}").contains("SECRET"), "{request}");
        assert!(event.body.exact().unwrap().ends_with(br#""request":{}}"#), "{request}");
    }
}

#[test]
fn an_answer_without_a_mid_is_kept_and_tells_the_state_nothing() {
    let request = r#"{"type":"text","payload":"x"}"#;
    for (mid, note) in [(None, Note::NoMid), (Some(""), Note::NoMid), (Some("x".repeat(513).as_str()), Note::IdTooLong)]
    {
        let event = answered(mid, request);
        assert_eq!((event.note, &event.facts), (Some(note), &Facts::None));
    }
    let sent_with =
        |request| sent(&Sent { page_id: &page("1"), user_id: &user("2"), mid: None, request, answered_at: at() });
    assert!(sent_with("no JSON").is_err());
}

#[test]
fn an_item_of_the_list_is_a_subscription_since_it_last_changed() {
    let event = listed(&item(&json!({})));
    assert_eq!((event.container, event.kind, event.note), (Container::Sync, Kind::Optin, None));
    assert_eq!((event.page_id.as_ref(), event.user_id.as_ref()), (Some(&page("110")), Some(&user("2200"))));
    assert_eq!((event.occurred_at.timestamp_millis(), event.received_at), (1_715_155_761_777, at()));
    let facts = subscription(&event);
    assert_eq!((facts.topic.as_str(), facts.is_subscribed, facts.token.as_deref()), ("nice day", true, Some("69565")));
    assert_eq!((facts.payload.as_deref(), facts.timezone.as_deref()), (Some("132"), Some("UTC")));
    assert_eq!(facts.created_at.unwrap().timestamp_millis(), 1_715_079_942_588);
    assert!(!facts.tells_terms());

    let at_of = |members: Value| listed(&item(&members)).occurred_at.timestamp_millis();
    assert_eq!(at_of(json!({ "update_time": "1715155761777" })), 1_715_155_761_777);
    assert_eq!(at_of(json!({ "update_time": "2024-05-08 08:09:21" })), 1_715_155_761_000);
    assert_eq!(at_of(json!({ "update_time": null })), 1_715_079_942_588);
    assert_eq!(at_of(json!({ "update_time": "", "create_time": "" })), at().timestamp_millis());
}

#[test]
fn an_item_may_have_any_types() {
    for (status, is_subscribed) in
        [(json!(1), true), (json!("1"), true), (json!(1.0), true), (json!(0), false), (json!("0"), false)]
    {
        let item = item(&json!({ "sub_status": status, "facebookid": 2200, "pageid": 110, "sub_token": 69565 }));
        let event = listed(&item);
        assert_eq!((event.page_id.as_ref(), event.user_id.as_ref()), (Some(&page("110")), Some(&user("2200"))));
        assert_eq!(subscription(&event).is_subscribed, is_subscribed, "{item}");
        assert_eq!(subscription(&event).token.as_deref(), Some("69565"));
    }
    let blank = listed(&item(&json!({ "sub_token": " ", "timezone": "", "pageid": null, "create_time": 5 })));
    assert_eq!(blank.page_id, Some(page("110")), "the page that was asked about");
    let facts = subscription(&blank);
    assert_eq!((&facts.token, &facts.timezone, facts.created_at), (&None, &None, None));
}

#[test]
fn an_item_that_the_state_cannot_hold_is_kept_with_a_note() {
    let long = "x".repeat(513);
    for (told, note) in [
        (json!(null), Note::NotAnObject),
        (json!([1]), Note::NotAnObject),
        (item(&json!({ "sub_title": null })), Note::NoTopic),
        (item(&json!({ "sub_title": long })), Note::IdTooLong),
        (item(&json!({ "facebookid": null })), Note::NoUser),
        (item(&json!({ "facebookid": long })), Note::IdTooLong),
        (item(&json!({ "sub_status": null })), Note::UnknownSubStatus),
        (item(&json!({ "sub_status": 2 })), Note::UnknownSubStatus),
        (item(&json!({ "update_time": 5 })), Note::TimeTooEarly),
        (item(&json!({ "update_time": 9_000_000_000_000_000_i64 })), Note::TimeTooLate),
    ] {
        let event = listed(&told);
        assert_eq!((event.note, &event.facts), (Some(note), &Facts::None), "{told}");
    }
    assert!(subscriber(&page("110"), "{", at()).is_err());
}

#[test]
fn an_item_that_has_not_changed_is_the_same_event() {
    let item = item(&json!({}));
    let ask = |hours| subscriber(&page("110"), &item.to_string(), at() + TimeDelta::hours(hours)).unwrap();
    assert_eq!((ask(0).key, ask(0).occurred_at), (ask(24).key, ask(24).occurred_at));
    assert_ne!(ask(0).key, listed(&self::item(&json!({ "sub_status": 0 }))).key);
}

proptest! {
    #[test]
    fn any_answer_becomes_an_event_that_the_journal_tells_again(
        told in any_json(&[
            "facebookid", "pageid", "sub_status", "sub_title", "sub_token", "timezone", "title_describe", "create_time",
            "update_time", "type", "payload", "text", "title",
        ]),
        mid in any::<Option<String>>(),
    ) {
        for told in [told.clone(), item(&json!({ "sub_status": told, "sub_token": told, "update_time": told }))] {
            let event = listed(&told);
            prop_assert_eq!(recalled(&event), event);
            let event = answered(mid.as_deref(), &told.to_string());
            prop_assert_eq!(recalled(&event), event);
        }
    }
}
