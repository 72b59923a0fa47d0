//! A subscriber, as Sobot's list (`query_sub_users`) tells of them.

use chrono::{DateTime, SubsecRound, Utc};

use crate::dialect::composed::{self, Composed};
use crate::event::{
    Container, Direction, Draft, Event, Facts, Kind, Note, Receipt, SubscriptionFacts, id, plausible, text,
};
use crate::ids::PageId;
use crate::json::{self, Document, Json, NotJson, Type};

/// Makes the event, of container `sync`, of one of the list's `items`. `page_id` is the page that was asked about; an item
/// that names its own is about that one.
///
/// It happened when the item says that the subscription last changed, else when it was made, else when it was asked. So an
/// item that has not changed is the same event whenever it is asked for.
///
/// # Errors
/// The item is not JSON.
pub fn subscriber(page_id: &PageId, item: &str, asked_at: DateTime<Utc>) -> Result<Event, NotJson> {
    let body = composed::told(item, |item| {
        let body = Composed::default().text("page_id", page_id.as_str()).time("asked_at", asked_at);
        Ok(body.json("item", item).into_bytes())
    })?;
    Ok(read(Document::parse(&body)?.root(), Receipt::at(asked_at.trunc_subsecs(6))))
}

pub fn read(json: Json<'_>, receipt: Receipt) -> Event {
    let item = json.member("item");
    let member = |name| item.and_then(|item| item.member(name));
    let told = [member("update_time"), member("create_time"), json.member("asked_at")];
    let draft = Draft {
        json,
        identity: item.unwrap_or(json),
        container: Container::Sync,
        kind: Kind::Optin,
        event_type: None,
        object: None,
        page: [member("pageid"), json.member("page_id")].into_iter().flatten().find_map(id::text),
        user: member("facebookid").and_then(id::text),
        direction: Direction::Inbound,
        is_echo: false,
        told_at: told.into_iter().flatten().find_map(json::micros),
        entry_time: None,
        facts: facts(item, receipt),
        note: None,
        envelope: None,
    };
    draft.finish(receipt)
}

fn facts(item: Option<Json<'_>>, receipt: Receipt) -> Result<Facts, Note> {
    let item = item.filter(|item| item.kind() == Type::Object).ok_or(Note::NotAnObject)?;
    let created_at = item.member("create_time").and_then(json::micros);
    Ok(Facts::Subscription(SubscriptionFacts {
        topic: id::required(item.member("sub_title"), Note::NoTopic)?,
        is_subscribed: is_subscribed(item.member("sub_status"))?,
        token: text::token(item.member("sub_token")),
        token_expires_at: None,
        user_token_status: None,
        payload: text::of(item.member("title_describe")),
        frequency: None,
        timezone: text::told(item.member("timezone")),
        created_at: created_at.and_then(|told| plausible(told, receipt).ok()),
    }))
}

/// 1 is subscribed (已订阅), 0 is not (已退订). Anything else must not change who is.
fn is_subscribed(status: Option<Json<'_>>) -> Result<bool, Note> {
    match status.and_then(id::text).as_deref() {
        Some("1") => Ok(true),
        Some("0") => Ok(false),
        _ => Err(Note::UnknownSubStatus),
    }
}
