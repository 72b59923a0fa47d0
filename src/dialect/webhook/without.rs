//! A body without somebody: for the spool and the quarantine, which hold bodies whole.

use std::ops::Range;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::envelope;
use super::found::Found;
use crate::event::{Event, Person, Receipt};
use crate::json::{Document, names, without_name};

/// What is left of a body when a person's events are taken out of it; nothing if nothing is. The events of others stay as
/// they are. Bytes that are no JSON cannot be taken apart: if they name the person, nothing is left.
#[must_use]
pub fn without(person: &Person, body: &Bytes, received_at: DateTime<Utc>) -> Bytes {
    let name = person.user_id.as_str();
    let Ok(document) = Document::parse(body) else {
        return if names(body, name) { Bytes::new() } else { body.clone() };
    };
    let found = envelope::find_all(&document);
    let receipt = Receipt::at(received_at);
    let is_person = |found: &&Found<'_>| {
        // A callback that stands around events has members of its own; the events are found by themselves.
        let own = found.own_members.as_ref().and_then(|members| std::str::from_utf8(members).ok());
        is_theirs(person, &envelope::read(found, receipt), own.unwrap_or(found.json.source()))
    };
    let theirs: Vec<&Found<'_>> = found.iter().filter(is_person).collect();
    if theirs.len() == found.len() {
        return Bytes::new();
    }
    // What holds others as well stays; the id is taken out of it below.
    let theirs = theirs.into_iter().filter(|found| found.own_members.is_none());
    let theirs: Vec<Range<usize>> = theirs.map(|found| found.json.place()).collect();
    let rest = if theirs.is_empty() { body.clone() } else { Bytes::from(cut(document.text(), theirs)) };
    without_name(&rest, name).unwrap_or(rest)
}

/// Also an event that names no user, but holds the person's id somewhere.
fn is_theirs(person: &Person, event: &Event, json: &str) -> bool {
    person.owns(event)
        || (event.user_id.is_none()
            && person.may_stand_in(event.page_id.as_ref())
            && names(json.as_bytes(), person.user_id.as_str()))
}

/// Cuts values out of the text of a document, each with a comma beside it; one that is no element of an array leaves an
/// empty array behind.
fn cut(text: &str, mut places: Vec<Range<usize>>) -> String {
    places.sort_by_key(|place| (place.start, place.end));
    places.dedup();
    let mut text = text.to_owned();
    for Range { start, end } in places.into_iter().rev() {
        let (before, after) = (text[..start].trim_end(), text[end..].trim_start());
        let (from, until) = (before.len(), text.len() - after.len());
        match (before.chars().next_back(), after.chars().next()) {
            (None, _) => return String::new(),
            (Some(','), _) => text.replace_range(from - 1..end, ""),
            (Some('['), Some(',')) => text.replace_range(start..=until, ""),
            (Some('['), _) => text.replace_range(start..end, ""),
            _ => text.replace_range(start..end, "[]"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    fn left(body: &str) -> String {
        let user_id = UserId::try_from(std::borrow::Cow::from("2")).unwrap();
        let at = DateTime::from_timestamp_millis(1_760_000_001_000).unwrap();
        let left = without(&Person { user_id, page_id: None }, &Bytes::from(body.to_owned()), at);
        String::from_utf8(left.to_vec()).unwrap()
    }

    fn event(user: &str) -> String {
        format!(
            r#"{{"sender":{{"id":"{user}"}},"recipient":{{"id":"1"}},"timestamp":1,"message":{{"mid":"m{user}"}}}}"#
        )
    }

    fn envelope(messaging: &str) -> String {
        format!(r#"{{"object":"page","entry":[{{"id":"1","messaging":{messaging}}}]}}"#)
    }

    #[test]
    fn only_the_events_of_the_person_go() {
        let (theirs, other, third) = (event("2"), event("3"), event("4"));
        for (messaging, rest) in [
            (format!("[{theirs}, {other}]"), format!("[ {other}]")),
            (format!("[{other} , {theirs} ]"), format!("[{other}  ]")),
            (format!("[{other},{theirs},{theirs},{third}]"), format!("[{other},{third}]")),
            (format!("[{other}]"), format!("[{other}]")),
        ] {
            assert_eq!(left(&envelope(&messaging)), envelope(&rest));
        }
        let around = |messaging: &str| {
            format!(r#"{{"track_id":"t","attachment_id":"a","entry":[{{"id":"1","messaging":{messaging}}}]}}"#)
        };
        assert_eq!(left(&around(&format!("[{theirs},{other}]"))), around(&format!("[{other}]")));
        let entries = |alone: &str| {
            format!(r#"{{"entry":[{{"id":"1","messaging":{alone}}},{{"id":"1","messaging":[{other}]}}]}}"#)
        };
        assert_eq!(left(&entries(&theirs)), entries("[]"));
        assert_eq!(left(&envelope(&format!("[{theirs},{theirs}]"))), "");
    }

    #[test]
    fn a_body_of_theirs_alone_goes_and_so_does_what_cannot_be_taken_apart() {
        assert_eq!(left(&event("2")), "");
        assert_eq!(left(&event("3")), event("3"));
        assert_eq!(left("[\"2\", no JSON"), "");
        assert_eq!(left("no JSON of 22"), "no JSON of 22");
        assert_eq!(left(r#"{"whatever":[{"id":2}]}"#), "");
    }

    #[test]
    fn around_the_events_of_others_the_id_alone_goes() {
        let body = |hop: &str| {
            format!(r#"{{"object":"page","hop":{hop},"entry":[{{"id":"1","messaging":[{}]}}]}}"#, event("3"))
        };
        assert_eq!(left(&body("[\"2\",2]")), body("[\"erased\",0]"));
    }
}
