//! Where a conversation is held.

/// Where a conversation is held, as the Conversations API's `platform` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Messenger,
    Instagram,
}

impl Platform {
    /// The word that the API takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messenger => "messenger",
            Self::Instagram => "instagram",
        }
    }

    /// The `object` that the webhook's envelopes have for it.
    pub(super) fn object(self) -> &'static str {
        match self {
            Self::Messenger => "page",
            Self::Instagram => "instagram",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Messenger, Self::Instagram].into_iter().find(|platform| platform.as_str() == name)
    }
}
