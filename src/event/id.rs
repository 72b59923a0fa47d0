//! Ids as JSON has them: text, whatever the wire says, and none too long for the state.

use std::borrow::Cow;

use super::terms::Note;
use crate::ids::{IdError, MAX_ID_BYTES};
use crate::json::Json;

/// The text of an id, or of a number that is one; None for any other type.
#[must_use]
pub fn text(json: Json<'_>) -> Option<Cow<'_, str>> {
    json.text_or_integer(MAX_ID_BYTES)
}

/// An id if there is one.
///
/// # Errors
/// It is longer than state can hold.
pub fn optional<T>(json: Option<Json<'_>>) -> Result<Option<T>, Note>
where
    T: for<'a> TryFrom<Cow<'a, str>, Error = IdError>,
{
    known(json.and_then(text))
}

/// An id that must be there.
///
/// # Errors
/// `missing`, or it is longer than state can hold.
pub fn required<T>(json: Option<Json<'_>>, missing: Note) -> Result<T, Note>
where
    T: for<'a> TryFrom<Cow<'a, str>, Error = IdError>,
{
    optional(json)?.ok_or(missing)
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
