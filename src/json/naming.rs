//! Where a name stands in JSON, or in bytes that were to be JSON: to find somebody, and to take them out.

use std::borrow::Cow;

use bytes::Bytes;

use super::document::{Document, Json, Type};
use super::escape::{Segment, segments};

/// What stands where a name was taken out of a string.
const ERASED: &str = "\"erased\"";

/// Whether bytes name somebody, spelled in whatever way: the name stands there, and not as a part of a longer word or
/// number.
#[must_use]
pub fn names(bytes: &[u8], name: &str) -> bool {
    let text = String::from_utf8_lossy(bytes);
    stands_in(&text, name) || (text.contains('\\') && stands_in(&unescaped(&text), name))
}

fn stands_in(text: &str, name: &str) -> bool {
    let is_word = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    text.match_indices(name)
        .any(|(at, _)| !is_word(text[..at].chars().next_back()) && !is_word(text[at + name.len()..].chars().next()))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for segment in segments(text) {
        match segment {
            Segment::Plain(part) => plain.push_str(part),
            Segment::Escape { character, .. } => plain.push(character.unwrap_or('\u{FFFD}')),
        }
    }
    plain
}

/// A document without its values that are this name and nothing else: a string becomes `"erased"`, a number 0. None if
/// there is none. A name within a longer text stays.
#[must_use]
pub fn without_name(body: &Bytes, name: &str) -> Option<Bytes> {
    let document = Document::parse(body).ok()?;
    let is_named = |value: &Json<'_>| {
        matches!(value.kind(), Type::String | Type::Number)
            && value.text_or_integer(name.len()).is_some_and(|text| text == name)
    };
    let named: Vec<_> = document.root().descendants().filter(is_named).collect();
    if named.is_empty() {
        return None;
    }
    let mut text = Cow::Borrowed(document.text());
    for value in named.into_iter().rev() {
        let replacement = if value.kind() == Type::Number { "0" } else { ERASED };
        text.to_mut().replace_range(value.place(), replacement);
    }
    Some(Bytes::from(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_spelled_and_not_within_a_longer_one() {
        for body in [r#"{"id":"25"}"#, r#"{"id":25}"#, r#"{"id":"\u00325"}"#, "[25, x", r#"{"u":"https://x/?u=25&v"}"#]
        {
            assert!(names(body.as_bytes(), "25"), "{body}");
        }
        for body in [r#"{"id":"125"}"#, r#"{"id":251}"#, r#"{"id":"2"}"#, "25x", ""] {
            assert!(!names(body.as_bytes(), "25"), "{body}");
        }
    }

    #[test]
    fn only_whole_values_are_taken_out() {
        let without = |body: &'static str| {
            without_name(&Bytes::from(body), "25").map(|body| String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(
            without(r#"{"a":"25","b":[25,"x\u0032"],"c":"\u00325"}"#).unwrap(),
            r#"{"a":"erased","b":[0,"x\u0032"],"c":"erased"}"#
        );
        assert_eq!(without(r#"{"a":"on 25","b":251}"#), None);
        assert_eq!(without("no JSON 25"), None);
    }
}
