//! Sobot as the tests of its client meet it: simulated, or a server that answers as it is told.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sobot_hook::clock;
use sobot_hook::config::{self, Secret};
use sobot_hook::demo::simulator::{Call, Simulator};
use sobot_hook::demo::sobot::SobotApi;
use sobot_hook::outbound::client::Patience;
use sobot_hook::outbound::sobot::{
    Code, Content, MemoryShelf, Recipient, Refusal, SendRequest, Shelved, Sobot, SobotError,
};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::peer::id;

pub const TOKEN: &str = "/api/get_token";
pub const SEND: &str = "/chat-facebook/api/messenger/send";

pub fn settings(base: &str) -> config::Sobot {
    config::Sobot {
        base_url: base.to_owned(),
        appid: "1".to_owned(),
        app_key: Secret::from("2"),
        sends_per_second: 1_000,
    }
}

pub fn client(base: &str) -> Sobot {
    Sobot::new(&settings(base), Patience::default(), Arc::new(MemoryShelf::default())).unwrap()
}

/// Sobot with one customer, whose page is `110`, and a client of it.
pub async fn simulated() -> (Simulator<SobotApi>, Sobot) {
    let simulator = Simulator::start(SobotApi::new("1", "2", &["110"])).await.unwrap();
    let sobot = client(&simulator.url());
    (simulator, sobot)
}

pub fn last_call(simulator: &Simulator<SobotApi>) -> Call {
    simulator.lock().calls.last().unwrap().clone()
}

pub fn text(text: &str) -> SendRequest {
    SendRequest {
        messaging_type: None,
        recipient: Recipient::User(id("524")),
        page_id: id("110"),
        tag: None,
        content: Content::Text(text.to_owned()),
    }
}

pub fn refused(error: SobotError) -> Code {
    match error {
        SobotError::Refused(Refusal { code, .. }) => code,
        other => panic!("{other}"),
    }
}

/// A shelf on which a token lies that is good for an hour, or was.
pub fn shelf(token: &str, minutes_left: i64) -> MemoryShelf {
    let now = clock::now();
    let expires_at = now + TimeDelta::minutes(minutes_left);
    MemoryShelf::holding(Shelved {
        token: Secret::from(token),
        fetched_at: expires_at - TimeDelta::hours(24),
        expires_at,
        number: 7,
    })
}

/// An answer with this code.
pub fn refusal(code: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "ret_code": code, "ret_msg": "hidden" }))
}

/// An answer of success with these members.
pub fn success(mut members: Value) -> ResponseTemplate {
    members["ret_code"] = "000000".into();
    ResponseTemplate::new(200).set_body_json(members)
}

/// A server that gives tokens, and answers every other request so.
pub async fn answering(answer: ResponseTemplate) -> (MockServer, Sobot) {
    let server = MockServer::start().await;
    let token = success(json!({ "item": { "token": "t0ken", "expires_in": "86400" } }));
    Mock::given(path(TOKEN)).respond_with(token).mount(&server).await;
    Mock::given(header("token", "t0ken")).respond_with(answer).mount(&server).await;
    let sobot = client(&server.uri());
    (server, sobot)
}

/// How many requests it has had beside those for tokens.
pub async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().iter().filter(|request| request.url.path() != TOKEN).count()
}
