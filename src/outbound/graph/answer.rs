//! Reading what Meta answers: lists with their cursors, and each element with its own bytes beside the few leaves that
//! are needed to go on.

use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Url;

use crate::ids::{ConversationId, Mid};
use crate::json::{self, Document, Json};

use super::error::GraphError;

/// Where the next page of a list begins. It is not to be stored: Meta's cursors do not last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) String);

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Perhaps none, also where there is a next page.
    pub items: Vec<T>,
    /// None when this is the last page.
    pub after: Option<Cursor>,
}

/// A conversation, as a list has it. Its `Debug` names nobody.
#[derive(Clone)]
pub struct Conversation {
    pub id: ConversationId,
    /// When its last message was sent (`2025-10-09T08:53:20+0000`). None if only the id was told.
    pub updated_at: Option<DateTime<Utc>>,
    /// The element as it came.
    pub json: Bytes,
}

/// A message, as the list of a conversation has it.
#[derive(Debug, Clone)]
pub struct MessageId {
    pub mid: Mid,
    pub created_at: Option<DateTime<Utc>>,
    /// The element as it came.
    pub json: Bytes,
}

/// A message with its details. Its `Debug` shows no text.
#[derive(Clone)]
pub struct Message {
    pub mid: Mid,
    pub created_at: Option<DateTime<Utc>>,
    /// The whole answer: sender, recipients, text, attachments, as far as Meta gives them.
    pub json: Bytes,
}

impl Debug for Conversation {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Conversation")
            .field("id", &self.id)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}

impl Debug for Message {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Message")
            .field("mid", &self.mid)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// `{"data":[…],"paging":{"cursors":{"before","after"},"next":"https://…"}}`
pub fn conversations(body: &Bytes) -> Result<Page<Conversation>, GraphError> {
    page(document(body)?.root(), |item, json| Conversation {
        id: item.0,
        updated_at: time(item.1, "updated_time"),
        json,
    })
}

/// The same, or within `messages` where the conversation itself was asked for.
pub fn messages(body: &Bytes) -> Result<Page<MessageId>, GraphError> {
    let document = document(body)?;
    let root = document.root();
    let read = |item: (Mid, Json<'_>), json| MessageId { mid: item.0, created_at: time(item.1, "created_time"), json };
    match (root.member("messages"), root.member("data")) {
        (Some(messages), _) => page(messages, read),
        (None, Some(_)) => page(root, read),
        // A conversation without a message has no such member.
        (None, None) if root.member("id").is_some() => Ok(Page { items: Vec::new(), after: None }),
        (None, None) => Err(GraphError::Unreadable("it has neither messages nor data")),
    }
}

/// A message's details.
pub fn message(body: Bytes) -> Result<Message, GraphError> {
    let (mid, created_at) = {
        let document = document(&body)?;
        let root = document.root();
        (id(root).ok_or(GraphError::Unreadable("the message has no id"))?, time(root, "created_time"))
    };
    Ok(Message { mid, created_at, json: body })
}

fn document(body: &Bytes) -> Result<Document<'_>, GraphError> {
    Document::parse(body).map_err(|_| GraphError::Unreadable("it is no JSON"))
}

/// An element without an id is passed over: nothing can be asked about it.
fn page<'a, I, T>(list: Json<'a>, read: impl Fn((I, Json<'a>), Bytes) -> T) -> Result<Page<T>, GraphError>
where
    I: TryFrom<Cow<'a, str>>,
{
    let data = list.member("data").ok_or(GraphError::Unreadable("the list has no data"))?;
    // The document's own sample of a list has lost its brackets.
    let items = data.one_or_many().filter_map(|item| Some(read((id(item)?, item), item.bytes()))).collect();
    Ok(Page { items, after: after(list)? })
}

/// The cursor, where there is a next page. Without a cursor of its own it is taken out of the URL of the next page.
fn after(list: Json<'_>) -> Result<Option<Cursor>, GraphError> {
    let paging = list.member("paging");
    let Some(next) = paging.and_then(|paging| paging.member("next")) else { return Ok(None) };
    let cursor = paging.and_then(|paging| paging.member("cursors")?.member("after")?.text_or_integer(usize::MAX));
    let cursor = cursor.filter(|cursor| !cursor.is_empty()).map(Cow::into_owned).or_else(|| {
        let url = Url::parse(&next.string()?).ok()?;
        url.query_pairs().find(|(name, _)| name == "after").map(|(_, cursor)| cursor.into_owned())
    });
    // To stop here would pass for the end of the list.
    cursor.map(|cursor| Some(Cursor(cursor))).ok_or(GraphError::Unreadable("there is a next page, but no cursor to it"))
}

fn id<'a, T: TryFrom<Cow<'a, str>>>(json: Json<'a>) -> Option<T> {
    T::try_from(json.member("id")?.text_or_integer(usize::MAX)?).ok()
}

/// `2025-10-09T08:53:20+0000`, or a number of seconds as the document's sample has it.
fn time(json: Json<'_>, name: &str) -> Option<DateTime<Utc>> {
    json::representable(json::micros(json.member(name)?)?)
}
