//! Ids as arguments.

use std::borrow::Cow;

use crate::config::ConfigError;
use crate::ids::IdError;

/// The id of an argument.
///
/// # Errors
/// It is none, by the argument's name.
pub fn id<T>(argument: &str, text: &str) -> Result<T, ConfigError>
where
    T: for<'a> TryFrom<Cow<'a, str>, Error = IdError>,
{
    T::try_from(Cow::from(text)).map_err(|error| {
        let reason = match error {
            IdError::Empty => "is empty",
            IdError::TooLong => "is longer than an id can be",
        };
        ConfigError(format!("{argument} {reason}"))
    })
}
