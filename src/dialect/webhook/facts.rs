//! The facts of an event: each leaf read with the rulings that its kind needs. An event that tells the state nothing says
//! why in a [`Note`].

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};

use crate::event::{Facts, Kind, MessageFacts, Note, Receipt, SubscriptionFacts, id, plausible, text};
use crate::ids::Mid;
use crate::json::{self, Json, Type};

/// Reads an event's facts.
///
/// # Errors
/// Why it tells the state nothing although its kind should.
pub fn read(kind: Kind, event_type: Option<&str>, event: Json<'_>, receipt: Receipt) -> Result<Facts, Note> {
    let member = |name| event.member(name).filter(|value| value.kind() == Type::Object).ok_or(Note::NotAnObject);
    match kind {
        Kind::Message => message(member("message")?),
        Kind::Delivery => delivery(member("delivery")?, receipt),
        Kind::Read => read_receipt(member("read")?, receipt),
        Kind::Optin => optin(member("optin")?, event.member("timestamp")),
        Kind::Upload => Ok(Facts::Upload {
            track_id: id::required(event.member("track_id"), Note::NoTrackId)?,
            attachment_id: id::required(event.member("attachment_id"), Note::NoAttachmentId)?,
        }),
        Kind::Other => match event_type {
            Some("message_edit") => member("message_edit").and_then(edit),
            Some("postback" | "referral") => Ok(Facts::Seen { opens_window: true }),
            Some("reaction") => {
                let action = event.member("reaction").and_then(|reaction| text::of(reaction.member("action")));
                Ok(Facts::Seen { opens_window: action.as_deref() == Some("react") })
            }
            _ => Ok(Facts::Seen { opens_window: false }),
        },
    }
}

/// The watermark as told, for an event without a time of its own.
pub fn watermark(kind: Kind, event: Json<'_>) -> Option<Json<'_>> {
    match kind {
        Kind::Delivery => event.member("delivery")?.member("watermark"),
        Kind::Read => event.member("read")?.member("watermark"),
        _ => None,
    }
}

fn message(message: Json<'_>) -> Result<Facts, Note> {
    let mid = id::required(message.member("mid"), Note::NoMid)?;
    if message.member("is_deleted").is_some_and(Json::is_true) {
        return Ok(Facts::Unsend { mid });
    }
    let types: Vec<_> = message
        .member("attachments")
        .into_iter()
        .flat_map(Json::one_or_many)
        .filter_map(|attachment| attachment.member("type")?.string())
        .collect();
    Ok(Facts::Message(MessageFacts {
        mid,
        text: text::of(message.member("text")),
        attachment_types: (!types.is_empty()).then(|| types.join(",")),
    }))
}

/// Instagram announces each new message as an edit without a text; that is no edit.
fn edit(edit: Json<'_>) -> Result<Facts, Note> {
    let Some(text) = text::of(edit.member("text")) else {
        return Ok(Facts::Seen { opens_window: false });
    };
    let count = edit.member("num_edit").and_then(json::number).and_then(|count| count.scaled(0));
    Ok(Facts::Edit {
        mid: id::required(edit.member("mid"), Note::NoMid)?,
        text,
        num_edit: count.and_then(|count| i64::try_from(count).ok()).unwrap_or(0),
    })
}

fn told_watermark(json: Json<'_>, receipt: Receipt) -> Result<Option<DateTime<Utc>>, Note> {
    let told = json.member("watermark").and_then(json::micros);
    told.map(|told| plausible(told, receipt)).transpose()
}

fn delivery(delivery: Json<'_>, receipt: Receipt) -> Result<Facts, Note> {
    let watermark = told_watermark(delivery, receipt)?;
    let mut mids: Vec<Mid> = Vec::new();
    for element in delivery.member("mids").into_iter().flat_map(Json::elements) {
        mids.extend(id::optional(Some(element))?);
    }
    if mids.is_empty() && watermark.is_none() {
        return Err(Note::NoWatermark);
    }
    Ok(Facts::Delivery { mids, watermark })
}

fn read_receipt(read: Json<'_>, receipt: Receipt) -> Result<Facts, Note> {
    let watermark = told_watermark(read, receipt)?;
    let mid = id::optional(read.member("mid"))?;
    if mid.is_none() && watermark.is_none() {
        return Err(Note::NoWatermark);
    }
    Ok(Facts::Read { mid, watermark })
}

fn optin(optin: Json<'_>, happened_at: Option<Json<'_>>) -> Result<Facts, Note> {
    if text::of(optin.member("type")).as_deref() != Some("notification_messages") {
        return Ok(Facts::Seen { opens_window: false });
    }
    Ok(Facts::Subscription(SubscriptionFacts {
        topic: id::required(optin.member("title"), Note::NoTopic)?,
        is_subscribed: is_subscribed(optin.member("notification_messages_status"))?,
        token: text::token(optin.member("notification_messages_token")),
        token_expires_at: optin.member("token_expiry_timestamp").and_then(|told| expiry(told, happened_at)),
        user_token_status: text::of(optin.member("user_token_status")),
        payload: text::of(optin.member("payload")),
        frequency: text::of(optin.member("notification_messages_frequency")),
        timezone: text::told(optin.member("notification_messages_timezone")),
        created_at: None,
    }))
}

/// Seconds that are a time at which a token may end: from the beginning of Facebook to 2038-01-01, the latest that Meta
/// writes.
const EXPIRY_SECONDS: RangeInclusive<i128> = 1_075_852_800..=2_145_916_800;

/// When a token ends. A number too small for milliseconds which, as seconds, is no such time (Meta's dashboard has
/// 2592000000: thirty days) is a duration in milliseconds from the event's own time.
fn expiry(told: Json<'_>, happened_at: Option<Json<'_>>) -> Option<DateTime<Utc>> {
    let micros = json::number(told).and_then(|number| number.scaled(3));
    let is_duration =
        |number: i128| (0..json::FIRST_MILLISECOND).contains(&number) && !EXPIRY_SECONDS.contains(&number);
    let ends_at = match micros.filter(|micros| is_duration(micros / 1_000)) {
        Some(duration) => duration.saturating_add(happened_at.and_then(json::micros)?),
        None => json::micros(told)?,
    };
    json::representable(ends_at)
}

/// Sobot writes `STOP_NOTIFICATIONS`, Meta's table `STOP NOTIFICATIONS`, some code just `STOP`; no
/// status at all is a subscription. A status that nobody knows must not change who is subscribed.
fn is_subscribed(status: Option<Json<'_>>) -> Result<bool, Note> {
    let Some(status) = status else { return Ok(true) };
    let word = text::of(Some(status)).ok_or(Note::UnknownStatus)?.to_ascii_uppercase();
    match word.trim().split(|separator: char| !separator.is_ascii_alphabetic()).next() {
        Some("STOP") => Ok(false),
        Some("RESUME") => Ok(true),
        _ => Err(Note::UnknownStatus),
    }
}
