//! Envelopes: where in a document the events are, however it is wrapped.
//!
//! The regular form is `{"object","entry":[{"id","time","messaging":[…]}]}`. Accepted besides: `standby`
//! and `changes` arrays, one object where an array belongs, an array of envelopes, a bare entry, a bare
//! event, and Sobot's upload callback, bare or beside any of these. What is none of them is an event of its own,
//! `document`, so that every byte of an authentic body rests somewhere in the journal.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::event;
use super::found::{Address, Found, object};
use crate::event::{Container, Event, Note, Receipt, id};
use crate::ids::MAX_ID_BYTES;
use crate::json::{self, Document, Json, NotJson, Type};

/// A body with more events is kept whole as one `document`. Meta promises at most 1,000 updates a body;
/// without a bound, two megabytes of `[0,0,…]` would become a million rows.
pub const MAX_EVENTS: usize = 10_000;

/// Takes a body apart into its events, at least one, in the order in which they stand.
///
/// `received_at` is the time of receipt by the service's clock, which bounds the times that are believed, as long as nobody
/// knows that it is behind.
///
/// # Errors
/// [`NotJson`], with the place but nothing of the content.
pub fn parse(body: &Bytes, received_at: DateTime<Utc>) -> Result<Vec<Event>, NotJson> {
    let document = Document::parse(body)?;
    let receipt = Receipt::at(received_at);
    Ok(find_all(&document).iter().map(|found| read(found, receipt)).collect())
}

/// All that a document holds, at least one, in the order in which they stand.
pub fn find_all<'a>(document: &'a Document<'a>) -> Vec<Found<'a>> {
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
    found
}

/// The event of what was found.
pub fn read(found: &Found<'_>, receipt: Receipt) -> Event {
    match found.own_members.as_ref().map(Document::parse) {
        Some(Ok(document)) => {
            let address = found.address.clone();
            event::read(&Found { address, ..Found::bare(document.root(), found.container) }, receipt)
        }
        // Members of a document are a document; so there is no error to tell.
        Some(Err(_)) | None => event::read(found, receipt),
    }
}

/// What one top-level value holds.
fn find<'a>(json: Json<'a>, found: &mut Vec<Found<'a>>) {
    let is_object = |name: &&str| json.member(name).is_some_and(|value| value.kind() == Type::Object);
    let has = |name: &str| json.member(name).is_some();
    if has("entry") {
        find_in_envelope(json, found);
    } else if CONTAINERS.iter().any(|(name, _)| has(name)) {
        find_in_entry(object(json).as_ref(), json, found);
    } else if is_callback(json) && EVENT_KINDS.iter().any(is_object) {
        let of_event = |name: &str| EVENT_OBJECTS.contains(&name) || name == "timestamp";
        let own_members = beside(json, |name, _| of_event(name));
        found.push(Found::callback(json, Address::default(), own_members));
        found.push(Found::bare(json, Container::Messaging));
    } else if has("track_id") {
        found.push(Found::bare(json, Container::Callback));
    } else if EVENT_OBJECTS.iter().any(is_object) {
        found.push(Found::bare(json, Container::Messaging));
    } else if has("field") && has("value") {
        found.push(Found::bare(json, Container::Changes));
    } else {
        find_document(json, found);
    }
}

const CONTAINERS: [(&str, Container); 3] =
    [("messaging", Container::Messaging), ("standby", Container::Standby), ("changes", Container::Changes)];

/// A value with an object of such a name is an event, even without an envelope.
const EVENT_OBJECTS: [&str; 6] = ["sender", "recipient", "message", "delivery", "read", "optin"];

/// With one of these it is an event even if it is a callback, too.
const EVENT_KINDS: [&str; 4] = ["message", "delivery", "read", "optin"];

/// Whether it answers to an upload, whatever else it holds.
fn is_callback(json: Json<'_>) -> bool {
    ["track_id", "attachment_id"].iter().all(|name| json.member(name).and_then(id::text).is_some())
}

fn find_in_envelope<'a>(envelope: Json<'a>, found: &mut Vec<Found<'a>>) {
    let first = found.len();
    let object = object(envelope);
    for entry in envelope.members_named("entry").flat_map(Json::one_or_many) {
        find_in_entry(object.as_ref(), entry, found);
        if found.len() > MAX_EVENTS {
            return;
        }
    }
    let beside = beside(envelope, |name, value| match name {
        "entry" => true,
        "object" => value.string().is_some_and(|word| object.as_deref() == Some(word.as_ref())),
        _ => false,
    });
    if is_callback(envelope) {
        let address = Address { object, ..Address::default() };
        found.insert(first, Found::callback(envelope, address, beside));
    } else if let Some(event) = found[first..].iter_mut().find(|found| found.is_event()) {
        event.surroundings.document = beside;
    } else if found.len() > first || says_something(envelope) {
        // Without an event it is kept whole.
        found.truncate(first);
        found.push(Found::document(envelope));
    }
}

fn find_in_entry<'a>(object: Option<&Arc<str>>, entry: Json<'a>, found: &mut Vec<Found<'a>>) {
    let first = found.len();
    let page = entry.member("id").and_then(id::text);
    let time = entry.member("time").and_then(json::micros);
    let address = Address { object: object.cloned(), page, time };
    for (name, container) in CONTAINERS {
        // One more than is allowed is enough to see that there are too many.
        for json in entry.members_named(name).flat_map(Json::one_or_many).take(MAX_EVENTS + 1) {
            found.push(Found { address: address.clone(), ..Found::bare(json, container) });
        }
    }
    if found.len() == first {
        if is_callback(entry) {
            return found.push(Found::callback(entry, address, None));
        }
        return find_document(entry, found);
    }
    let beside = beside(entry, |name, value| match name {
        "messaging" | "standby" | "changes" => true,
        "id" => id::text(value).is_some_and(|id| id.len() <= MAX_ID_BYTES && Some(id) == address.page),
        "time" => {
            json::micros(value).is_some_and(|told| json::representable(told).is_some() && Some(told) == address.time)
        }
        "object" => value.string().is_some_and(|object| address.object.as_deref() == Some(object.as_ref())),
        _ => false,
    });
    if is_callback(entry) {
        found.insert(first, Found::callback(entry, address, beside));
    } else {
        found[first].surroundings.entry = beside;
    }
}

fn find_document<'a>(json: Json<'a>, found: &mut Vec<Found<'a>>) {
    if says_something(json) {
        found.push(Found::document(json));
    }
}

/// Whether a value that is no event says more than null, an empty array, or an entry's mere address.
fn says_something(json: Json<'_>) -> bool {
    match json.kind() {
        Type::Null => false,
        Type::Array => json.elements().next().is_some(),
        Type::Object => beside(json, |name, _| ["id", "time", "object", "entry"].contains(&name)).is_some(),
        Type::String | Type::Number | Type::Bool => true,
    }
}

/// JSON text of an object's members that are neither null, nor an empty array, nor kept elsewhere.
fn beside<'a>(object: Json<'a>, is_kept: impl Fn(&str, Json<'a>) -> bool) -> Option<String> {
    let is_empty =
        |value: Json<'_>| value.is_null() || (value.kind() == Type::Array && value.elements().next().is_none());
    let members: Vec<_> = object
        .members()
        .filter(|(key, value)| !is_empty(*value) && key.string().is_none_or(|key| !is_kept(&key, *value)))
        .map(|(key, value)| format!("{}:{}", key.source(), value.source()))
        .collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}
