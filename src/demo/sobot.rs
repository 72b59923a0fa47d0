//! Sobot's API as its document describes it: each fetch of a token voids the one before, every check answers with its code,
//! what is sent is kept, uploads call a webhook back, topics and subscribers come in pages. Where the document is silent
//! (a wrong signature, a form of payload that it does not have) it answers 999999.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::simulator::{Api, Call, Reply};
use crate::clock;
use crate::outbound::client::builder;
use crate::outbound::sobot::{Code, SUCCESS, sign};

/// How long a token lasts, in seconds.
const LIFE: &str = "86400";

/// The titles and descriptions of topics have at most so many characters.
const MAX_CHARACTERS: usize = 65;

/// What Sobot knows, and what it was asked to do.
#[derive(Debug, Default)]
pub struct SobotApi {
    pub appid: String,
    pub app_key: String,
    /// The Facebook pages that belong to the customer.
    pub pages: BTreeSet<String>,
    /// How many tokens have been fetched; only the last one is valid.
    pub fetches: u32,
    /// No token is valid before the next fetch.
    pub is_token_void: bool,
    /// The bodies of `send`, as they came.
    pub sent: Vec<Value>,
    /// The bodies of `send_opt_in_message`, as they came.
    pub optins: Vec<Value>,
    /// The bodies of `upload_async`, as they came.
    pub uploads: Vec<Value>,
    /// Where to tell what an upload has become; none: it is never told.
    pub webhook: Option<String>,
    /// As `get_title_list` lists them.
    pub topics: Vec<Value>,
    /// As `query_sub_users` lists them.
    pub subscribers: Vec<Value>,
    /// Makes each id another one.
    ids: u64,
}

/// The members of a successful answer beside `ret_code` and `ret_msg`, or why there is none.
type Answered = Result<Value, Code>;

impl Api for SobotApi {
    fn answer(&mut self, call: &Call) -> Reply {
        let is_known = |method: &Method| call.method == *method;
        let endpoint = call.path.strip_prefix("/chat-facebook/api/messenger/");
        let answered = match (call.path.as_str(), endpoint) {
            ("/api/get_token", _) if is_known(&Method::GET) => self.get_token(call),
            (_, Some("send")) if is_known(&Method::POST) => self.admit(call).and_then(|()| self.send(call)),
            (_, Some("upload_async")) if is_known(&Method::POST) => self.admit(call).and_then(|()| self.upload(call)),
            (_, Some("query_sub_users")) if is_known(&Method::GET) => {
                self.admit(call).and_then(|()| self.query_sub_users(call))
            }
            (_, Some("create_or_update_title")) if is_known(&Method::POST) => {
                self.admit(call).and_then(|()| self.create_or_update_title(call))
            }
            (_, Some("del_title")) if is_known(&Method::GET) => self.admit(call).and_then(|()| self.del_title(call)),
            (_, Some("get_title_list")) if is_known(&Method::POST) => {
                self.admit(call).map(|()| self.get_title_list(call))
            }
            (_, Some("send_opt_in_message")) if is_known(&Method::POST) => {
                self.admit(call).and_then(|()| self.send_opt_in_message(call))
            }
            _ => return Reply { status: StatusCode::NOT_FOUND, ..Reply::ok(Value::Null) },
        };
        Reply::ok(match answered {
            Ok(mut body) => {
                (body["ret_code"], body["ret_msg"]) = (SUCCESS.into(), "成功".into());
                body
            }
            Err(code) => json!({ "ret_code": code.as_str(), "ret_msg": code.chinese() }),
        })
    }
}

impl SobotApi {
    /// A customer with these credentials and pages.
    pub fn new(appid: &str, app_key: &str, pages: &[&str]) -> Self {
        let pages = pages.iter().map(|page| (*page).to_owned()).collect();
        Self { appid: appid.to_owned(), app_key: app_key.to_owned(), pages, ..Self::default() }
    }

    /// The one valid token, if one has been fetched.
    pub fn token(&self) -> Option<String> {
        (self.fetches > 0 && !self.is_token_void).then(|| format!("{:032x}", self.fetches))
    }

    fn get_token(&mut self, call: &Call) -> Answered {
        let create_time = call.parameter("create_time");
        let is_signed = call.parameter("sign") == sign(&self.appid, create_time, &self.app_key);
        if call.parameter("appid") != self.appid || create_time.len() != 10 || !is_signed {
            return Err(Code::SystemError);
        }
        self.fetches += 1;
        self.is_token_void = false;
        Ok(json!({ "item": { "token": self.token(), "expires_in": LIFE } }))
    }

    fn admit(&self, call: &Call) -> Result<(), Code> {
        match call.header("token") {
            "" => Err(Code::TokenMissing),
            token if self.token().as_deref() == Some(token) => Ok(()),
            _ => Err(Code::TokenInvalid),
        }
    }

    fn send(&mut self, call: &Call) -> Answered {
        self.page(call.text("pageid"))?;
        let recipients = [call.text("recipientid"), call.text("recipient_token")];
        if recipients.iter().all(|recipient| recipient.is_empty()) {
            return Err(Code::UserMissing);
        }
        let types = ["text", "image", "audio", "video", "file", "template"];
        if recipients.iter().all(|recipient| !recipient.is_empty()) || !types.contains(&call.text("type")) {
            return Err(Code::SystemError);
        }
        self.sent.push(call.body.clone());
        Ok(json!({ "item": { "message_id": self.next_mid(), "recipient_id": recipients.concat() } }))
    }

    fn send_opt_in_message(&mut self, call: &Call) -> Answered {
        // Its table and its example name the customer differently.
        let user = if call.text("recipient_id").is_empty() { "recipientid" } else { "recipient_id" };
        self.page(call.text("appid"))?;
        self.topic(call.text("appid"), call.text("title"))?;
        if call.text(user).is_empty() {
            return Err(Code::UserMissing);
        }
        self.optins.push(call.body.clone());
        Ok(json!({ "item": { "message_id": self.next_mid(), "recipient_id": call.text(user) } }))
    }

    fn upload(&mut self, call: &Call) -> Answered {
        self.page(call.text("pageid"))?;
        let is_media = ["image", "audio", "video", "file"].contains(&call.text("type"));
        if !is_media || !call.body["payload"]["url"].is_string() {
            return Err(Code::SystemError);
        }
        self.uploads.push(call.body.clone());
        let track_id = self.next_id();
        if let Some(webhook) = self.webhook.clone() {
            let told = json!({ "track_id": track_id, "attachment_id": format!("{}", 1_000_000_000 + self.ids) });
            tokio::spawn(call_back(webhook, told.to_string()));
        }
        Ok(json!({ "item": track_id }))
    }

    fn query_sub_users(&self, call: &Call) -> Answered {
        let (page, title) = (call.parameter("appid"), call.parameter("title"));
        self.page(page)?;
        self.topic(page, title)?;
        let theirs = |user: &&Value| user["pageid"] == page && user["sub_title"] == title;
        let number = |name| call.parameter(name).parse().unwrap_or(1);
        let found: Vec<_> = self.subscribers.iter().filter(theirs).collect();
        Ok(page_of("items", &found, number("page_no"), number("page_size")))
    }

    fn create_or_update_title(&mut self, call: &Call) -> Answered {
        let [page, title, describe] = ["appid", "title", "describe"].map(|name| call.text(name));
        let configid = call.text("configid");
        self.page(page)?;
        filled(title, Code::TopicMissing, Some(Code::TopicTooLong))?;
        filled(describe, Code::DescriptionMissing, Some(Code::DescriptionTooLong))?;
        filled(call.text("button_type"), Code::ButtonTypeMissing, None)?;
        filled(call.text("image_ratio"), Code::ImageRatioMissing, None)?;
        let now = clock::now().timestamp_millis();
        let (place, created_at) = if configid.is_empty() {
            if self.topic(page, title).is_ok() {
                return Err(Code::TopicExists);
            }
            self.topics.push(Value::Null);
            (self.topics.len() - 1, json!(now))
        } else {
            let place = self.topics.iter().position(|topic| topic["configid"] == configid);
            let place = place.ok_or(Code::ConfigUnknown)?;
            let known = &self.topics[place];
            if known["appid"] != page || known["title"] != title {
                return Err(Code::TopicFixed);
            }
            (place, known["create_time"].clone())
        };
        let configid = if configid.is_empty() { self.next_id() } else { configid.to_owned() };
        let mut topic = call.body.clone();
        for (name, value) in [
            ("configid", json!(configid)),
            ("companyid", json!("company")),
            ("app_name", json!(format!("Page {page}"))),
            ("create_time", created_at),
            ("update_time", json!(now)),
        ] {
            topic[name] = value;
        }
        self.topics[place] = topic;
        Ok(json!({ "item": configid }))
    }

    fn del_title(&mut self, call: &Call) -> Answered {
        let configid = call.parameter("configid");
        let place = self.topics.iter().position(|topic| topic["configid"] == configid);
        self.topics.remove(place.ok_or(Code::ConfigUnknown)?);
        Ok(json!({}))
    }

    fn get_title_list(&self, call: &Call) -> Value {
        let appids = call.text("appids");
        let (from, until) = (call.body["start_time"].as_i64(), call.body["end_time"].as_i64());
        let is_asked_for = |topic: &&Value| {
            let created_at = topic["create_time"].as_i64();
            (appids.is_empty() || appids.split(',').any(|page| topic["appid"] == page))
                && (call.text("title").is_empty() || topic["title"] == call.text("title"))
                && from.is_none_or(|from| created_at >= Some(from))
                && until.is_none_or(|until| created_at <= Some(until))
        };
        let number = |name: &str| call.body[name].as_u64().and_then(|number| number.try_into().ok()).unwrap_or(1);
        let found: Vec<_> = self.topics.iter().filter(is_asked_for).collect();
        page_of("item", &found, number("page_no"), number("page_size"))
    }

    fn page(&self, page: &str) -> Result<(), Code> {
        match page {
            "" => Err(Code::PageMissing),
            page if self.pages.contains(page) => Ok(()),
            _ => Err(Code::PageUnknown),
        }
    }

    fn topic(&self, page: &str, title: &str) -> Result<(), Code> {
        filled(title, Code::TopicMissing, None)?;
        let is_it = |topic: &Value| topic["appid"] == page && topic["title"] == title;
        if self.topics.iter().any(is_it) { Ok(()) } else { Err(Code::TopicUnknown) }
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("{:032x}", self.ids)
    }

    fn next_mid(&mut self) -> String {
        format!("m_{}", self.next_id())
    }
}

/// Refuses what is missing, or longer than topics allow.
fn filled(text: &str, missing: Code, too_long: Option<Code>) -> Result<(), Code> {
    match too_long {
        _ if text.is_empty() => Err(missing),
        Some(code) if text.chars().count() > MAX_CHARACTERS => Err(code),
        _ => Ok(()),
    }
}

/// One page of a list, the first being 1.
fn page_of(name: &str, all: &[&Value], page_no: usize, page_size: usize) -> Value {
    let size = page_size.max(1);
    let items: Vec<_> = all.iter().skip(page_no.saturating_sub(1) * size).take(size).collect();
    json!({
        name: items,
        "page_count": all.len().div_ceil(size),
        "page_no": page_no,
        "page_size": page_size,
        "total_count": all.len(),
    })
}

/// What nobody hears is said only once, as Sobot does.
async fn call_back(webhook: String, body: String) {
    let Ok(client) = builder().build() else { return };
    let _ = client.post(webhook).header("content-type", "application/json").body(body).send().await;
}
