//! Meta's Conversations API: every sort of message becomes one event, which its journal's row tells again; no answer
//! whatever makes the dialect panic.

mod support;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use sobot_hook::dialect::graph::{Conversation, Platform, message};
use sobot_hook::event::{Container, Direction, Event, Facts, Kind, Note};
use support::own::{any_json, page, recalled};

fn asked_at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_760_100_000_000).unwrap()
}

fn on(platform: Platform, user_id: Option<&str>, told: &str) -> Event {
    let page_id = &page("110");
    message(&Conversation { page_id, platform, conversation_id: "t_1", user_id }, told, asked_at()).unwrap()
}

/// A message of the conversation of page 110 with user 2200, with these members beside id and time.
fn told(members: &Value) -> Event {
    on(Platform::Messenger, Some("2200"), &with(members).to_string())
}

fn with(members: &Value) -> Value {
    let mut message = json!({ "id": "m_1", "created_time": "2025-10-09T08:53:20+0000" });
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    message
}

/// Text and types of the attachments; none for a message that is only listed.
fn content(event: &Event) -> Option<(Option<&str>, Option<&str>)> {
    match &event.facts {
        Facts::Message(facts) => Some((facts.text.as_deref(), facts.attachment_types.as_deref())),
        Facts::Listed { .. } => None,
        other => panic!("{other:?}"),
    }
}

fn user(event: &Event) -> &str {
    event.user_id.as_ref().unwrap().as_str()
}

#[test]
fn a_message_with_all_its_details() {
    let text = r#"{"id":"m_1","created_time":"2025-10-09T08:53:20+0000","message":"你好","sticker":"",
        "from":{"name":"A","email":"2200@facebook.com","id":"2200"},
        "to":{"data":[{"name":"B","email":"110@facebook.com","id":"110"}]},"tags":{"data":[{"name":"inbox"}]}}"#;
    let event = on(Platform::Messenger, Some("2200"), text);
    assert_eq!((event.container, event.kind, event.note), (Container::Backfill, Kind::Message, None));
    assert_eq!((event.direction, user(&event), event.object.as_deref()), (Direction::Inbound, "2200", Some("page")));
    assert_eq!(content(&event), Some((Some("你好"), None)));
    assert_eq!(event.occurred_at.timestamp_millis(), 1_760_000_000_000);
    assert_eq!(event.received_at, asked_at());
    let body = std::str::from_utf8(event.body.exact().unwrap()).unwrap();
    assert!(body.contains(text), "Meta's object is kept as it came");
}

#[test]
fn who_wrote_it_is_told_by_from_or_else_by_what_is_left_of_it() {
    let (page, user_, stranger) = (json!({ "id": "110" }), json!({ "id": 2200 }), json!({ "id": "999" }));
    let to = |party: &Value| json!({ "data": [party] });
    for (members, direction, customer) in [
        (json!({ "from": page, "to": to(&user_) }), Direction::Outbound, "2200"),
        (json!({ "from": page }), Direction::Outbound, "2200"),
        (json!({ "from": page, "to": to(&stranger) }), Direction::Outbound, "999"),
        (json!({ "from": user_, "to": to(&page) }), Direction::Inbound, "2200"),
        (json!({ "from": user_ }), Direction::Inbound, "2200"),
        (json!({ "from": stranger, "to": to(&page) }), Direction::Inbound, "999"),
        (json!({ "from": stranger }), Direction::Unknown, "2200"),
        (json!({ "from": null, "to": to(&page) }), Direction::Inbound, "2200"),
        (json!({ "from": {}, "to": to(&user_) }), Direction::Outbound, "2200"),
        (json!({ "tags": { "data": [{ "name": "inbox" }, { "name": "sent" }] } }), Direction::Outbound, "2200"),
        (json!({ "tags": { "data": [{ "name": "inbox" }] } }), Direction::Unknown, "2200"),
    ] {
        let mut members = members;
        members["message"] = "x".into();
        let event = told(&members);
        assert_eq!((event.direction, user(&event)), (direction, customer), "{members}");
        // Of whom nobody knows who it is nothing is shown, either.
        assert_eq!(content(&event), (direction != Direction::Unknown).then_some((Some("x"), None)), "{members}");
    }
    // Where the participant is not known, from and to tell.
    let alone = |members: &Value| on(Platform::Messenger, None, &with(members).to_string());
    let event = alone(&json!({ "message": "x", "from": { "id": "2200" } }));
    assert_eq!((event.direction, user(&event)), (Direction::Inbound, "2200"));
    let event = alone(&json!({ "message": "x", "from": { "id": "110" } }));
    assert_eq!((event.note, event.user_id), (Some(Note::NoUser), None));
}

#[test]
fn attachments_have_the_words_of_the_webhook() {
    let attachment = |what: Value| json!({ "attachments": { "data": [what] } });
    let image = json!({ "image_data": { "width": 800, "url": "u" }, "mime_type": "image/jpeg", "size": null });
    let sticker = json!({ "image_data": { "render_as_sticker": true, "url": "u" }, "mime_type": "image/png" });
    let video = json!({ "image_data": { "url": "u" }, "video_data": { "length": 3, "url": "u" } });
    let share = json!({ "data": [{ "id": null, "link": "https://x.example", "name": "" }] });
    let product = json!({ "data": [{ "template": { "payload": { "product": {} } } }] });
    for (members, types) in [
        (attachment(image.clone()), "image"),
        (attachment(sticker.clone()), "sticker"),
        (json!({ "sticker": "https://x.example", "shares": share }), "sticker"),
        (json!({ "sticker": "https://x.example", "attachments": { "data": [sticker] } }), "sticker"),
        (attachment(video.clone()), "video"),
        (attachment(json!({ "mime_type": "video/mp4", "file_url": "u" })), "video"),
        (attachment(json!({ "mime_type": "audio/mpeg", "file_url": "u" })), "audio"),
        (attachment(json!({ "mime_type": "application/pdf", "file_url": "u", "size": 7 })), "file"),
        (attachment(json!({ "file_url": "u" })), "file"),
        (attachment(json!({ "id": "1", "name": "Media not available" })), "fallback"),
        (attachment(json!({ "generic_template": { "title": "x" } })), "template"),
        (json!({ "attachments": { "data": [image, video, null, {}, 3] } }), "image,video"),
        (json!({ "shares": share }), "fallback"),
        (json!({ "shares": product }), "template"),
        (json!({ "story": { "mention": { "link": "u", "id": "1" } } }), "story_mention"),
    ] {
        let mut members = members;
        members["from"] = json!({ "id": "2200" });
        members["message"] = "".into();
        assert_eq!(content(&told(&members)), Some((None, Some(types))), "{members}");
        members["message"] = "beside".into();
        assert_eq!(content(&told(&members)), Some((Some("beside"), Some(types))), "{members}");
    }
    let members = json!({ "from": { "id": "2200", "username": "a" }, "message": "", "shares": share });
    let event = on(Platform::Instagram, Some("2200"), &with(&members).to_string());
    assert_eq!((content(&event), event.object.as_deref()), (Some((None, Some("share"))), Some("instagram")));
}

#[test]
fn an_empty_text_counts_where_there_is_nothing_else() {
    let from = json!({ "id": "2200" });
    let reply = json!({ "reply_to": { "link": "u", "id": "1" } });
    assert_eq!(content(&told(&json!({ "from": from, "message": "", "story": reply }))), Some((Some(""), None)));
    assert_eq!(content(&told(&json!({ "from": from, "is_unsupported": "true" }))), Some((None, None)));
}

#[test]
fn of_an_old_message_only_its_time_is_told() {
    let event = told(&json!({}));
    assert_eq!((event.note, event.direction, user(&event)), (None, Direction::Unknown, "2200"));
    assert_eq!(event.facts, Facts::Listed { mid: std::borrow::Cow::from("m_1").try_into().unwrap() });
    // Somebody wrote it, but of what it says nothing is told.
    let event = told(&json!({ "from": { "id": "2200" } }));
    assert_eq!((event.direction, content(&event)), (Direction::Inbound, None));
}

#[test]
fn what_the_state_cannot_hold_is_kept_with_a_note() {
    let long = "x".repeat(513);
    let from = json!({ "id": "2200" });
    for (told, note) in [
        (json!("m_1"), Note::NotAnObject),
        (json!([]), Note::NotAnObject),
        (json!(null), Note::NotAnObject),
        (json!({ "created_time": "2025-10-09T08:53:20+0000", "from": from, "message": "x" }), Note::NoMid),
        (json!({ "id": "m_1", "from": from, "message": "x" }), Note::NoCreatedTime),
        (json!({ "id": "m_1", "created_time": "UNIX-TIMESTAMP", "from": from }), Note::NoCreatedTime),
        (json!({ "id": "m_1", "created_time": 0, "from": from }), Note::TimeTooEarly),
        (json!({ "id": "m_1", "created_time": "2099-01-01T00:00:00+0000", "from": from }), Note::TimeTooLate),
        (with(&json!({ "id": long, "from": from })), Note::IdTooLong),
        (with(&json!({ "from": { "id": long }, "to": { "id": "110" } })), Note::IdTooLong),
    ] {
        let event = on(Platform::Messenger, Some("2200"), &told.to_string());
        assert_eq!((event.note, &event.facts), (Some(note), &Facts::None), "{told}");
        assert!(event.body.exact().is_some());
    }
    let conversation = Conversation {
        page_id: &page("110"),
        platform: Platform::Messenger,
        conversation_id: "t_1",
        user_id: Some("2200"),
    };
    assert!(message(&conversation, "{\"id\":", asked_at()).is_err());
    assert!(message(&conversation, r#"{"id":"m_1"},"user_id":"3300""#, asked_at()).is_err(), "one value, not a few");
}

#[test]
fn asked_for_again_it_is_the_same_event() {
    let ask = |told: &Value, second| {
        let at = asked_at() + chrono::TimeDelta::seconds(second);
        let page_id = &page("110");
        let conversation =
            Conversation { page_id, platform: Platform::Messenger, conversation_id: "t_1", user_id: Some("2200") };
        message(&conversation, &told.to_string(), at).unwrap()
    };
    let signed = |by: &str| {
        let image = json!({ "image_data": { "url": format!("https://x.example/1?sig={by}") } });
        with(&json!({ "from": { "id": "2200" }, "message": "", "attachments": { "data": [image] } }))
    };
    // Also where it tells nothing to the state.
    let noted = |by: &str| {
        let mut told = signed(by);
        told["created_time"] = "2099-01-01T00:00:00+0000".into();
        told
    };
    for (first, second) in [(signed("a"), signed("b")), (with(&json!({})), with(&json!({}))), (noted("a"), noted("b"))]
    {
        assert_eq!(ask(&first, 0).key, ask(&second, 9).key, "{first}");
    }
    assert_ne!(ask(&signed("a"), 0).key, ask(&with(&json!({})), 0).key, "more is told than before");
}

proptest! {
    #[test]
    fn any_answer_becomes_an_event_that_the_journal_tells_again(
        told in any_json(&[
            "id", "created_time", "message", "from", "to", "data", "attachments", "image_data", "mime_type", "sticker",
            "shares", "story", "mention", "tags", "name", "is_unsupported", "render_as_sticker", "template",
        ]),
        known in any::<bool>(),
    ) {
        for told in [told.clone(), with(&json!({ "from": told, "message": told })), with(&json!({ "attachments": told }))] {
            let event = on(Platform::Instagram, known.then_some("2200"), &told.to_string());
            prop_assert_eq!(recalled(&event), event);
        }
    }
}
