//! Sending through Sobot's API, over real HTTP: the document's forms and limits, and what is known of a message when the
//! answer is not what it should be.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use sobot_hook::ids::Mid;
use sobot_hook::outbound::client::{CallError, Patience};
use sobot_hook::outbound::sobot::{SendOutcome, SendRequest, Sobot, SobotError};
use support::peer::closing;
use support::sobot::{
    SEND, TOKEN, answering, asked, client, last_call, refusal, settings, shelf, simulated, success, text,
};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Every example of the document's section on sending.
fn examples() -> Vec<Value> {
    let to = |kind: &str, payload: Value| {
        json!({
            "messaging_type": "RESPONSE", "recipientid": "RECIPIENTID", "pageid": "110", "type": kind, "payload": payload
        })
    };
    let media = |kind| to(kind, json!({ "url": "https://sg.sobot.com/console/common/face/admin.png" }));
    let mut tagged = to("text", json!("What do you want to do next?"));
    tagged["messaging_type"] = "MESSAGE_TAG".into();
    tagged["tag"] = "ACCOUNT_UPDATE".into();
    let mut marketing = to("text", json!("Sale!"));
    marketing.as_object_mut().unwrap().remove("recipientid");
    marketing["recipient_token"] = "6956578469".into();
    let visit = json!({ "type": "web_url", "url": "https://www.messenger.com", "title": "Visit Messenger" });
    let welcome = json!({
        "title": "Welcome!",
        "image_url": "https://petersfancybrownhats.com/company_image.png",
        "subtitle": "We have the right hat for everyone.",
        "default_action": {
            "type": "web_url",
            "url": "https://petersfancybrownhats.com/view?item=103",
            "messenger_extensions": false,
            "webview_height_ratio": "tall",
            "fallback_url": "https://petersfancybrownhats.com/",
        },
        "buttons": [
            { "type": "web_url", "url": "https://petersfancybrownhats.com", "title": "View Website" },
            { "type": "postback", "title": "Start Chatting", "payload": "DEVELOPER_DEFINED_PAYLOAD" },
        ],
    });
    let mut examples = vec![to("text", json!("What do you want to do next?")), tagged, marketing];
    examples.extend(["image", "audio", "video", "file"].map(media));
    examples.extend(
        [
            json!({ "template_type": "button", "text": "What do you want to do next?", "buttons": [visit] }),
            json!({ "template_type": "generic", "elements": [welcome] }),
            json!({ "template_type": "media", "elements": [{ "media_type": "image", "attachment_id": "1234567890" }] }),
            json!({
                "template_type": "media",
                "elements": [{ "media_type": "video", "url": "https://business.facebook.com/page/videos/1/" }],
            }),
        ]
        .map(|payload| to("template", payload)),
    );
    examples
}

#[tokio::test]
async fn every_message_of_the_document_is_sent_in_its_very_form() {
    let (simulator, sobot) = simulated().await;
    for example in examples() {
        let request = SendRequest::from_json(example.to_string().as_bytes()).unwrap();
        let sent = sobot.send(&request).await;
        let SendOutcome::Sent(sent) = sent else { panic!("{example}: {sent:?}") };
        assert!(sent.mid.unwrap().as_str().starts_with("m_"));
        let call = last_call(&simulator);
        assert_eq!((&call.method, call.path.as_str(), &call.body), (&Method::POST, SEND, &example));
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(Some(call.header("token")), simulator.lock().api.token().as_deref());
        // The file of `send --json` is written as it is read.
        assert_eq!(serde_json::to_value(&request).unwrap(), example);
    }
    assert_eq!(simulator.lock().api.sent, examples());
}

/// A message of text with these members changed.
fn with(changes: &Value) -> Value {
    let mut request = json!({ "recipientid": "524", "pageid": "110", "type": "text", "payload": "hidden" });
    request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    request
}

fn template(payload: &Value) -> Value {
    with(&json!({ "type": "template", "payload": payload }))
}

fn buttons(buttons: &[Value]) -> Value {
    template(&json!({ "template_type": "button", "text": "t", "buttons": buttons }))
}

/// A generic template with one element, of which these members differ.
fn card(members: &Value) -> Value {
    let mut element = json!({ "title": "t" });
    element.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    template(&json!({ "template_type": "generic", "elements": [element] }))
}

fn media(element: &Value) -> Value {
    template(&json!({ "template_type": "media", "elements": [element] }))
}

fn button() -> Value {
    json!({ "type": "web_url", "url": "https://example.com", "title": "t" })
}

/// So many characters of three bytes each.
fn long(characters: usize) -> String {
    "字".repeat(characters)
}

/// Requests that the document does not allow, and how each is told.
fn forbidden() -> Vec<(Value, &'static str)> {
    vec![
        (json!([]), "request: expected struct Wire"),
        (json!({ "recipientid": "524", "type": "text", "payload": "hidden" }), "request: missing field `pageid`"),
        (with(&json!({ "pageid": "" })), "pageid: an id of 1 to 512 bytes"),
        (with(&json!({ "pageid": 110 })), "pageid: expected a string"),
        (with(&json!({ "recipient_token": "7" })), "request: exactly one of recipientid and recipient_token"),
        (with(&json!({ "recipientid": null })), "request: exactly one of recipientid and recipient_token"),
        (with(&json!({ "recipientid": null, "recipient_token": "" })), "recipient_token: must not be empty"),
        (with(&json!({ "messaging_type": "REPLY" })), "messaging_type: expected one of"),
        (with(&json!({ "messaging_type": "MESSAGE_TAG" })), "tag: is needed, because messaging_type is MESSAGE_TAG"),
        (with(&json!({ "tag": "SALE" })), "tag: expected one of"),
        (with(&json!({ "messagingtype": "RESPONSE" })), "messagingtype: expected one of"),
        (with(&json!({ "type": "sticker" })), "type: one of text, image, audio, video, file and template"),
        (with(&json!({ "payload": "" })), "payload: must not be empty"),
        (with(&json!({ "payload": { "url": "hidden" } })), "payload: a text, because type is text"),
        (with(&json!({ "type": "image" })), "payload: expected struct Link"),
        (with(&json!({ "type": "image", "payload": {} })), "payload: missing field `url`"),
        (with(&json!({ "type": "file", "payload": { "url": "hidden" } })), "payload.url: a URL that begins with"),
        (with(&json!({ "type": "file", "payload": { "url": "ftp://hidden" } })), "payload.url: a URL that begins with"),
    ]
}

/// The same of templates.
fn forbidden_templates() -> Vec<(Value, &'static str)> {
    vec![
        (template(&json!("hidden")), "payload: an object"),
        (template(&json!({ "template_type": "list" })), "payload.template_type: one of button, generic and media"),
        (template(&json!({ "template_type": "button", "text": "t" })), "payload: missing field `buttons`"),
        (
            template(&json!({ "template_type": "button", "text": long(641), "buttons": [button()] })),
            "payload.text: at most 640 characters, not 641",
        ),
        (
            template(&json!({ "template_type": "button", "text": "", "buttons": [button()] })),
            "payload.text: must not be empty",
        ),
        (buttons(&[]), "payload.buttons: 1 to 3, not 0"),
        (buttons(&vec![button(); 4]), "payload.buttons: 1 to 3, not 4"),
        (buttons(&[json!({ "type": "web_url", "title": "t" })]), "payload.buttons[0].url: is needed"),
        (buttons(&[json!({ "type": "web_url", "title": "t", "url": "/" })]), "payload.buttons[0].url: a URL"),
        (buttons(&[json!({ "type": "postback", "title": "t" })]), "payload.buttons[0].payload: is needed"),
        (buttons(&[button(), json!({ "type": "", "title": "t" })]), "payload.buttons[1].type: must not be empty"),
        (buttons(&[json!({ "type": "web_url", "url": "https://example.com" })]), "payload.buttons[0].title: must not"),
        (buttons(&[json!({ "type": 7 })]), "payload.buttons[0].type: expected a string"),
        (template(&json!({ "template_type": "generic", "elements": [] })), "payload.elements: at least 1"),
        (card(&json!({ "title": long(81) })), "payload.elements[0].title: at most 80 characters, not 81"),
        (card(&json!({ "title": "" })), "payload.elements[0].title: must not be empty"),
        (card(&json!({ "subtitle": long(81) })), "payload.elements[0].subtitle: at most 80 characters, not 81"),
        (card(&json!({ "image_url": "hidden" })), "payload.elements[0].image_url: a URL"),
        (
            card(&json!({ "default_action": { "type": "web_url" } })),
            "payload.elements[0].default_action.url: is needed",
        ),
        (card(&json!({ "buttons": [] })), "payload.elements[0].buttons: 1 to 3, not 0"),
        (card(&json!({ "colour": "hidden" })), "payload.elements[0].colour: expected one of"),
        (
            template(&json!({ "template_type": "generic", "elements": [{ "title": "t" }], "buttons": [] })),
            "payload.buttons: 1 to 3, not 0",
        ),
        (template(&json!({ "template_type": "media", "elements": [] })), "payload.elements: at least 1"),
        (media(&json!({ "media_type": "image" })), "payload.elements[0]: exactly one of attachment_id and url"),
        (
            media(&json!({ "media_type": "image", "attachment_id": "7", "url": "https://facebook.com/7" })),
            "payload.elements[0]: exactly one of attachment_id and url",
        ),
        (media(&json!({ "media_type": "image", "attachment_id": "" })), "payload.elements[0].attachment_id: must not"),
        (
            media(&json!({ "media_type": "file", "attachment_id": "7" })),
            "payload.elements[0].media_type: image or video",
        ),
        (
            media(&json!({ "media_type": "image", "url": "https://notfacebook.com/hidden" })),
            "payload.elements[0].url: a URL of Facebook",
        ),
    ]
}

#[tokio::test]
async fn what_the_document_forbids_is_told_by_its_field_and_never_sent() {
    let (simulator, sobot) = simulated().await;
    for (request, expected) in forbidden().into_iter().chain(forbidden_templates()) {
        let problem = SendRequest::from_json(request.to_string().as_bytes()).unwrap_err().to_string();
        assert!(problem.starts_with(expected) && !problem.contains("hidden"), "{problem}\nfor {request}");
    }
    assert_eq!(SendRequest::from_json(b"hidden").unwrap_err().field, "request");
    // What was built and not read is checked as well.
    let outcome = sobot.send(&text("")).await;
    let SendOutcome::NotSent(SobotError::Invalid(invalid)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(invalid.field, "payload");
    assert!(simulator.lock().calls.is_empty());
    // What just fits goes out: 640 and 80 characters of three bytes each.
    for (text, title) in [(long(640), long(80))] {
        let fits = [
            template(&json!({ "template_type": "button", "text": text, "buttons": vec![button(); 3] })),
            card(&json!({ "title": title, "subtitle": title })),
        ];
        for request in fits {
            SendRequest::from_json(request.to_string().as_bytes()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_refused_message_is_not_sent_and_one_of_unknown_fate_is_not_sent_again() {
    let status = |status| ResponseTemplate::new(status).set_body_string("<html>hidden</html>");
    let cases = [
        (refusal("210002"), "not sent", 1),
        (refusal("210099"), "not sent", 1),
        // Refused for its token, it is sent once more with another one.
        (refusal("900001"), "not sent", 2),
        (refusal("900002"), "not sent", 2),
        (status(404), "not sent", 1),
        (status(429), "not sent", 1),
        (refusal("999999"), "unknown", 1),
        (status(408), "unknown", 1),
        (status(500), "unknown", 1),
        (status(502), "unknown", 1),
        (status(302), "unknown", 1),
        (status(200), "unknown", 1),
        (ResponseTemplate::new(500).set_body_json(json!({ "ret_code": "210002" })), "unknown", 1),
        (ResponseTemplate::new(200).set_body_json(json!({ "ret_msg": "hidden" })), "unknown", 1),
        (ResponseTemplate::new(200), "unknown", 1),
    ];
    for (answer, expected, times) in cases {
        let described = format!("{answer:?}");
        let (server, sobot) = answering(answer).await;
        let outcome = sobot.send(&text("?")).await;
        let found = match &outcome {
            SendOutcome::Sent(_) => "sent",
            SendOutcome::NotSent(_) => "not sent",
            SendOutcome::Unknown { .. } => "unknown",
        };
        assert_eq!((found, asked(&server).await), (expected, times), "{outcome:?} for {described}");
    }
}

#[tokio::test]
async fn without_a_connection_or_a_token_a_message_is_not_sent() {
    // Nothing listens here any more.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let shelf = || Arc::new(shelf("t0ken", 60));
    let sobot = Sobot::new(&settings(&format!("http://{nowhere}")), Patience::default(), shelf()).unwrap();
    let outcome = sobot.send(&text("?")).await;
    let is_known = |error: &SobotError| matches!(error, SobotError::Call(CallError::NotConnected { .. }));
    assert!(matches!(&outcome, SendOutcome::NotSent(error) if is_known(error)), "{outcome:?}");

    let server = MockServer::start().await;
    Mock::given(path(TOKEN)).respond_with(refusal("210001")).mount(&server).await;
    let outcome = client(&server.uri()).send(&text("?")).await;
    assert!(matches!(&outcome, SendOutcome::NotSent(SobotError::NoToken(_))), "{outcome:?}");
    assert_eq!(asked(&server).await, 0);
}

#[tokio::test]
async fn a_lost_or_half_answer_leaves_a_message_unknown_and_unrepeated() {
    let half =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"ret_code\":\"000000\"";
    for answer in [&b""[..], b"HTTP/1.1 200", half] {
        let (url, requests) = closing(answer).await;
        let sobot = Sobot::new(&settings(&url), Patience::default(), Arc::new(shelf("t0ken", 60))).unwrap();
        let outcome = sobot.send(&text("?")).await;
        let SendOutcome::Unknown { why: SobotError::Call(CallError::Broken { .. }), answer: None } = &outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_slow_answer_leaves_a_message_unknown_and_unrepeated() {
    let (server, _) = answering(success(json!({})).set_delay(Duration::from_hours(1))).await;
    let patience = Patience { answer: Duration::from_millis(300), ..Patience::default() };
    let shelf = Arc::new(shelf("t0ken", 60));
    let outcome = Sobot::new(&settings(&server.uri()), patience, shelf).unwrap().send(&text("?")).await;
    let is_slow = |error: &SobotError| matches!(error, SobotError::Call(CallError::TooSlow { .. }));
    assert!(matches!(&outcome, SendOutcome::Unknown { why, .. } if is_slow(why)), "{outcome:?}");
    assert_eq!(asked(&server).await, 1);
}

#[tokio::test]
async fn the_mid_is_found_whatever_the_answer_to_a_send_looks_like() {
    for (body, expected) in [
        (json!({ "item": { "message_id": "m_1", "recipient_id": "2" } }), Some("m_1")),
        (json!({ "item": { "mid": "m_1" } }), Some("m_1")),
        (json!({ "item": [{ "mid": 17 }] }), Some("17")),
        (json!({ "data": { "messageId": "m_1" } }), Some("m_1")),
        (json!({ "message_id": "m_1" }), Some("m_1")),
        (json!({ "mid": "m_1", "item": null }), Some("m_1")),
        (json!({ "item": "m_1" }), Some("m_1")),
        (json!({ "item": "d13415bb2b704e58aa373bb5e0e11914" }), None),
        (json!({ "item": true }), None),
        (json!({ "item": "m_".repeat(300) }), None),
        (json!({}), None),
    ] {
        let (_server, sobot) = answering(success(body.clone())).await;
        let outcome = sobot.send(&text("?")).await;
        let SendOutcome::Sent(sent) = outcome else { panic!("{outcome:?} for {body}") };
        assert_eq!(sent.mid.as_ref().map(Mid::as_str), expected, "{body}");
        assert!(sent.answer.windows(8).any(|window| window == b"ret_code"));
    }
}
