//! What makes two events the same: 16 bytes of SHA-256.
//!
//! A message is its page, its mid, whether it is an echo or an unsend, and what of it the state shows; the rest may
//! differ between repetitions, which carry freshly signed attachment URLs. Everything else is its kind, its page
//! and its canonical JSON, because forwarders reorder keys and escape characters differently. A note is part of
//! the key, so that an event that could not be folded does not stand in the way of its better twin.
//!
//! What we made ourselves of an API's answers has keys of its own for each container: a message that we sent is another
//! event than its echo, and neither may swallow the other. Of such a body only what the API told identifies the event, and
//! not when we asked.
//!
//! **A key is a contract on disk.** Journals know their events by it: under another key the same event would be stored
//! a second time. So every change of the code keeps all keys (`tests/data/keys.tsv` pins them), or is a decision of its
//! own, with a migration of the journals that exist.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::facts::{Facts, MessageFacts};
use super::terms::{Container, Direction, Kind, Note};
use crate::ids::{EventKey, PageId};
use crate::json::{Decimal, Json, Type};

/// What an event is about, as far as every key holds it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub container: Container,
    pub page: Option<&'a PageId>,
}

/// The key of an event that tells of a message.
pub fn of_message(subject: Subject<'_>, direction: Direction, is_echo: bool, facts: &Facts) -> Option<EventKey> {
    let (mid, form, parts) = match facts {
        Facts::Message(MessageFacts { mid, text, attachment_types }) => {
            (mid, 0, [text.as_deref(), attachment_types.as_deref()])
        }
        Facts::Unsend { mid } => (mid, 1, [None, None]),
        Facts::Listed { mid } => (mid, 2, [None, None]),
        _ => return None,
    };
    let direction = match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
        Direction::Unknown => 2,
    };
    let mut hash = start(subject, b"message");
    text(&mut hash, mid.as_str());
    hash.update([direction, u8::from(is_echo), form]);
    for part in parts {
        hash.update([u8::from(part.is_some())]);
        text(&mut hash, part.unwrap_or_default());
    }
    Some(finish(hash))
}

/// The key of any other event.
pub fn of_json(subject: Subject<'_>, kind: Kind, note: Option<Note>, json: Json<'_>) -> EventKey {
    let mut hash = start(subject, b"json");
    text(&mut hash, kind.as_str());
    text(&mut hash, note.map_or("", Note::as_str));
    canonical(&mut hash, json);
    finish(hash)
}

fn start(Subject { container, page }: Subject<'_>, domain: &[u8]) -> Sha256 {
    // No key of the webhook has its container in it, and none of our own containers begins as a domain does.
    let own = if container.is_own() { container.as_str() } else { "" };
    let mut hash = Sha256::new_with_prefix(own).chain_update(domain);
    text(&mut hash, page.map_or("", PageId::as_str));
    hash
}

/// The length goes first, so that no two sequences of texts run together.
fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

fn finish(hash: Sha256) -> EventKey {
    let digest = hash.finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    EventKey(key)
}

/// What is still to be hashed. A list instead of recursion: depth is the sender's choice.
enum Pending<'a> {
    Value(Json<'a>),
    Name(Cow<'a, str>),
    Close,
}

/// Hashes a value so that equal JSON hashes alike: keys sorted, the last of repeated keys alone,
/// strings unescaped, numbers in one spelling.
fn canonical(hash: &mut Sha256, json: Json<'_>) {
    let mut pending = vec![Pending::Value(json)];
    while let Some(next) = pending.pop() {
        match next {
            Pending::Close => hash.update(b"."),
            Pending::Name(name) => text(hash, &name),
            Pending::Value(value) => match value.kind() {
                Type::Object => {
                    hash.update(b"{");
                    pending.push(Pending::Close);
                    for (name, member) in sorted_members(value).into_iter().rev() {
                        pending.push(Pending::Value(member));
                        pending.push(Pending::Name(name));
                    }
                }
                Type::Array => {
                    hash.update(b"[");
                    pending.push(Pending::Close);
                    let first = pending.len();
                    pending.extend(value.elements().map(Pending::Value));
                    pending[first..].reverse();
                }
                Type::String => {
                    hash.update(b"s");
                    text(hash, &value.string().unwrap_or_default());
                }
                Type::Number => {
                    hash.update(b"n");
                    let number = Decimal::parse(value.source());
                    text(hash, &number.map_or_else(|| value.source().to_owned(), |number| number.canonical()));
                }
                Type::Bool | Type::Null => hash.update(&value.source().as_bytes()[..1]),
            },
        }
    }
}

fn sorted_members(object: Json<'_>) -> Vec<(Cow<'_, str>, Json<'_>)> {
    let mut members: Vec<_> = object.members().filter_map(|(key, value)| Some((key.string()?, value))).collect();
    // The sort is stable, so the last of equal names is the last one written.
    members.sort_by(|left, right| left.0.cmp(&right.0));
    members.reverse();
    members.dedup_by(|later, earlier| later.0 == earlier.0);
    members.reverse();
    members
}
