//! Texts as JSON has them, and which of them tell something.

use std::borrow::Cow;

use super::id;
use crate::ids::MAX_ID_BYTES;
use crate::json::Json;

/// A text, however short.
#[must_use]
pub fn of(json: Option<Json<'_>>) -> Option<String> {
    json?.string().map(Cow::into_owned)
}

/// A text that tells something. One of nothing but white space does not, and must not take the place of one that does.
#[must_use]
pub fn told(json: Option<Json<'_>>) -> Option<String> {
    of(json).filter(|text| !text.trim().is_empty())
}

/// A token, never blank. It is not looked up by, so it may be longer than an id; as a number it is as short as one.
#[must_use]
pub fn token(json: Option<Json<'_>>) -> Option<String> {
    let json = json?;
    match json.string() {
        Some(_) => told(Some(json)),
        None => id::text(json).filter(|digits| digits.len() <= MAX_ID_BYTES).map(Cow::into_owned),
    }
}
