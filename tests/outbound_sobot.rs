//! The client of Sobot's API, over real HTTP: its token, its endpoints, its codes, and how answers are read. Sending is in
//! `outbound_send.rs`.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, TimeDelta};
use futures::future::join_all;
use serde_json::{Value, json};
use sobot_hook::config::{self, Secret};
use sobot_hook::ids::{ConfigId, PageId, Topic, UserId};
use sobot_hook::outbound::client::Patience;
use sobot_hook::outbound::sobot::{
    Code, Listed, MediaKind, MemoryShelf, OptIn, Recipient, SendOutcome, SendRequest, Sobot, SobotError, Subscriber,
    TopicChange, TopicQuery, Upload,
};
use support::peer::{Traced, id};
use support::sobot::{
    SEND, TOKEN, answering, asked, client, last_call, refusal, refused, settings, shelf, simulated, success, text,
};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn a_token_is_asked_for_as_the_document_shows_and_kept() {
    let (simulator, sobot) = simulated().await;
    let first = sobot.token().await.unwrap();
    let call = last_call(&simulator);
    assert_eq!((&call.method, call.path.as_str()), (&Method::GET, TOKEN));
    assert_eq!(call.query.keys().collect::<Vec<_>>(), ["appid", "create_time", "sign"]);
    assert_eq!((call.parameter("appid"), call.parameter("create_time").len()), ("1", 10));
    assert_eq!((first.number, first.expires_at - first.fetched_at), (1, TimeDelta::days(1)));
    assert_eq!(sobot.token().await.unwrap().number, 1);
    assert_eq!(simulator.lock().api.fetches, 1);
}

#[tokio::test]
async fn a_hundred_callers_with_an_expired_token_fetch_one() {
    let (simulator, _) = simulated().await;
    let shelf = Arc::new(shelf("expired", -1));
    let sobot = Sobot::new(&settings(&simulator.url()), Patience::default(), shelf).unwrap();
    let message = text("?");
    let outcomes = join_all((0..100).map(|_| sobot.send(&message))).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, SendOutcome::Sent(_))), "{outcomes:?}");
    let simulated = simulator.lock();
    assert_eq!((simulated.api.fetches, simulated.api.sent.len()), (1, 100));
}

#[tokio::test]
async fn two_clients_that_share_a_shelf_share_a_token() {
    let (simulator, _) = simulated().await;
    let shelf = Arc::new(MemoryShelf::default());
    let one = Sobot::new(&settings(&simulator.url()), Patience::default(), shelf.clone()).unwrap();
    let other = Sobot::new(&settings(&simulator.url()), Patience::default(), shelf).unwrap();
    let tokens = join_all((0..20).flat_map(|_| [one.token(), other.token()])).await;
    assert!(tokens.iter().all(|token| token.as_ref().unwrap().number == 1));
    assert_eq!(simulator.lock().api.fetches, 1);
    // One finds its token void and fetches another; the other then takes that one.
    simulator.lock().api.is_token_void = true;
    for sobot in [&one, &other] {
        assert!(matches!(sobot.send(&text("?")).await, SendOutcome::Sent(_)));
    }
    assert_eq!(simulator.lock().api.fetches, 2);
}

#[tokio::test]
async fn a_token_that_is_void_in_mid_way_is_fetched_anew_and_the_message_sent_once() {
    let (simulator, sobot) = simulated().await;
    sobot.token().await.unwrap();
    simulator.lock().api.is_token_void = true;
    assert!(matches!(sobot.send(&text("?")).await, SendOutcome::Sent(_)));
    let simulated = simulator.lock();
    let paths: Vec<_> = simulated.calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(paths, [TOKEN, SEND, TOKEN, SEND]);
    assert_eq!(simulated.api.sent.len(), 1);
}

#[tokio::test]
async fn a_token_near_its_end_is_renewed_ahead_and_used_on_while_that_fails() {
    let (simulator, _) = simulated().await;
    let near = Sobot::new(&settings(&simulator.url()), Patience::default(), Arc::new(shelf("near", 4))).unwrap();
    assert_eq!(near.token().await.unwrap().number, 8);

    let server = MockServer::start().await;
    Mock::given(path(TOKEN)).respond_with(refusal("210001")).expect(1).mount(&server).await;
    let near = Sobot::new(&settings(&server.uri()), Patience::default(), Arc::new(shelf("near", 4))).unwrap();
    assert_eq!(near.token().await.unwrap().token.expose(), "near");
}

#[tokio::test]
async fn callers_who_wait_for_one_fetch_share_its_failure() {
    let server = MockServer::start().await;
    let slow = refusal("210001").set_delay(Duration::from_millis(300));
    Mock::given(path(TOKEN)).respond_with(slow).expect(1).mount(&server).await;
    let sobot = client(&server.uri());
    let tokens = join_all((0..50).map(|_| sobot.token())).await;
    assert!(tokens.into_iter().all(|token| refused(token.unwrap_err()) == Code::PageMissing));
}

#[tokio::test]
async fn the_life_of_a_token_is_read_whatever_its_name_and_type() {
    let now = DateTime::from_timestamp(1_760_000_000, 0).unwrap();
    for (item, seconds) in [
        (json!({ "token": "t", "expires_in": "3600" }), 3_600),
        (json!({ "token": "t", "expires_in": 3600 }), 3_600),
        (json!({ "token": "t", "expire_in": "60" }), 60),
        (json!({ "token": 4711, "expires_in": "soon" }), 86_400),
        (json!({ "token": "t", "expires_in": 999_999_999 }), 86_400),
        (json!({ "token": "t" }), 86_400),
    ] {
        let server = MockServer::start().await;
        Mock::given(path(TOKEN)).respond_with(success(json!({ "item": item }))).mount(&server).await;
        let token = client(&server.uri()).token().await.unwrap();
        assert_eq!((token.expires_at - token.fetched_at).num_seconds(), seconds, "{item}");
        assert!(token.fetched_at > now);
    }
    for body in [json!({ "item": {} }), json!({ "item": { "token": "" } }), json!({})] {
        let server = MockServer::start().await;
        Mock::given(path(TOKEN)).respond_with(success(body)).mount(&server).await;
        assert!(matches!(client(&server.uri()).token().await, Err(SobotError::Unreadable(_))));
    }
}

#[tokio::test]
async fn the_other_endpoints_are_asked_as_the_document_shows() {
    let (simulator, sobot) = simulated().await;
    let change = TopicChange {
        page_id: id("110"),
        title: "测试".to_owned(),
        describe: "这是一条测试消息".to_owned(),
        image_ratio: "SQUARE".to_owned(),
        button_type: "ALLOW".to_owned(),
        image_url: Some("https://xxx.xx.com/xxx/image.png".to_owned()),
        timezone: Some("UTC".to_owned()),
        config_id: None,
    };
    let config_id = sobot.create_or_update_title(&change).await.unwrap();
    let mut body = json!({
        "appid": "110", "title": "测试", "describe": "这是一条测试消息", "image_url": "https://xxx.xx.com/xxx/image.png",
        "image_ratio": "SQUARE", "button_type": "ALLOW", "timezone": "UTC"
    });
    let call = last_call(&simulator);
    assert_eq!(
        (&call.method, call.path.as_str()),
        (&Method::POST, "/chat-facebook/api/messenger/create_or_update_title")
    );
    assert_eq!(call.body, body);
    sobot.create_or_update_title(&TopicChange { config_id: Some(config_id.clone()), ..change }).await.unwrap();
    body["configid"] = config_id.as_str().into();
    assert_eq!(last_call(&simulator).body, body);

    let query = TopicQuery {
        created_since: DateTime::from_timestamp_millis(1_317_698_342_419),
        created_until: DateTime::from_timestamp_millis(9_573_693_149_125),
        pages: vec![id("110"), id("22")],
        title: Some("测试".to_owned()),
    };
    let topics = sobot.get_title_list(&query, 1).await.unwrap();
    let call = last_call(&simulator);
    assert_eq!((&call.method, call.path.as_str()), (&Method::POST, "/chat-facebook/api/messenger/get_title_list"));
    let body = json!({
        "start_time": 1_317_698_342_419_i64, "end_time": 9_573_693_149_125_i64, "appids": "110,22", "title": "测试",
        "page_no": 1, "page_size": 15
    });
    assert_eq!(call.body, body);
    assert_eq!(
        (topics.total_count, topics.next_page_no, topics.items[0].config_id.as_ref()),
        (Some(1), None, Some(&config_id))
    );

    let optin = OptIn {
        page_id: id("110"),
        topic: id("测试"),
        user_id: id("123456789"),
        describe: None,
        image_url: None,
        image_ratio: None,
        button_type: None,
        timezone: None,
    };
    let sent = sobot.send_opt_in_message(&optin).await;
    assert!(matches!(&sent, SendOutcome::Sent(sent) if sent.mid.is_some()), "{sent:?}");
    let call = last_call(&simulator);
    assert_eq!((&call.method, call.path.as_str()), (&Method::POST, "/chat-facebook/api/messenger/send_opt_in_message"));
    assert_eq!(call.body, json!({ "appid": "110", "title": "测试", "recipient_id": "123456789" }));

    sobot.query_sub_users(&id("110"), &id("测试"), 1).await.unwrap();
    let call = last_call(&simulator);
    assert_eq!((&call.method, call.path.as_str()), (&Method::GET, "/chat-facebook/api/messenger/query_sub_users"));
    let query = [("appid", "110"), ("page_no", "1"), ("page_size", "100"), ("title", "测试")];
    assert!(call.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(query), "{:?}", call.query);

    sobot.del_title(&config_id).await.unwrap();
    let call = last_call(&simulator);
    assert_eq!((&call.method, call.path.as_str()), (&Method::GET, "/chat-facebook/api/messenger/del_title"));
    assert_eq!(call.parameter("configid"), config_id.as_str());
    // Every call but the first carried the token.
    let simulated = simulator.lock();
    assert!(simulated.calls[1..].iter().all(|call| Some(call.header("token")) == simulated.api.token().as_deref()));
}

#[tokio::test]
async fn an_upload_is_asked_for_and_called_back() {
    let (simulator, sobot) = simulated().await;
    let webhook = MockServer::start().await;
    let called =
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(1).mount_as_scoped(&webhook).await;
    simulator.lock().api.webhook = Some(webhook.uri());
    let upload = Upload { page_id: id("110"), kind: MediaKind::Image, url: "https://example.com/1.png".to_owned() };
    let track_id = sobot.upload_async(&upload).await.unwrap();
    let call = last_call(&simulator);
    assert_eq!((&call.method, call.path.as_str()), (&Method::POST, "/chat-facebook/api/messenger/upload_async"));
    let body = json!({ "pageid": "110", "type": "image", "payload": { "url": "https://example.com/1.png" } });
    assert_eq!(call.body, body);
    called.wait_until_satisfied().await;
    let told: Value = webhook.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(told["track_id"], track_id.as_str());
    assert!(told["attachment_id"].is_string());
    let nowhere = Upload { url: "1.png".to_owned(), ..upload };
    assert!(matches!(sobot.upload_async(&nowhere).await, Err(SobotError::Invalid(_))));
}

type Edit = fn(&mut TopicChange);

#[tokio::test]
async fn every_check_of_the_document_is_refused_with_its_code() {
    let (simulator, sobot) = simulated().await;
    let change = |edit: Edit| {
        let mut change = TopicChange {
            page_id: id("110"),
            title: "news".to_owned(),
            describe: "d".to_owned(),
            image_ratio: "SQUARE".to_owned(),
            button_type: "ALLOW".to_owned(),
            image_url: None,
            timezone: None,
            config_id: None,
        };
        edit(&mut change);
        change
    };
    let known = sobot.create_or_update_title(&change(|_| {})).await.unwrap();
    let changes: [(Edit, Code); 9] = [
        (|change| change.page_id = id("111"), Code::PageUnknown),
        (|change| change.title.clear(), Code::TopicMissing),
        (|change| change.title = "题".repeat(66), Code::TopicTooLong),
        (|change| change.describe.clear(), Code::DescriptionMissing),
        (|change| change.describe = "述".repeat(66), Code::DescriptionTooLong),
        (|change| change.button_type.clear(), Code::ButtonTypeMissing),
        (|change| change.image_ratio.clear(), Code::ImageRatioMissing),
        (|_| {}, Code::TopicExists),
        (|change| change.config_id = Some(id("nothing")), Code::ConfigUnknown),
    ];
    for (edit, code) in changes {
        assert_eq!(refused(sobot.create_or_update_title(&change(edit)).await.unwrap_err()), code);
    }
    let renamed = TopicChange { title: "other".to_owned(), config_id: Some(known), ..change(|_| {}) };
    assert_eq!(refused(sobot.create_or_update_title(&renamed).await.unwrap_err()), Code::TopicFixed);
    assert_eq!(refused(sobot.del_title(&id::<ConfigId>("nothing")).await.unwrap_err()), Code::ConfigUnknown);
    let unknown = sobot.query_sub_users(&id::<PageId>("110"), &id::<Topic>("other"), 1).await;
    assert_eq!(refused(unknown.unwrap_err()), Code::TopicUnknown);
    let stranger = SendRequest { page_id: id("111"), ..text("?") };
    let outcome = sobot.send(&stranger).await;
    assert!(
        matches!(&outcome, SendOutcome::NotSent(SobotError::Refused(refusal)) if refusal.code == Code::PageUnknown)
    );
    assert!(simulator.lock().api.sent.is_empty());
}

#[tokio::test]
async fn every_code_is_known_with_its_meaning_and_an_unknown_one_is_kept() {
    let listed = [
        "900001", "900002", "999999", "210001", "210002", "210003", "210004", "210005", "210006", "210007", "210008",
        "210009", "210010", "210011", "210012", "210013",
    ];
    assert!(Code::ALL.iter().map(Code::as_str).eq(listed));
    for code in listed.into_iter().chain(["210099"]) {
        let (_server, sobot) = answering(refusal(code)).await;
        let error = sobot.del_title(&id("7")).await.unwrap_err();
        let SobotError::Refused(refusal) = &error else { panic!("{error}") };
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), (code, "hidden"));
        let told = error.to_string();
        assert!(told.contains(code) && told.contains(refusal.code.chinese()) && told.contains(refusal.code.english()));
        assert_eq!(matches!(refusal.code, Code::Other(_)), code == "210099");
    }
}

#[tokio::test]
async fn what_changes_nothing_is_asked_again_and_the_rest_is_not() {
    for (answer, times) in [(ResponseTemplate::new(502), 3), (refusal("999999"), 3), (refusal("210010"), 1)] {
        let (server, sobot) = answering(answer).await;
        sobot.query_sub_users(&id("110"), &id("t"), 1).await.unwrap_err();
        assert_eq!(asked(&server).await, times);
    }
    let (server, sobot) = answering(ResponseTemplate::new(502)).await;
    sobot.get_title_list(&TopicQuery::default(), 1).await.unwrap_err();
    assert_eq!(asked(&server).await, 3);
    assert!(matches!(sobot.del_title(&id("7")).await, Err(SobotError::Http(502))));
    assert_eq!(asked(&server).await, 4);
}

/// A page of subscribers as Sobot answers with it.
async fn listed(body: Value) -> Listed<Subscriber> {
    let (_server, sobot) = answering(success(body)).await;
    sobot.query_sub_users(&id("110"), &id("t"), 1).await.unwrap()
}

#[tokio::test]
async fn subscribers_are_read_whatever_their_types_and_with_their_own_bytes() {
    let example = json!({
        "companyid": "5f5262b52feb463bbf4e732323sdgfset", "create_time": 1_715_079_942_588_i64, "facebookid": "5611755588",
        "pageid": "1087397686", "sub_status": 1, "sub_title": "nice day", "sub_token": "6956578469XXXXXX",
        "timezone": "UTC", "title_describe": "132", "update_time": 1_715_155_761_777_i64
    });
    let mut odd = example.clone();
    for (name, value) in [
        ("facebookid", json!(5_611_755_588_i64)),
        ("sub_status", json!("0")),
        ("sub_token", Value::Null),
        ("create_time", json!("1715079942588")),
        ("update_time", json!("2024-05-08T08:09:21.777+0000")),
    ] {
        odd[name] = value;
    }
    let page =
        listed(json!({ "items": [example, odd, {}], "page_count": "2", "page_no": 1, "total_count": "17" })).await;
    assert_eq!((page.page_no, page.next_page_no, page.total_count), (1, Some(2), Some(17)));
    let read = |index: usize| {
        let user: &Subscriber = &page.items[index];
        (user.user_id.as_ref().map(UserId::as_str), user.is_subscribed, user.token.expose(), user.updated_at)
    };
    let updated_at = DateTime::from_timestamp_millis(1_715_155_761_777);
    assert_eq!(read(0), (Some("5611755588"), Some(true), "6956578469XXXXXX", updated_at));
    assert_eq!(read(1), (Some("5611755588"), Some(false), "", updated_at));
    assert_eq!(read(2), (None, None, "", None));
    assert_eq!(
        serde_json::from_slice::<Value>(&page.items[1].json).unwrap()["update_time"],
        "2024-05-08T08:09:21.777+0000"
    );
    assert_eq!(page.items[0].created_at, page.items[1].created_at);

    // The last page; no count of pages; nothing at all.
    assert_eq!(listed(json!({ "items": [{}], "page_count": 1 })).await.next_page_no, None);
    assert_eq!(listed(json!({ "item": [{}] })).await.next_page_no, Some(2));
    assert_eq!(listed(json!({ "items": null })).await.next_page_no, None);
}

#[tokio::test]
async fn a_list_is_followed_to_its_end() {
    let (simulator, sobot) = simulated().await;
    let subscribers = (0..250).map(|number| json!({ "facebookid": number, "pageid": "110", "sub_title": "t" }));
    simulator.lock().api.topics.push(json!({ "appid": "110", "title": "t", "configid": "7" }));
    simulator.lock().api.subscribers.extend(subscribers);
    let (mut users, mut page_no) = (BTreeSet::new(), Some(1));
    while let Some(number) = page_no {
        let page = sobot.query_sub_users(&id("110"), &id("t"), number).await.unwrap();
        users.extend(page.items.into_iter().filter_map(|user| user.user_id));
        page_no = page.next_page_no;
    }
    assert_eq!(users.len(), 250);
}

#[tokio::test]
async fn a_code_that_has_lost_its_zeros_or_its_quotes_is_the_same_code() {
    for (code, is_success) in [(json!(0), true), (json!("0"), true), (json!(900_003), false), (json!("900003"), false)]
    {
        let (_server, sobot) = answering(ResponseTemplate::new(200).set_body_json(json!({ "ret_code": code }))).await;
        let deleted = sobot.del_title(&id("7")).await;
        match deleted {
            Ok(()) => assert!(is_success, "{code}"),
            Err(error) => assert_eq!((refused(error).as_str(), is_success), ("900003", false), "{code}"),
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_a_debug_an_error_or_the_log() {
    let traced = Traced::start();
    let mut settings = settings("http://127.0.0.1:1");
    settings.app_key = Secret::from("hidden-key");
    let sobot = Sobot::new(&settings, Patience::default(), Arc::new(shelf("hidden-token", 60))).unwrap();
    let marketing = SendRequest { recipient: Recipient::Subscription(Secret::from("hidden-user")), ..text("hidden") };
    let mut told = vec![format!("{sobot:?} {marketing:?} {:?}", sobot.send(&marketing).await)];
    let (server, _) = answering(refusal("210002")).await;
    let answers = [
        refusal("210002"),
        success(json!({ "item": { "mid": "m_1", "text": "hidden" } })),
        ResponseTemplate::new(200).set_body_string("hidden"),
    ];
    for answer in answers {
        let (_server, sobot) = answering(answer).await;
        told.push(format!("{:?}", sobot.send(&marketing).await));
        told.push(format!(
            "{:?}",
            sobot.upload_async(&Upload { page_id: id("110"), kind: MediaKind::File, url: "hidden".to_owned() }).await
        ));
    }
    settings.base_url = server.uri();
    let near = Sobot::new(&settings, Patience::default(), Arc::new(shelf("hidden-token", 1))).unwrap();
    told.push(format!("{:?} {near:?}", near.token().await));
    let user = json!({ "facebookid": "1", "sub_token": "hidden" });
    told.push(format!("{:?}", listed(json!({ "items": [user] })).await));
    let told = told.concat();
    assert!(told.contains("NotConnected") && told.contains("Unreadable"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
    assert!(traced.text().contains("fetched Sobot's token"), "{}", traced.text());
    assert!(!traced.text().contains("hidden") && !traced.text().contains("t0ken"), "{}", traced.text());
}

#[test]
fn without_credentials_there_is_no_client() {
    let unset = config::Sobot { app_key: Secret::default(), ..settings("http://127.0.0.1:1") };
    let built = Sobot::new(&unset, Patience::default(), Arc::new(MemoryShelf::default()));
    assert!(matches!(built, Err(SobotError::NotConfigured)));
}

#[tokio::test]
async fn topics_are_read_with_all_their_members() {
    let example = json!({
        "companyid": "c72d7e67c0f64d38879747c9cfd68e85", "create_time": 1_713_871_710_134_i64, "timezone": "UTC",
        "button_type": "ALLOW", "image_url": "https://xxx.xx.com/xxx/image.png", "title": "测试", "app_name": "爱你一万年",
        "update_time": "1713871710134", "configid": "10d7de1db4884c43b4b88e3fcbbf47d2", "image_ratio": "SQUARE",
        "describe": "这是一条测试消息", "appid": 106_474_898_833_640_i64
    });
    let (_server, sobot) = answering(success(json!({ "item": [example, { "config_id": 7 }], "page_count": 1 }))).await;
    let topics = sobot.get_title_list(&TopicQuery::default(), 1).await.unwrap().items;
    let topic = &topics[0];
    let ids = (topic.config_id.as_ref(), topic.page_id.as_ref(), topic.title.as_ref());
    assert_eq!(ids, (Some(&id("10d7de1db4884c43b4b88e3fcbbf47d2")), Some(&id("106474898833640")), Some(&id("测试"))));
    let texts = [
        &topic.company_id,
        &topic.timezone,
        &topic.button_type,
        &topic.image_url,
        &topic.app_name,
        &topic.image_ratio,
        &topic.describe,
    ];
    let names = ["companyid", "timezone", "button_type", "image_url", "app_name", "image_ratio", "describe"];
    assert!(texts.iter().zip(names).all(|(text, name)| text.as_deref() == example[name].as_str()), "{topic:?}");
    let time = DateTime::from_timestamp_millis(1_713_871_710_134);
    assert_eq!((topic.created_at, topic.updated_at), (time, time));
    assert_eq!(serde_json::from_slice::<Value>(&topic.json).unwrap(), example);
    assert_eq!((topics[1].config_id.as_ref(), topics[1].created_at), (Some(&id("7")), None));
}

#[tokio::test]
async fn an_opt_in_message_may_differ_from_its_topic() {
    let (simulator, sobot) = simulated().await;
    simulator.lock().api.topics.push(json!({ "appid": "110", "title": "t", "configid": "7" }));
    let given = |text: &str| Some(text.to_owned());
    let optin = OptIn {
        page_id: id("110"),
        topic: id("t"),
        user_id: id("524"),
        describe: given("d"),
        image_url: given("https://example.com/1.png"),
        image_ratio: given("HORIZONTAL"),
        button_type: given("SIGN_UP"),
        timezone: given("UTC"),
    };
    assert!(matches!(sobot.send_opt_in_message(&optin).await, SendOutcome::Sent(_)));
    let body = json!({
        "appid": "110", "title": "t", "recipient_id": "524", "describe": "d", "image_url": "https://example.com/1.png",
        "image_ratio": "HORIZONTAL", "button_type": "SIGN_UP", "timezone": "UTC"
    });
    assert_eq!(simulator.lock().api.optins, [body]);
    // What it asks for is not a topic of the page: certainly not sent.
    let unknown = OptIn { topic: id("other"), ..optin };
    let outcome = sobot.send_opt_in_message(&unknown).await;
    assert!(
        matches!(&outcome, SendOutcome::NotSent(error) if refused(error.clone()) == Code::TopicUnknown),
        "{outcome:?}"
    );
}
