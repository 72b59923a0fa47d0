//! The client of Meta's Conversations API, over real HTTP: against a simulator that behaves as the document says, and
//! against servers that answer as Meta does when it does not give what was asked for.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use sobot_hook::config::{self, Secret};
use sobot_hook::demo::graph::{GraphApi, SimulatedConversation, SimulatedMessage, SimulatedPage};
use sobot_hook::demo::simulator::Simulator;
use sobot_hook::ids::{ConversationId, Mid};
use sobot_hook::outbound::client::{CallError, Patience};
use sobot_hook::outbound::graph::{Account, ConversationPages, Graph, GraphError, Limit, MessagePages, Platform};
use support::peer::{Traced, closing, id};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "t0ken";

fn settings(base: &str) -> config::Graph {
    config::Graph {
        base_url: base.to_owned(),
        version: "v26.0".to_owned(),
        page_tokens: BTreeMap::from([("110".to_owned(), Secret::from(TOKEN))]),
        heal_minutes: 0,
    }
}

fn account_with(base: &str, patience: Patience) -> Arc<Account> {
    let graph = Graph::new(&settings(base), patience).unwrap();
    Arc::clone(graph.account(&id("110")).unwrap())
}

fn account(base: &str) -> Arc<Account> {
    account_with(base, Patience::default())
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap() + TimeDelta::minutes(minute)
}

/// A conversation with so many messages, the last of them at this minute.
fn conversation(id: &str, user: &str, messages: i64, last: i64) -> SimulatedConversation {
    let message = |number: i64| SimulatedMessage {
        mid: format!("m_{id}_{number}"),
        created_at: at(last - number),
        fields: Map::from_iter([
            ("message".to_owned(), json!(format!("hidden {number}"))),
            ("from".to_owned(), json!({ "id": user })),
            ("other".to_owned(), json!("not asked for")),
        ]),
    };
    SimulatedConversation {
        id: id.to_owned(),
        platform: "messenger",
        user_id: user.to_owned(),
        messages: (0..messages).map(message).collect(),
    }
}

async fn simulated(conversations: Vec<SimulatedConversation>) -> (Simulator<GraphApi>, Arc<Account>) {
    let page = SimulatedPage { token: TOKEN.to_owned(), conversations };
    let api = GraphApi { pages: BTreeMap::from([("110".to_owned(), page)]), usage: Vec::new() };
    let simulator = Simulator::start(api).await.unwrap();
    let account = account(&simulator.url());
    (simulator, account)
}

/// A server that answers everything so, and a client of it.
async fn answering(answer: ResponseTemplate) -> (MockServer, Arc<Account>) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let account = account(&server.uri());
    (server, account)
}

fn refusal(status: u16, error: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "error": error }))
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn conversations_are_asked_for_as_the_document_shows() {
    let (simulator, account) =
        simulated(vec![conversation("t_1", "524", 1, 5), conversation("t_2", "525", 1, 9)]).await;
    let page = account.conversations(Platform::Messenger, None, None, None).await.unwrap();
    let found: Vec<_> = page.items.iter().map(|found| (found.id.as_str(), found.updated_at)).collect();
    assert_eq!(found, [("t_2", Some(at(9))), ("t_1", Some(at(5)))]);
    assert!(page.after.is_none());
    let json: Value = serde_json::from_slice(&page.items[0].json).unwrap();
    let last = at(9).format("%Y-%m-%dT%H:%M:%S+0000").to_string();
    assert_eq!(json, json!({ "id": "t_2", "updated_time": last, "participants": { "data": [{ "id": "525" }] } }));

    let theirs = account.conversations(Platform::Messenger, Some(&id("524")), Some(5), None).await.unwrap();
    assert_eq!(theirs.items[0].id.as_str(), "t_1");
    assert!(account.conversations(Platform::Instagram, None, None, None).await.unwrap().items.is_empty());

    let calls = simulator.lock().calls.clone();
    assert!(
        calls.iter().all(|call| call.path == "/v26.0/110/conversations" && call.parameter("access_token").is_empty())
    );
    assert!(calls.iter().all(|call| call.header("authorization") == format!("Bearer {TOKEN}")));
    let parameters = |index: usize| ["platform", "user_id", "limit", "after"].map(|name| calls[index].parameter(name));
    assert_eq!(parameters(0), ["messenger", "", "", ""]);
    assert_eq!(parameters(1), ["messenger", "524", "5", ""]);
    assert_eq!(parameters(2), ["instagram", "", "", ""]);
}

#[tokio::test]
async fn messages_are_listed_to_the_end_and_only_the_newest_twenty_have_details() {
    let (simulator, account) = simulated(vec![conversation("t_1", "524", 30, 60)]).await;
    let mut pages = MessagePages::new(&account, id("t_1"));
    let mut mids = Vec::new();
    while let Some(some) = pages.next().await.unwrap() {
        mids.extend(some.into_iter().map(|message| (message.mid, message.created_at)));
    }
    assert_eq!(mids.len(), 30);
    assert_eq!(mids[29].1, Some(at(31)));
    {
        let simulated = simulator.lock();
        let [first, second] = simulated.calls.as_slice() else { panic!("{}", simulated.calls.len()) };
        assert_eq!((first.path.as_str(), first.parameter("fields")), ("/v26.0/t_1", "messages"));
        assert_eq!((second.path.as_str(), second.parameter("after")), ("/v26.0/t_1/messages", "25"));
    }
    let newest = account.message(&mids[19].0).await.unwrap();
    let json: Value = serde_json::from_slice(&newest.json).unwrap();
    assert_eq!((&newest.mid, newest.created_at), (&mids[19].0, Some(at(41))));
    assert_eq!((&json["message"], &json["from"]["id"]), (&json!("hidden 19"), &json!("524")));
    assert!(json.get("other").is_none());
    let fields = "id,created_time,from,to,message,attachments,shares,sticker,tags,story,reactions,is_unsupported";
    assert_eq!(simulator.lock().calls.last().unwrap().parameter("fields"), fields);
    assert_eq!(account.message(&mids[20].0).await.unwrap_err(), GraphError::Gone);
    assert_eq!(account.message(&id("m_nothing")).await.unwrap_err(), GraphError::Missing);
}

#[tokio::test]
async fn a_limit_is_passed_on() {
    let (simulator, account) = simulated(vec![conversation("t_1", "524", 7, 60)]).await;
    let first = account.messages(&id("t_1"), Some(5), None).await.unwrap();
    let rest = account.messages(&id("t_1"), Some(5), first.after.as_ref()).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.after), (5, 2, None));
    let calls = simulator.lock().calls.clone();
    assert_eq!((calls[0].parameter("fields"), calls[1].parameter("limit")), ("messages.limit(5)", "5"));
}

#[tokio::test]
async fn ids_with_any_character_stay_one_part_of_the_path() {
    let mids = ["m_a/b?c#d%2e", "mid.$cAA+ b:"];
    let mut odd = conversation("t_1", "524", 2, 60);
    for (message, mid) in odd.messages.iter_mut().zip(mids) {
        message.mid = mid.to_owned();
    }
    let (_simulator, account) = simulated(vec![odd]).await;
    for mid in mids {
        assert_eq!(account.message(&id(mid)).await.unwrap().mid.as_str(), mid);
    }
}

#[tokio::test]
async fn an_empty_page_with_a_next_one_is_not_the_end_and_next_itself_is_not_followed() {
    let server = MockServer::start().await;
    let page = |data: Value, paging: Value| {
        ResponseTemplate::new(200).set_body_json(json!({ "data": data, "paging": paging }))
    };
    let next = "https://graph.invalid/v26.0/110/conversations?access_token=t0ken&after=two%3D&limit=25";
    let first = page(json!([]), json!({ "cursors": { "before": "b", "after": "one" }, "next": next }));
    // No cursors here: what is needed is taken out of the URL.
    let second = page(json!([{ "id": "t_1" }]), json!({ "next": next }));
    // Cursors alone are the end.
    let third = page(json!([{ "id": "t_2" }, { "no": "id" }]), json!({ "cursors": { "before": "b", "after": "c" } }));
    Mock::given(query_param_is_missing("after")).respond_with(first).expect(1).mount(&server).await;
    Mock::given(query_param("after", "one")).respond_with(second).expect(1).mount(&server).await;
    Mock::given(query_param("after", "two=")).respond_with(third).expect(1).mount(&server).await;
    let account = account(&server.uri());
    let mut pages = ConversationPages::new(&account, Platform::Messenger, None);
    let mut found = Vec::new();
    while let Some(some) = pages.next().await.unwrap() {
        found.push(some.into_iter().map(|found| found.id.as_str().to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(found, [vec![], vec!["t_1".to_owned()], vec!["t_2".to_owned()]]);
    assert!(pages.next().await.unwrap().is_none());

    let (_server, account) = answering(page(json!([]), json!({ "next": "https://graph.invalid/?limit=25" }))).await;
    let lost = account.conversations(Platform::Messenger, None, None, None).await;
    assert!(matches!(lost, Err(GraphError::Unreadable(_))));
}

#[tokio::test]
async fn what_is_too_much_is_asked_for_in_halves() {
    let server = MockServer::start().await;
    let too_much = json!({
        "message": "An unknown error occurred", "code": 1, "error_subcode": 99,
        "error_user_msg": "Please reduce the amount of data you're asking for, then retry your request"
    });
    // In words and with the status 500 alone.
    let in_words = json!({ "message": "Please reduce the amount of data you're asking for", "code": 1 });
    Mock::given(query_param_is_missing("limit")).respond_with(refusal(400, &too_much)).expect(1).mount(&server).await;
    for (limit, status) in [("12", 500), ("6", 400)] {
        let answer = refusal(status, &in_words);
        Mock::given(query_param("limit", limit)).respond_with(answer).expect(1).mount(&server).await;
    }
    let page = ResponseTemplate::new(200).set_body_json(json!({ "data": [{ "id": "t_1" }] }));
    Mock::given(query_param("limit", "3")).respond_with(page).expect(1).mount(&server).await;
    let account = account(&server.uri());
    let mut pages = ConversationPages::new(&account, Platform::Messenger, None);
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
    assert!(pages.next().await.unwrap().is_none());

    // Where even one is too much there is no way on.
    let (server, account) = answering(refusal(500, &too_much)).await;
    let mut pages = MessagePages::new(&account, id("t_1"));
    assert_eq!(pages.next().await.unwrap_err(), GraphError::TooMuch);
    let requests = server.received_requests().await.unwrap();
    let limits: Vec<_> =
        requests.iter().map(|request| request.url.query_pairs().next().unwrap().1.into_owned()).collect();
    let expected = ["messages", "messages.limit(12)", "messages.limit(6)", "messages.limit(3)", "messages.limit(1)"];
    assert_eq!(limits, expected);
}

#[tokio::test]
async fn every_error_of_meta_is_sorted_by_what_to_do() {
    let limited = |code| GraphError::RateLimited(Limit { code, wait: None });
    let refused = |code, subcode| GraphError::Refused { status: 400, code, subcode };
    let no_permission = |code, subcode| GraphError::NoPermission { code, subcode };
    let deleted = "This Message has been deleted by the user or the business.";
    let cases = [
        (
            400,
            json!({ "code": 190, "error_subcode": 463, "fbtrace_id": "A" }),
            GraphError::TokenDead { subcode: Some(463) },
        ),
        (401, json!({ "code": "190", "type": "OAuthException" }), GraphError::TokenDead { subcode: None }),
        (400, json!({ "code": 9_000_001, "message": deleted, "type": "OAuthException" }), GraphError::Gone),
        (400, json!({ "code": 9_000_001 }), GraphError::Gone),
        (400, json!({ "code": 190, "message": deleted }), GraphError::Gone),
        (400, json!({ "code": 4 }), limited(4)),
        (403, json!({ "code": 17 }), limited(17)),
        (400, json!({ "code": 32 }), limited(32)),
        (400, json!({ "code": 613, "error_subcode": 2_534_040 }), limited(613)),
        (400, json!({ "code": 80_002 }), limited(80_002)),
        (400, json!({ "code": 80_006 }), limited(80_006)),
        (429, json!({}), limited(0)),
        (403, json!({ "code": 10, "error_subcode": 2_534_022 }), no_permission(10, Some(2_534_022))),
        (403, json!({ "code": 200, "error_subcode": 2_534_041 }), no_permission(200, Some(2_534_041))),
        (400, json!({ "code": 100, "error_subcode": 33, "type": "GraphMethodException" }), GraphError::Missing),
        (400, json!({ "code": 100, "error_subcode": 2_018_001 }), refused(Some(100), Some(2_018_001))),
        (400, json!({ "code": 551 }), refused(Some(551), None)),
        (400, json!({ "code": 36_103 }), refused(Some(36_103), None)),
        (400, json!({ "code": 2_018_300 }), refused(Some(2_018_300), None)),
        (400, json!({ "message": "no code" }), refused(None, None)),
        (200, json!({ "code": 551 }), GraphError::Refused { status: 200, code: Some(551), subcode: None }),
    ];
    let (server, url) = {
        let server = MockServer::start().await;
        let url = server.uri();
        (server, url)
    };
    for (status, error, expected) in cases {
        server.reset().await;
        Mock::given(method("GET")).respond_with(refusal(status, &error)).expect(1).mount(&server).await;
        // A client of its own: one that was told to wait would wait.
        assert_eq!(account(&url).message(&id("m_1")).await.unwrap_err(), expected, "{error}");
        server.verify().await;
    }
    let shapes = [
        json!({ "error_type": "OAuthException", "code": 400, "error_message": "hidden" }),
        json!([{ "code": 400, "headers": [], "body": "{\"error\":{\"code\":551,\"message\":\"hidden\"}}" }]),
    ];
    for (shape, code) in shapes.into_iter().zip([400, 551]) {
        let (_server, account) = answering(ResponseTemplate::new(400).set_body_json(shape)).await;
        assert_eq!(account.message(&id("m_1")).await.unwrap_err(), refused(Some(code), None));
    }
    let (_server, account) = answering(ResponseTemplate::new(404).set_body_string("<html>")).await;
    let error = account.message(&id("m_1")).await.unwrap_err();
    assert_eq!(error, GraphError::Refused { status: 404, code: None, subcode: None });
}

#[tokio::test]
async fn what_passes_is_asked_again_twice() {
    for (status, error) in [
        (500, json!({ "code": 1 })),
        (400, json!({ "code": 2, "message": "hidden" })),
        (400, json!({ "code": 551, "is_transient": true })),
        (503, json!({})),
    ] {
        let (server, account) = answering(refusal(status, &error)).await;
        let failed = account.message(&id("m_1")).await.unwrap_err();
        assert!(matches!(failed, GraphError::Transient { .. }), "{failed:?}");
        assert_eq!(asked(&server).await, 3);
    }
    // And answered in the end.
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(502)).up_to_n_times(2).mount(&server).await;
    let message = ResponseTemplate::new(200).set_body_json(json!({ "id": "m_1", "created_time": "soon" }));
    Mock::given(path("/v26.0/m_1"))
        .and(header("authorization", "Bearer t0ken"))
        .respond_with(message)
        .mount(&server)
        .await;
    assert_eq!(account(&server.uri()).message(&id("m_1")).await.unwrap().created_at, None);
}

#[tokio::test]
async fn lost_half_and_slow_answers_are_told_apart() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"id\":\"m_1\"";
    for answer in [&b""[..], half] {
        let (url, requests) = closing(answer).await;
        let lost = account(&url).message(&id("m_1")).await.unwrap_err();
        assert!(matches!(lost, GraphError::Call(CallError::Broken { .. })), "{lost:?}");
        assert_eq!(requests.load(Ordering::SeqCst), 3);
    }
    let (server, _) = answering(ResponseTemplate::new(200).set_delay(Duration::from_hours(1))).await;
    let patience = Patience { answer: Duration::from_millis(200), ..Patience::default() };
    let slow = account_with(&server.uri(), patience).message(&id("m_1")).await.unwrap_err();
    assert!(matches!(slow, GraphError::Call(CallError::TooSlow { .. })), "{slow:?}");
}

#[tokio::test]
async fn an_account_rests_when_meta_says_so() {
    let usage = |percent: u64, minutes: u64| {
        json!({ "110": [{ "type": "messenger", "call_count": percent, "estimated_time_to_regain_access": minutes }] })
            .to_string()
    };
    let (simulator, account) = simulated(vec![conversation("t_1", "524", 1, 5)]).await;
    simulator.lock().api.usage = vec![("x-business-use-case-usage", usage(79, 0))];
    account.messages(&id("t_1"), None, None).await.unwrap();
    assert_eq!(account.rests(), Duration::ZERO);
    simulator.lock().api.usage = vec![("x-app-usage", r#"{"call_count":90}"#.to_owned())];
    account.messages(&id("t_1"), None, None).await.unwrap();
    assert!(account.rests() > Duration::ZERO);

    // Told to wait, with a refusal and its header.
    let told = refusal(400, &json!({ "code": 613 })).insert_header("x-business-use-case-usage", usage(100, 7));
    let (_server, account) = answering(told).await;
    let wait = Duration::from_mins(7);
    let limited = GraphError::RateLimited(Limit { code: 613, wait: Some(wait) });
    assert_eq!(account.message(&id("m_1")).await.unwrap_err(), limited);
    assert!(account.rests() > Duration::from_mins(6));
}

#[tokio::test]
async fn odd_answers_are_read_as_far_as_they_go() {
    // The document's own samples: no brackets, a number for a time, the list within the conversation.
    let sample = json!({ "data": { "id": "t_1", "updated_time": 1_760_000_000 } });
    let (_server, account) = answering(ResponseTemplate::new(200).set_body_json(sample)).await;
    let page = account.conversations(Platform::Messenger, None, None, None).await.unwrap();
    assert_eq!((page.items[0].id.as_str(), page.items[0].updated_at), ("t_1", Some(at(0))));
    let nested = json!({ "messages": { "data": [{ "id": 17, "created_time": "1760000000" }] }, "id": "t_1" });
    for (body, mids) in [(nested, vec!["17"]), (json!({ "id": "t_1" }), vec![]), (json!({ "data": [] }), vec![])] {
        let (_server, account) = answering(ResponseTemplate::new(200).set_body_json(body)).await;
        let page = account.messages(&id::<ConversationId>("t_1"), None, None).await.unwrap();
        assert_eq!(page.items.iter().map(|message| message.mid.as_str()).collect::<Vec<_>>(), mids);
    }
    for body in ["{}", "[]", "hidden", ""] {
        let (_server, account) = answering(ResponseTemplate::new(200).set_body_string(body)).await;
        assert!(matches!(account.messages(&id("t_1"), None, None).await, Err(GraphError::Unreadable(_))), "{body}");
        assert!(matches!(account.message(&id::<Mid>("m_1")).await, Err(GraphError::Unreadable(_))), "{body}");
    }
}

#[tokio::test]
async fn no_secret_is_in_a_debug_an_error_a_url_or_the_log() {
    let traced = Traced::start();
    let mut settings = settings("http://127.0.0.1:1");
    settings.page_tokens.insert("110".to_owned(), Secret::from("hidden-token"));
    let short = Patience { connect: Duration::from_secs(1), answer: Duration::from_secs(1) };
    let graph = Graph::new(&settings, short).unwrap();
    let nobody = graph.account(&id("110")).unwrap().message(&id("m_1")).await;
    let nothing = format!("{graph:?} {settings:?} {nobody:?} {:?}", graph.account(&id("111")).unwrap_err());
    assert_eq!(graph.pages().map(sobot_hook::ids::PageId::as_str).collect::<Vec<_>>(), ["110"]);
    let (simulator, _) = simulated(vec![conversation("t_1", "524", 30, 5)]).await;
    simulator.lock().api.pages.get_mut("110").unwrap().token = "hidden-token".to_owned();
    settings.base_url = simulator.url();
    let graph = Graph::new(&settings, short).unwrap();
    let account = graph.account(&id("110")).unwrap();
    let list = account.messages(&id("t_1"), None, None).await.unwrap();
    let message = account.message(&list.items[0].mid).await.unwrap();
    let quoted = refusal(400, &json!({ "code": 190, "message": "Malformed access token hidden-token" }));
    let (_server, refusing) = answering(quoted).await;
    let refused = refusing.message(&id("m_1")).await.unwrap_err();
    let told = format!("{nothing} {list:?} {message:?} {refused:?} {refused}");
    assert!(told.contains("TokenDead") && told.contains("NotConnected"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
    assert!(!traced.text().contains("hidden") && !traced.text().contains(TOKEN), "{}", traced.text());
    assert!(simulator.lock().calls.iter().all(|call| !format!("{:?}", (&call.path, &call.query)).contains("hidden")));
}
