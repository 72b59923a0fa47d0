//! A message that we sent.

use chrono::{DateTime, SubsecRound, Utc};

use crate::dialect::composed::{self, Composed};
use crate::event::{Container, Direction, Draft, Event, Facts, Kind, MessageFacts, Note, Receipt, id, text};
use crate::ids::{PageId, UserId};
use crate::json::{self, Document, Json, NotJson, Type};

/// What is known of a message once Sobot's API has taken it.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Who wrote it.
    pub page_id: &'a PageId,
    /// Who it is for, also where the request names them by a token alone.
    pub user_id: &'a UserId,
    /// The message's id as the answer told it. Without one the event is kept and changes no state.
    pub mid: Option<&'a str>,
    /// The request's body, one JSON object; its tokens are left out of the event.
    pub request: &'a str,
    /// When the answer came. It becomes the event's time; the message was written just before.
    pub answered_at: DateTime<Utc>,
}

/// Makes the event, of container `api`. Told twice with the same answer, it is one event.
///
/// # Errors
/// The request is not JSON.
pub fn sent(sent: &Sent<'_>) -> Result<Event, NotJson> {
    let body = composed::told(sent.request, |request| {
        let body = Composed::default()
            .text("page_id", sent.page_id.as_str())
            .text("user_id", sent.user_id.as_str())
            .text("mid", sent.mid)
            .time("answered_at", sent.answered_at);
        Ok(body.source("request", &without_tokens(request)).into_bytes())
    })?;
    Ok(read(Document::parse(&body)?.root(), Receipt::at(sent.answered_at.trunc_subsecs(6))))
}

/// The request's members but for the tokens. Of what is no object nobody can tell what is secret, so nothing is kept.
fn without_tokens(request: Json<'_>) -> String {
    let is_token = |name: &str| name.to_ascii_lowercase().contains("token");
    let members = request.members().filter(|(name, _)| name.string().is_none_or(|name| !is_token(&name)));
    let members: Vec<_> = members.map(|(name, value)| format!("{}:{}", name.source(), value.source())).collect();
    format!("{{{}}}", members.join(","))
}

pub fn read(json: Json<'_>, receipt: Receipt) -> Event {
    let draft = Draft {
        json,
        identity: json,
        container: Container::Api,
        kind: Kind::Message,
        event_type: None,
        object: None,
        page: json.member("page_id").and_then(id::text),
        user: json.member("user_id").and_then(id::text),
        direction: Direction::Outbound,
        is_echo: false,
        told_at: json.member("answered_at").and_then(json::micros),
        entry_time: None,
        facts: facts(json),
        note: None,
        envelope: None,
    };
    draft.finish(receipt)
}

/// The content, with its attachments named as the message's echo will name them.
fn facts(json: Json<'_>) -> Result<Facts, Note> {
    let mid = id::required(json.member("mid"), Note::NoMid)?;
    let request = json.member("request").filter(|request| request.kind() == Type::Object).ok_or(Note::NotAnObject)?;
    let payload = request.member("payload");
    let word = text::told(request.member("type"));
    let (text, attachment_types) = match word.as_deref() {
        Some("text") => (text::of(payload), None),
        // A button template has a text of its own.
        Some(_) => (text::of(payload.and_then(|payload| payload.member("text"))), word),
        // An opt-in message, which Messenger shows as a template.
        None => (None, request.member("title").map(|_| "template".to_owned())),
    };
    Ok(Facts::Message(MessageFacts { mid, text, attachment_types }))
}
