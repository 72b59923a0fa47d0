//! What an event tells the state: the few leaves that mean something, each read with the rulings that
//! its kind needs. An event that tells nothing says why in a [`Note`].

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::decimal::Decimal;
use super::json::{Json, Type};
use super::terms::{Kind, Note};
use super::time;
use crate::ids::{AttachmentId, IdError, Mid, Topic, TrackId};

/// What one event adds to the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Nothing at all.
    None,
    /// The user was there; `opens_window` when they did something that lets the page answer for 24 h.
    Seen {
        /// Meta counts postbacks, referral links and reactions beside messages.
        opens_window: bool,
    },
    /// A message was written.
    Message(MessageFacts),
    /// A message was taken back. The mid is the message's own.
    Unsend {
        /// The message.
        mid: Mid,
    },
    /// A message was changed.
    Edit {
        /// The message.
        mid: Mid,
        /// Its text from now on.
        text: String,
        /// Counts the edits of this message from 1.
        num_edit: i64,
    },
    /// What the page sent has arrived: these messages, and all up to the watermark.
    Delivery {
        /// Messages named one by one.
        mids: Vec<Mid>,
        /// At or before it everything is delivered.
        watermark: Option<DateTime<Utc>>,
    },
    /// What the page sent was read: this message (Instagram), or all up to the watermark (Messenger).
    Read {
        /// The message that was read.
        mid: Option<Mid>,
        /// At or before it everything is read.
        watermark: Option<DateTime<Utc>>,
    },
    /// A topic was subscribed to, stopped or resumed.
    Subscription(SubscriptionFacts),
    /// An upload became an attachment.
    Upload {
        /// What `upload_async` answered with.
        track_id: TrackId,
        /// What it became.
        attachment_id: AttachmentId,
    },
}

/// A message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFacts {
    /// The message.
    pub mid: Mid,
    /// Its text, when it has one.
    pub text: Option<String>,
    /// The attachments' types in order, comma-separated (`image,sticker`); none without attachments.
    pub attachment_types: Option<String>,
}

/// One `notification_messages` opt-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionFacts {
    /// What is subscribed to.
    pub topic: Topic,
    /// False after `STOP_NOTIFICATIONS`.
    pub is_subscribed: bool,
    /// What a marketing message is sent to (`recipient_token`). A secret.
    pub token: Option<String>,
    /// When the token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// `REFRESHED` or `NOT_REFRESHED`.
    pub user_token_status: Option<String>,
    /// The topic's description, as the page wrote it.
    pub payload: Option<String>,
    /// `DAILY`, `WEEKLY` or `MONTHLY`, before API v16.
    pub frequency: Option<String>,
    /// The user's time zone. Only subscribing events carry it.
    pub timezone: Option<String>,
}

/// Reads an event's facts.
///
/// # Errors
/// Why it tells the state nothing although its kind should.
pub fn read(kind: Kind, event_type: Option<&str>, event: Json<'_>, received_at: DateTime<Utc>) -> Result<Facts, Note> {
    let member = |name| event.member(name).filter(|value| value.kind() == Type::Object).ok_or(Note::NotAnObject);
    match kind {
        Kind::Message => message(member("message")?),
        Kind::Delivery => delivery(member("delivery")?, received_at),
        Kind::Read => read_receipt(member("read")?, received_at),
        Kind::Optin => optin(member("optin")?),
        Kind::Upload => Ok(Facts::Upload {
            track_id: required(event.member("track_id"), Note::NoTrackId)?,
            attachment_id: required(event.member("attachment_id"), Note::NoAttachmentId)?,
        }),
        Kind::Other => match event_type {
            Some("message_edit") => member("message_edit").and_then(edit),
            Some("postback" | "referral") => Ok(Facts::Seen { opens_window: true }),
            Some("reaction") => {
                let action = event.member("reaction").and_then(|reaction| text(reaction.member("action")));
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

/// An id if there is one.
///
/// # Errors
/// It is longer than state can hold.
pub fn id<T>(json: Option<Json<'_>>) -> Result<Option<T>, Note>
where
    T: for<'a> TryFrom<Cow<'a, str>, Error = IdError>,
{
    known(json.and_then(Json::id_text))
}

/// An id of this text, if there is one.
///
/// # Errors
/// It is longer than state can hold.
pub fn known<T>(text: Option<Cow<'_, str>>) -> Result<Option<T>, Note>
where
    T: for<'a> TryFrom<Cow<'a, str>, Error = IdError>,
{
    match text.map(T::try_from) {
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(IdError::TooLong)) => Err(Note::IdTooLong),
        Some(Err(IdError::Empty)) | None => Ok(None),
    }
}

fn required<T>(json: Option<Json<'_>>, missing: Note) -> Result<T, Note>
where
    T: for<'a> TryFrom<Cow<'a, str>, Error = IdError>,
{
    id(json)?.ok_or(missing)
}

fn text(json: Option<Json<'_>>) -> Option<String> {
    json?.string().map(Cow::into_owned)
}

fn message(message: Json<'_>) -> Result<Facts, Note> {
    let mid = required(message.member("mid"), Note::NoMid)?;
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
        text: text(message.member("text")),
        attachment_types: (!types.is_empty()).then(|| types.join(",")),
    }))
}

/// Instagram announces each new message as an edit without a text; that is no edit.
fn edit(edit: Json<'_>) -> Result<Facts, Note> {
    let Some(text) = text(edit.member("text")) else {
        return Ok(Facts::Seen { opens_window: false });
    };
    let count = edit.member("num_edit").and_then(Json::id_text).and_then(|count| Decimal::parse(&count)?.scaled(0));
    Ok(Facts::Edit {
        mid: required(edit.member("mid"), Note::NoMid)?,
        text,
        num_edit: count.and_then(|count| i64::try_from(count).ok()).unwrap_or(0),
    })
}

fn told_watermark(json: Json<'_>, received_at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Note> {
    let told = json.member("watermark").and_then(time::told);
    told.map(|told| time::plausible(told, received_at)).transpose()
}

fn delivery(delivery: Json<'_>, received_at: DateTime<Utc>) -> Result<Facts, Note> {
    let watermark = told_watermark(delivery, received_at)?;
    let mut mids: Vec<Mid> = Vec::new();
    for element in delivery.member("mids").into_iter().flat_map(Json::elements) {
        mids.extend(id(Some(element))?);
    }
    if mids.is_empty() && watermark.is_none() {
        return Err(Note::NoWatermark);
    }
    Ok(Facts::Delivery { mids, watermark })
}

fn read_receipt(read: Json<'_>, received_at: DateTime<Utc>) -> Result<Facts, Note> {
    let watermark = told_watermark(read, received_at)?;
    let mid = id(read.member("mid"))?;
    if mid.is_none() && watermark.is_none() {
        return Err(Note::NoWatermark);
    }
    Ok(Facts::Read { mid, watermark })
}

fn optin(optin: Json<'_>) -> Result<Facts, Note> {
    if text(optin.member("type")).as_deref() != Some("notification_messages") {
        return Ok(Facts::Seen { opens_window: false });
    }
    Ok(Facts::Subscription(SubscriptionFacts {
        topic: required(optin.member("title"), Note::NoTopic)?,
        is_subscribed: is_subscribed(optin.member("notification_messages_status"))?,
        token: optin.member("notification_messages_token").and_then(Json::id_text).map(Cow::into_owned),
        token_expires_at: optin.member("token_expiry_timestamp").and_then(time::told).and_then(time::representable),
        user_token_status: text(optin.member("user_token_status")),
        payload: text(optin.member("payload")),
        frequency: text(optin.member("notification_messages_frequency")),
        timezone: text(optin.member("notification_messages_timezone")),
    }))
}

/// Sobot writes `STOP_NOTIFICATIONS`, Meta's table `STOP NOTIFICATIONS`, some code just `STOP`; no
/// status at all is a subscription. A status that nobody knows must not change who is subscribed.
fn is_subscribed(status: Option<Json<'_>>) -> Result<bool, Note> {
    let Some(status) = status else { return Ok(true) };
    let word = text(Some(status)).ok_or(Note::UnknownStatus)?.to_ascii_uppercase();
    match word.trim().split(|separator: char| !separator.is_ascii_alphabetic()).next() {
        Some("STOP") => Ok(false),
        Some("RESUME") => Ok(true),
        _ => Err(Note::UnknownStatus),
    }
}
