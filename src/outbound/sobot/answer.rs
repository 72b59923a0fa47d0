//! Reading what Sobot answers: `{"ret_code","ret_msg","item" or "items", …}`. The document gives types; here a number may
//! be text and the reverse, and a member may be missing unless nothing can be made of the answer without it.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::code::{Code, SUCCESS};
use super::error::{Refusal, SobotError};
use crate::ids::MAX_ID_BYTES;
use crate::json::{self, Document, Json};
use crate::outbound::client::Answer;

/// A page of a list (`page_no`, `page_count`, `total_count`).
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// This page; the first is 1.
    pub page_no: u32,
    /// The number of the page to ask for next; none when this is the last one.
    pub next_page_no: Option<u32>,
    /// How many there are on all pages, if Sobot says so.
    pub total_count: Option<u64>,
}

impl<T> Listed<T> {
    /// The number of the page to ask for next, if there is one.
    ///
    /// # Errors
    /// It is not beyond the page that was asked for: such a list has no end.
    pub fn next_after(&self, asked_page_no: u32) -> Result<Option<u32>, SobotError> {
        match self.next_page_no {
            Some(next) if next <= asked_page_no => Err(SobotError::Unreadable("its list does not go on")),
            next => Ok(next),
        }
    }
}

/// The answer's JSON, if it tells of success.
///
/// # Errors
/// A code of refusal, a status without a code, or something else than the document describes.
pub fn accepted(answer: &Answer) -> Result<Document<'_>, SobotError> {
    let document = Document::parse(&answer.body);
    let code = document.as_ref().ok().and_then(|document| ret_code(document.root()));
    match (document, code) {
        (Ok(document), Some(code)) if code == SUCCESS => {
            if answer.status.is_success() {
                Ok(document)
            } else {
                Err(SobotError::Http(answer.status.as_u16()))
            }
        }
        (Ok(document), Some(code)) => {
            let message = text(document.root(), &["ret_msg"]).unwrap_or_default().into_owned();
            Err(SobotError::Refused(Refusal { code: Code::of(&code), message }))
        }
        _ if !answer.status.is_success() => Err(SobotError::Http(answer.status.as_u16())),
        (Err(_), _) => Err(SobotError::Unreadable("it is no JSON")),
        (Ok(_), None) => Err(SobotError::Unreadable("it has no ret_code")),
    }
}

/// Six digits; as a number they lose their zeros.
fn ret_code(root: Json<'_>) -> Option<String> {
    Some(format!("{:0>6}", root.member("ret_code")?.text_or_integer(MAX_ID_BYTES)?))
}

/// The first of these members that is a text or a whole number.
pub fn text<'a>(json: Json<'a>, names: &[&str]) -> Option<Cow<'a, str>> {
    names.iter().find_map(|name| json.member(name)?.text_or_integer(usize::MAX))
}

/// The same as an id, if it can be one.
pub fn id<'a, T: TryFrom<Cow<'a, str>>>(json: Json<'a>, names: &[&str]) -> Option<T> {
    T::try_from(text(json, names)?).ok()
}

/// A count, also as text; none that is no number of this size.
pub fn count<T: TryFrom<i128>>(json: Json<'_>, name: &str) -> Option<T> {
    T::try_from(json::number(json.member(name)?)?.scaled(0)?).ok()
}

/// A time in milliseconds, also as text.
pub fn time(json: Json<'_>, name: &str) -> Option<DateTime<Utc>> {
    json::representable(json::micros(json.member(name)?)?)
}

/// One page of a list; each element is read together with its bytes. The document calls the list `items` for subscribers
/// and `item` for topics; either is taken for both.
pub fn listed<T>(root: Json<'_>, asked_page_no: u32, read: impl Fn(Json<'_>, Bytes) -> T) -> Listed<T> {
    let list = root.member("items").or_else(|| root.member("item"));
    let items: Vec<T> = list.into_iter().flat_map(Json::one_or_many).map(|item| read(item, item.bytes())).collect();
    let page_no = count(root, "page_no").unwrap_or(asked_page_no);
    // Without a count of pages one goes on until a page is empty.
    let is_last = items.is_empty() || count::<u32>(root, "page_count").is_some_and(|pages| page_no >= pages);
    let next_page_no = if is_last { None } else { page_no.checked_add(1) };
    Listed { items, page_no, next_page_no, total_count: count(root, "total_count") }
}
