//! The index of a document: where each of its values lies.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::decimal;
use super::escape::{Segment, segments};

/// The bytes are not one JSON document: why, with line and column but none of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON document: {0}")]
pub struct NotJson(String);

/// What a value is, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// One value: `text[start..end]`, and the index of the first node that is not part of it.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    after: u32,
    depth: u32,
}

/// A JSON document: its bytes and the place of every value. An object's members stand as key, value,
/// key, value.
#[derive(Debug)]
pub struct Document<'a> {
    body: &'a Bytes,
    text: &'a str,
    nodes: Vec<Node>,
}

/// One value of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub struct Json<'a> {
    document: &'a Document<'a>,
    index: u32,
}

impl<'a> Document<'a> {
    /// Indexes one JSON document (RFC 8259; a UTF-8 byte order mark before it is accepted).
    ///
    /// # Errors
    /// [`NotJson`].
    pub fn parse(body: &'a Bytes) -> Result<Self, NotJson> {
        let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        if u32::try_from(text.len()).is_err() {
            return Err(NotJson("longer than 4 GiB".to_owned()));
        }
        let text = std::str::from_utf8(text)
            .map_err(|error| NotJson(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| NotJson(error.to_string()))?;
        Ok(Self { body, text, nodes: index(text.as_bytes()) })
    }

    /// The document as it was written, without a byte order mark.
    pub fn text(&self) -> &str {
        self.text
    }

    /// The outermost value.
    pub fn root(&self) -> Json<'_> {
        Json { document: self, index: 0 }
    }
}

/// Lists the values of a text that is known to be one JSON document.
#[expect(clippy::cast_possible_truncation, reason = "the text is shorter than 4 GiB, and so is every count over it")]
fn index(text: &[u8]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::with_capacity(text.len() / 12);
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => {
                nodes.push(Node { start: start as u32, end: 0, after: 0, depth: open.len() as u32 });
                open.push(nodes.len() - 1);
                continue;
            }
            b'}' | b']' => {
                let after = nodes.len() as u32;
                if let Some(node) = open.pop().and_then(|container| nodes.get_mut(container)) {
                    node.end = at as u32;
                    node.after = after;
                }
                continue;
            }
            b'"' => {
                while let Some(&inner) = text.get(at) {
                    at += if inner == b'\\' { 2 } else { 1 };
                    if inner == b'"' {
                        break;
                    }
                }
            }
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
            _ => {
                while text
                    .get(at)
                    .is_some_and(|next| !matches!(next, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))
                {
                    at += 1;
                }
            }
        }
        let after = nodes.len() as u32 + 1;
        nodes.push(Node { start: start as u32, end: at as u32, after, depth: open.len() as u32 });
    }
    nodes
}

impl<'a> Json<'a> {
    fn node(self) -> &'a Node {
        &self.document.nodes[self.index as usize]
    }

    /// The value's type.
    pub fn kind(self) -> Type {
        match self.document.text.as_bytes()[self.node().start as usize] {
            b'{' => Type::Object,
            b'[' => Type::Array,
            b'"' => Type::String,
            b't' | b'f' => Type::Bool,
            b'n' => Type::Null,
            _ => Type::Number,
        }
    }

    pub fn is_null(self) -> bool {
        self.kind() == Type::Null
    }

    /// Where the value stands in [`Document::text`].
    pub fn place(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The value as it was written.
    pub fn source(self) -> &'a str {
        &self.document.text[self.place()]
    }

    /// The value's bytes, sharing the body's memory.
    pub fn bytes(self) -> Bytes {
        self.document.body.slice_ref(self.source().as_bytes())
    }

    /// Every value inside this one and itself, in the order they are written.
    pub fn descendants(self) -> impl Iterator<Item = Json<'a>> {
        (self.index..self.node().after).map(move |index| Json { index, ..self })
    }

    /// How many brackets the value nests, itself included: 0 for a scalar.
    pub fn height(self) -> usize {
        let base = self.node().depth;
        self.descendants()
            .filter(|inner| matches!(inner.kind(), Type::Object | Type::Array))
            .map(|inner| (inner.node().depth - base + 1) as usize)
            .max()
            .unwrap_or(0)
    }

    /// The direct children: an array's elements, an object's keys and values by turns.
    fn children(self) -> impl Iterator<Item = Json<'a>> {
        let end = self.node().after;
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            (next < end).then(|| {
                let child = Json { index: next, ..self };
                next = child.node().after;
                child
            })
        })
    }

    /// An array's elements; nothing for any other type.
    pub fn elements(self) -> impl Iterator<Item = Json<'a>> {
        self.children().filter(move |_| self.kind() == Type::Array)
    }

    /// An array's elements, or the value itself where a forwarder left the brackets out.
    pub fn one_or_many(self) -> impl Iterator<Item = Json<'a>> {
        let alone = (self.kind() != Type::Array).then_some(self);
        alone.into_iter().chain(self.elements())
    }

    /// An object's members, duplicates included; nothing for any other type.
    pub fn members(self) -> impl Iterator<Item = (Json<'a>, Json<'a>)> {
        let mut children = self.children();
        let is_object = self.kind() == Type::Object;
        std::iter::from_fn(move || if is_object { children.next().zip(children.next()) } else { None })
    }

    /// Every member of that name that is not null.
    pub fn members_named(self, name: &str) -> impl Iterator<Item = Json<'a>> {
        let is_named = move |(key, _): &(Json<'a>, Json<'a>)| key.string().is_some_and(|key| key == name);
        self.members().filter(is_named).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// An object's member of that name, the last one where a name is repeated (as `jsonb` has it).
    /// A null member is as if absent.
    pub fn member(self, name: &str) -> Option<Json<'a>> {
        self.members()
            .filter(|(key, _)| key.string().is_some_and(|key| key == name))
            .last()
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// A string's characters. NUL and lone surrogates, which no PostgreSQL text holds, become U+FFFD.
    pub fn string(self) -> Option<Cow<'a, str>> {
        self.string_up_to(usize::MAX)
    }

    /// The same; of a string of more than `max_bytes` only the beginning, which is longer than that. It is the same
    /// beginning however the string is spelled.
    pub fn string_up_to(self, max_bytes: usize) -> Option<Cow<'a, str>> {
        if self.kind() != Type::String {
            return None;
        }
        let quoted = self.source();
        let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(cut(inner, max_bytes)));
        }
        let mut text = String::new();
        for segment in segments(inner) {
            match segment {
                Segment::Plain(plain) => text.push_str(cut(plain, max_bytes)),
                Segment::Escape { character, .. } => text.push(character.unwrap_or('\u{FFFD}')),
            }
            if text.len() > max_bytes {
                text.truncate(cut(&text, max_bytes).len());
                break;
            }
        }
        Some(Cow::Owned(text))
    }

    /// A string's characters, or the digits of a whole number; cut like [`Self::string_up_to`].
    pub fn text_or_integer(self, max_bytes: usize) -> Option<Cow<'a, str>> {
        match self.kind() {
            Type::String => self.string_up_to(max_bytes),
            Type::Number => decimal::integer_text(self.source(), max_bytes),
            _ => None,
        }
    }

    /// `true`, also as a string.
    pub fn is_true(self) -> bool {
        match self.kind() {
            Type::Bool => self.source() == "true",
            Type::String => self.string_up_to("true".len()).as_deref() == Some("true"),
            _ => false,
        }
    }
}

/// The text, or if it is longer than `max_bytes`, as many characters as are just longer.
fn cut(text: &str, max_bytes: usize) -> &str {
    let end = (max_bytes.saturating_add(1)..text.len()).find(|at| text.is_char_boundary(*at));
    end.map_or(text, |end| &text[..end])
}
