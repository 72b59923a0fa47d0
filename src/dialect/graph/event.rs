//! A message as Meta tells of it: who wrote it, when, and what it says.

use std::sync::Arc;

use super::attachments;
use super::parties::Parties;
use super::platform::Platform;
use crate::event::{Container, Direction, Draft, Event, Facts, Kind, MessageFacts, Note, Receipt, id, text};
use crate::json::{self, Json, Type};

pub fn read(json: Json<'_>, receipt: Receipt) -> Event {
    let platform = json.member("platform").and_then(|platform| Platform::named(&platform.string()?));
    let message = json.member("message");
    let created_at = message.and_then(|message| message.member("created_time")).and_then(json::micros);
    let page = json.member("page_id").and_then(id::text);
    let Parties { user, direction } = Parties::read(json, page.as_deref());
    let draft = Draft {
        json,
        // What of it cannot be folded has URLs, too, and these are never the same again.
        identity: message.and_then(|message| message.member("id")).or(message).unwrap_or(json),
        container: Container::Backfill,
        kind: Kind::Message,
        event_type: None,
        object: platform.map(|platform| Arc::from(platform.object())),
        page,
        user,
        direction,
        is_echo: false,
        told_at: created_at,
        entry_time: None,
        facts: facts(message, platform, direction, created_at.is_some()),
        note: None,
        envelope: None,
    };
    draft.finish(receipt)
}

fn facts(
    message: Option<Json<'_>>,
    platform: Option<Platform>,
    direction: Direction,
    is_dated: bool,
) -> Result<Facts, Note> {
    let message = message.filter(|message| message.kind() == Type::Object).ok_or(Note::NotAnObject)?;
    let mid = id::required(message.member("id"), Note::NoMid)?;
    if !is_dated {
        // At the time of asking, an old message would look like a new one, and open the window.
        return Err(Note::NoCreatedTime);
    }
    let types = attachments::types(message, platform);
    let text = text::of(message.member("message"));
    let is_unsupported = message.member("is_unsupported").is_some_and(Json::is_true);
    let is_told = text.is_some() || !types.is_empty() || is_unsupported;
    if !is_told || direction == Direction::Unknown {
        return Ok(Facts::Listed { mid });
    }
    // Beside an attachment an empty text is Meta's way to say that there is none.
    let text = text.filter(|text| !text.is_empty() || types.is_empty());
    Ok(Facts::Message(MessageFacts { mid, text, attachment_types: (!types.is_empty()).then(|| types.join(",")) }))
}
