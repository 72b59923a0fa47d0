//! What is told when Sobot was asked once to change something.

use anyhow::{Error, anyhow};

use crate::config::ConfigError;
use crate::outbound::sobot::SobotError;

/// The failure, and where it is uncertain, where to look before asking again.
pub fn failure(error: SobotError, look: &str) -> Error {
    match error {
        SobotError::Invalid(invalid) => ConfigError(invalid.to_string()).into(),
        error if error.may_have_been_done() => {
            anyhow!("{error}; it may have been done all the same: {look} before you ask again")
        }
        error => error.into(),
    }
}
