//! Who a message is between.

use std::borrow::Cow;

use super::lists::members_of;
use crate::event::{Direction, id};
use crate::json::Json;

/// The customer, and who of the two wrote.
pub struct Parties<'a> {
    pub user: Option<Cow<'a, str>>,
    pub direction: Direction,
}

impl<'a> Parties<'a> {
    /// Reads `from` and `to` of the body's message, and the participant that was known before.
    pub fn read(json: Json<'a>, page: Option<&str>) -> Self {
        let participant = json.member("user_id").and_then(id::text);
        let message = json.member("message");
        let id_of = |party: Json<'a>| party.member("id").and_then(id::text);
        let from = message.and_then(|message| message.member("from")).and_then(id_of);
        let to: Vec<_> = message.into_iter().flat_map(|message| members_of(message, "to")).filter_map(id_of).collect();

        let is_page = |id: &Cow<'_, str>| page == Some(id.as_ref());
        let is_participant = |id: &Cow<'_, str>| participant.as_ref() == Some(id);
        let is_to_page = to.iter().any(is_page);
        let direction = match &from {
            Some(from) if is_page(from) => Direction::Outbound,
            Some(from) if is_participant(from) || is_to_page || participant.is_none() => Direction::Inbound,
            None if is_to_page => Direction::Inbound,
            None if to.iter().any(is_participant) || message.is_some_and(is_tagged_sent) => Direction::Outbound,
            // Nobody is named, or a stranger to this conversation, who may be anybody.
            Some(_) | None => Direction::Unknown,
        };
        let other = match direction {
            Direction::Inbound => from,
            Direction::Outbound => to.into_iter().find(|id| !is_page(id)),
            Direction::Unknown => None,
        };
        Self { user: other.or(participant), direction }
    }
}

/// Messenger tags so what the page has sent.
fn is_tagged_sent(message: Json<'_>) -> bool {
    members_of(message, "tags").any(|tag| tag.member("name").and_then(Json::string).as_deref() == Some("sent"))
}
