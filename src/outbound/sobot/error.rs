//! What can go wrong with Sobot's API.

use std::fmt::{self, Debug, Formatter};

use super::code::Code;
use crate::outbound::client::CallError;

/// Why a question to Sobot has no answer. It holds no token, no key and no text of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SobotError {
    #[error("set sobot.appid and sobot.app_key; Sobot's support gives them out")]
    NotConfigured,
    /// Found before anything was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("Sobot refused: {}", .0.code)]
    Refused(Refusal),
    /// An answer without a `ret_code`: from something that stands before Sobot, as a rule.
    #[error("Sobot answered with the HTTP status {0} and without a ret_code; check sobot.base_url, or try again later")]
    Http(u16),
    /// An answer with a status of success that is not what the document describes.
    #[error("Sobot's answer is not what its document describes: {0}")]
    Unreadable(&'static str),
    /// Without one nothing can be asked; it is no affair of the message.
    #[error("no token can be had: {0}")]
    NoToken(Box<SobotError>),
    /// The token that all processes share cannot be read or kept.
    #[error("the token that all processes share cannot be had: {0}")]
    Shelf(String),
}

/// An answer with a code other than [`super::SUCCESS`].
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// What Sobot says of it (`ret_msg`). It may quote what was sent: it is for whoever asked, not for a log.
    pub message: String,
}

impl Debug for Refusal {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Refusal").field("code", &self.code).finish_non_exhaustive()
    }
}

/// A limit of the document that a request exceeds, or a form that it does not have. It quotes nothing of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// Where: `payload.elements[0].title`. Empty never; `request` for the whole.
    pub field: String,
    /// What is wanted instead: `at most 80 characters, not 81`.
    pub problem: String,
}

impl Invalid {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl SobotError {
    /// Whether what was asked once may have been done all the same: it left, and no certain answer came.
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Self::Call(error) => !matches!(error, CallError::NotConnected { .. }),
            Self::Http(status) => !(400..500).contains(status) || *status == 408,
            Self::Unreadable(_) => true,
            Self::Refused(refusal) => refusal.code == Code::SystemError,
            Self::NotConfigured | Self::Invalid(_) | Self::NoToken(_) | Self::Shelf(_) => false,
        }
    }

    /// Whether the same question may well be answered in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Call(error) => !matches!(error, CallError::TooLong { .. }),
            Self::Http(status) => *status >= 500 || *status == 429,
            Self::Refused(refusal) => refusal.code == Code::SystemError,
            _ => false,
        }
    }
}
