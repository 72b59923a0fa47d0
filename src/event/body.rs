//! How an event's JSON rests in the journal: as `jsonb` for questions, and as the exact bytes beside it
//! where `jsonb` is not the same document.
//!
//! `jsonb` keeps neither key order nor white space, which mean nothing in JSON. It refuses NUL, lone
//! surrogates, deep nesting and endless numbers, and forgets repeated keys; then the bytes are kept too.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;

use crate::json::{Json, Segment, Type, is_short, segments};

/// Deeper values stay out of `jsonb`. Its parser recurses on PostgreSQL's stack (2 MiB as a rule) and
/// gives up at some thousand levels; the deepest honest event nests fewer than twenty.
const MAX_HEIGHT: usize = 256;

/// Longer numbers stay out of `jsonb`, which writes every digit out (`1e100000` would take 50 kB) and has an
/// end: 131,072 digits before the point, 16,383 after it.
const MAX_DIGITS: usize = 1_000;

/// What the journal keeps of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// JSON text that PostgreSQL's `jsonb` accepts; none when it cannot hold the event.
    pub jsonb: Option<Bytes>,
    /// The exact bytes; none when [`Body::jsonb`] says the same.
    pub raw: Option<Bytes>,
}

impl Body {
    pub(super) fn of(json: Json<'_>) -> Self {
        let bytes = json.bytes();
        if !fits_jsonb(json) {
            return Self { jsonb: None, raw: Some(bytes) };
        }
        if let Cow::Owned(replaced) = storable(json.source()) {
            return Self { jsonb: Some(replaced.into()), raw: Some(bytes) };
        }
        let raw = repeats_a_key(json).then(|| bytes.clone());
        Self { jsonb: Some(bytes), raw }
    }

    /// The bytes as they arrived.
    #[must_use]
    pub fn exact(&self) -> Option<&Bytes> {
        self.raw.as_ref().or(self.jsonb.as_ref())
    }
}

fn fits_jsonb(json: Json<'_>) -> bool {
    let has_room = |value: Json<'_>| value.kind() != Type::Number || is_short(value.source(), MAX_DIGITS);
    json.height() <= MAX_HEIGHT && json.descendants().all(has_room)
}

/// The JSON text with U+FFFD for NUL and lone surrogates; borrowed when there are none.
fn storable(source: &str) -> Cow<'_, str> {
    let is_refused = |segment: &Segment<'_>| matches!(segment, Segment::Escape { character: None, .. });
    if !source.contains("\\u") || !segments(source).any(|segment| is_refused(&segment)) {
        return Cow::Borrowed(source);
    }
    let parts = segments(source).map(|segment| match segment {
        Segment::Plain(plain) => plain,
        Segment::Escape { character: None, .. } => "\\ufffd",
        Segment::Escape { source, .. } => source,
    });
    Cow::Owned(parts.collect())
}

fn repeats_a_key(json: Json<'_>) -> bool {
    json.descendants().filter(|value| value.kind() == Type::Object).any(|object| {
        let names = || object.members().filter_map(|(key, _)| key.string());
        if names().count() <= 8 {
            // Most objects are this small, and comparing is quicker than hashing.
            return names().enumerate().any(|(index, name)| names().take(index).any(|earlier| earlier == name));
        }
        let mut seen = HashSet::new();
        !names().all(|name| seen.insert(name))
    })
}
