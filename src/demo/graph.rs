//! Meta's Conversations API as its document describes it: conversations and the ids of their messages in pages that a cursor
//! leads through, details of the newest twenty messages alone, times that end in `+0000`, headers that tell what is used up.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::simulator::{Api, Call, Reply};

/// Only so many messages of a conversation have details.
const WITH_DETAILS: usize = 20;

/// What a page of a list has when no limit is asked for.
const USUAL_LIMIT: usize = 25;

/// What Meta knows.
#[derive(Debug, Default)]
pub struct GraphApi {
    /// By page id.
    pub pages: BTreeMap<String, SimulatedPage>,
    /// Headers of every answer, such as `x-business-use-case-usage`.
    pub usage: Vec<(&'static str, String)>,
}

/// A page.
#[derive(Debug, Clone, Default)]
pub struct SimulatedPage {
    pub token: String,
    pub conversations: Vec<SimulatedConversation>,
}

/// A conversation with one customer.
#[derive(Debug, Clone)]
pub struct SimulatedConversation {
    /// `t_…`
    pub id: String,
    /// `messenger` or `instagram`
    pub platform: &'static str,
    pub user_id: String,
    /// The newest first.
    pub messages: Vec<SimulatedMessage>,
}

/// A message.
#[derive(Debug, Clone)]
pub struct SimulatedMessage {
    pub mid: String,
    pub created_at: DateTime<Utc>,
    /// Every further field: `from`, `to`, `message`, …
    pub fields: Map<String, Value>,
}

/// A code and a subcode, and Meta's words for them.
type Refused = (i64, Option<i64>, &'static str);

const NO_TOKEN: Refused = (190, None, "Invalid OAuth access token - Cannot parse access token");
const MISSING: Refused = (100, Some(33), "Unsupported get request. The object does not exist or cannot be loaded");
const GONE: Refused = (9_000_001, None, "This Message has been deleted by the user or the business.");
const NO_PLATFORM: Refused = (100, None, "(#100) Param platform must be one of {messenger, instagram}");

impl Api for GraphApi {
    fn answer(&mut self, call: &Call) -> Reply {
        let answered = self.answered(call);
        let mut reply = match answered {
            Ok(body) => Reply::ok(body),
            Err((code, subcode, message)) => {
                let mut error =
                    json!({ "message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A" });
                if let Some(subcode) = subcode {
                    error["error_subcode"] = subcode.into();
                }
                Reply { status: StatusCode::BAD_REQUEST, ..Reply::ok(json!({ "error": error })) }
            }
        };
        reply.headers.clone_from(&self.usage);
        reply
    }
}

impl GraphApi {
    fn answered(&self, call: &Call) -> Result<Value, Refused> {
        let token = call.header("authorization").strip_prefix("Bearer ").unwrap_or(call.parameter("access_token"));
        let page = self.pages.iter().find(|(_, page)| page.token == token).ok_or(NO_TOKEN)?;
        // /v26.0/<id>[/<edge>]
        let parts = call.parts();
        match parts.iter().skip(1).map(String::as_str).collect::<Vec<_>>().as_slice() {
            _ if call.method != Method::GET => Err(MISSING),
            [id, "conversations"] if id == page.0 => conversations(page.1, call),
            [id, "messages"] => Ok(messages(page.1.conversation(id).ok_or(MISSING)?, call, limit(call))),
            [id] => match page.1.conversation(id) {
                Some(conversation) => Ok(details(conversation, call)),
                None => page.1.message(id, call),
            },
            _ => Err(MISSING),
        }
    }
}

impl SimulatedPage {
    fn conversation(&self, id: &str) -> Option<&SimulatedConversation> {
        self.conversations.iter().find(|conversation| conversation.id == id)
    }

    fn message(&self, mid: &str, call: &Call) -> Result<Value, Refused> {
        let places = self.conversations.iter().flat_map(|conversation| conversation.messages.iter().enumerate());
        let (place, message) = places.into_iter().find(|(_, message)| message.mid == mid).ok_or(MISSING)?;
        if place < WITH_DETAILS { Ok(message.with(call.parameter("fields"))) } else { Err(GONE) }
    }
}

impl SimulatedMessage {
    /// `id` and `created_time`, and of the fields those that are asked for and there.
    fn with(&self, fields: &str) -> Value {
        let mut shown = json!({ "id": self.mid, "created_time": time(self.created_at) });
        for name in fields.split(',') {
            if let Some(value) = self.fields.get(name) {
                shown[name] = value.clone();
            }
        }
        shown
    }
}

fn conversations(page: &SimulatedPage, call: &Call) -> Result<Value, Refused> {
    let (platform, user) = (call.parameter("platform"), call.parameter("user_id"));
    if !["messenger", "instagram"].contains(&platform) {
        return Err(NO_PLATFORM);
    }
    let is_asked_for = |conversation: &&SimulatedConversation| {
        conversation.platform == platform && (user.is_empty() || conversation.user_id == user)
    };
    let mut found: Vec<_> = page.conversations.iter().filter(is_asked_for).collect();
    let changed_at = |conversation: &SimulatedConversation| conversation.messages.first().map(|last| last.created_at);
    found.sort_by_key(|conversation| std::cmp::Reverse(changed_at(conversation)));
    let shown = |conversation: &&SimulatedConversation| {
        json!({
            "id": conversation.id,
            "updated_time": changed_at(conversation).map(time),
            "participants": { "data": [{ "id": conversation.user_id }] },
        })
    };
    Ok(list(&found.iter().map(shown).collect::<Vec<_>>(), call, limit(call)))
}

/// `?fields=messages`, `?fields=messages.limit(5)`; without it the id alone.
fn details(conversation: &SimulatedConversation, call: &Call) -> Value {
    let Some(rest) = call.parameter("fields").strip_prefix("messages") else {
        return json!({ "id": conversation.id });
    };
    let asked = rest.strip_prefix(".limit(").and_then(|rest| rest.split(')').next()?.parse().ok());
    let messages = messages(conversation, call, asked.unwrap_or(USUAL_LIMIT));
    json!({ "id": conversation.id, "messages": messages })
}

fn messages(conversation: &SimulatedConversation, call: &Call, limit: usize) -> Value {
    let shown: Vec<_> = conversation.messages.iter().map(|message| message.with("")).collect();
    list(&shown, call, limit)
}

fn limit(call: &Call) -> usize {
    call.parameter("limit").parse().unwrap_or(USUAL_LIMIT)
}

/// One page of a list. A cursor is the place of an element; `next` holds the token, as Meta's does.
fn list(all: &[Value], call: &Call, limit: usize) -> Value {
    let start = call.parameter("after").parse().unwrap_or(0_usize);
    let end = start.saturating_add(limit).min(all.len());
    let data = all.get(start..end).unwrap_or_default();
    let mut paging = json!({ "cursors": { "before": start.to_string(), "after": end.to_string() } });
    if end < all.len() {
        let token = call.header("authorization").trim_start_matches("Bearer ");
        paging["next"] = format!("https://graph.example{}?after={end}&access_token={token}", call.path).into();
    }
    if data.is_empty() { json!({ "data": [] }) } else { json!({ "data": data, "paging": paging }) }
}

/// `2025-10-09T08:53:20+0000`
fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}
