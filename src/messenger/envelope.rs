//! Envelopes: where in a document the events are, however it is wrapped.
//!
//! The regular form is `{"object","entry":[{"id","time","messaging":[…]}]}`. Accepted besides: `standby`
//! and `changes` arrays, one object where an array belongs, an array of envelopes, a bare entry, a bare
//! event, and Sobot's bare upload callback. What is none of these is an event of its own, `document`, so
//! that every byte of an authentic body rests somewhere in the journal.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::event::Event;
use super::found::{Found, object};
use super::json::{Document, Json, Type};
use super::terms::{Container, Note};

/// A body with more events is kept whole as one `document`. Meta promises at most 1,000 updates a body;
/// without a bound, two megabytes of `[0,0,…]` would become a million rows.
pub const MAX_EVENTS: usize = 10_000;

/// The bytes are not one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON document: {0}")]
pub struct NotJson(String);

/// Takes a body apart into its events, at least one, in the order in which they stand.
///
/// `received_at` is the time of receipt, which bounds the times that are believed.
///
/// # Errors
/// [`NotJson`], with the place but nothing of the content.
pub fn parse(body: &Bytes, received_at: DateTime<Utc>) -> Result<Vec<Event>, NotJson> {
    let document = Document::parse(body).map_err(NotJson)?;
    let root = document.root();
    let mut found = Vec::new();
    for element in root.one_or_many() {
        find(element, &mut found);
        if found.len() > MAX_EVENTS {
            found = vec![Found { note: Some(Note::TooManyEvents), ..Found::document(root) }];
            break;
        }
    }
    if !found.iter().any(|found| found.is_event() || found.note.is_some()) {
        found = vec![Found::document(root)];
    }
    Ok(found.iter().map(|found| Event::read(found, received_at)).collect())
}

/// What one top-level value holds.
fn find<'a>(json: Json<'a>, found: &mut Vec<Found<'a>>) {
    let is_party = |role: &&str| json.member(role).is_some_and(|party| party.kind() == Type::Object);
    if json.member("entry").is_some() {
        find_in_envelope(json, found);
    } else if CONTAINERS.iter().any(|(name, _)| json.member(name).is_some()) {
        find_in_entry(json, json, found);
    } else if json.member("track_id").is_some() {
        found.push(Found::bare(json, Container::Callback));
    } else if ["sender", "recipient"].iter().any(is_party) {
        found.push(Found::bare(json, Container::Messaging));
    } else {
        find_document(json, found);
    }
}

const CONTAINERS: [(&str, Container); 3] =
    [("messaging", Container::Messaging), ("standby", Container::Standby), ("changes", Container::Changes)];

fn find_in_envelope<'a>(envelope: Json<'a>, found: &mut Vec<Found<'a>>) {
    let first = found.len();
    for entry in envelope.member("entry").into_iter().flat_map(Json::one_or_many) {
        find_in_entry(envelope, entry, found);
        if found.len() > MAX_EVENTS {
            return;
        }
    }
    let beside = beside(envelope, &["object", "entry"]);
    let says_something = beside.is_some() || found.len() > first;
    if let Some(event) = found[first..].iter_mut().find(|found| found.is_event()) {
        event.around.document = beside;
    } else if says_something {
        // Without an event it is kept whole.
        found.truncate(first);
        found.push(Found::document(envelope));
    }
}

fn find_in_entry<'a>(envelope: Json<'a>, entry: Json<'a>, found: &mut Vec<Found<'a>>) {
    let first = found.len();
    for (name, container) in CONTAINERS {
        // One more than is allowed is enough to see that there are too many.
        for json in entry.member(name).into_iter().flat_map(Json::one_or_many).take(MAX_EVENTS + 1) {
            let (page, time) = (entry.member("id").and_then(Json::id_text), entry.member("time"));
            found.push(Found { page, time, object: object(envelope), ..Found::bare(json, container) });
        }
    }
    match found.get_mut(first) {
        Some(event) => event.around.entry = beside(entry, &["id", "time", "object", "messaging", "standby", "changes"]),
        None => find_document(entry, found),
    }
}

/// A value that is no event but says something: more than null, an empty array, or an entry's mere address.
fn find_document<'a>(json: Json<'a>, found: &mut Vec<Found<'a>>) {
    let says_something = match json.kind() {
        Type::Null => false,
        Type::Array => json.elements().next().is_some(),
        Type::Object => beside(json, &["id", "time", "object", "entry"]).is_some(),
        Type::String | Type::Number | Type::Bool => true,
    };
    if says_something {
        found.push(Found::document(json));
    }
}

/// JSON text of an object's members that are neither null, nor an empty array, nor among the named ones.
fn beside(object: Json<'_>, named: &[&str]) -> Option<String> {
    let is_empty =
        |value: Json<'_>| value.is_null() || (value.kind() == Type::Array && value.elements().next().is_none());
    let members: Vec<_> = object
        .members()
        .filter(|(key, value)| !is_empty(*value) && key.string().is_none_or(|key| !named.contains(&key.as_ref())))
        .map(|(key, value)| format!("{}:{}", key.source(), value.source()))
        .collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}
