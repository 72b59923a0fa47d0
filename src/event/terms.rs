//! The words that events are sorted by, as they stand in SQL.

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A message, from either side, or its unsending.
    Message,
    /// Messages of the page arrived.
    Delivery,
    /// Messages of the page were read.
    Read,
    /// The user opted in or out of something.
    Optin,
    /// An asynchronous upload came to its end.
    Upload,
    /// Everything else.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Message, Self::Delivery, Self::Read, Self::Optin, Self::Upload, Self::Other];

    /// The name in SQL and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Delivery => "delivery",
            Self::Read => "read",
            Self::Optin => "optin",
            Self::Upload => "upload",
            Self::Other => "other",
        }
    }
}

/// What an event was wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// The ordinary `messaging` array.
    Messaging,
    /// The `standby` array: another app holds the conversation.
    Standby,
    /// The `changes` array: page fields, and the dashboard's test button. Never folded.
    Changes,
    /// Sobot's upload callback.
    Callback,
    /// JSON in which no event was found, whole.
    Document,
    /// A message that we sent through Sobot's API.
    Api,
    /// A subscriber as Sobot's list tells of them.
    Sync,
    /// A message as Meta's Conversations API tells of it.
    Backfill,
}

impl Container {
    /// Every container.
    pub const ALL: [Self; 8] = [
        Self::Messaging,
        Self::Standby,
        Self::Changes,
        Self::Callback,
        Self::Document,
        Self::Api,
        Self::Sync,
        Self::Backfill,
    ];

    /// The container of that name in SQL.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|container| container.as_str() == name)
    }

    /// Whether we made its events ourselves, of what an API told when we asked it. The others came by the webhook.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Api | Self::Sync | Self::Backfill)
    }

    /// Whether its events tell the state anything.
    #[must_use]
    pub fn is_folded(self) -> bool {
        !matches!(self, Self::Changes | Self::Document)
    }

    /// The name in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messaging => "messaging",
            Self::Standby => "standby",
            Self::Changes => "changes",
            Self::Callback => "callback",
            Self::Document => "document",
            Self::Api => "api",
            Self::Sync => "sync",
            Self::Backfill => "backfill",
        }
    }
}

/// Why an event is kept but changes no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Its kind's value is no object.
    NotAnObject,
    /// An id longer than [`crate::ids::MAX_ID_BYTES`].
    IdTooLong,
    /// No user to attach it to.
    NoUser,
    /// No page to attach it to.
    NoPage,
    /// A message without its id.
    NoMid,
    /// A message of the past that does not tell when it was written.
    NoCreatedTime,
    /// A subscription without its topic.
    NoTopic,
    /// A callback without what it answers to.
    NoTrackId,
    /// A callback without what the upload became.
    NoAttachmentId,
    /// A receipt that names neither messages nor a time.
    NoWatermark,
    /// Neither stop nor resume.
    UnknownStatus,
    /// A subscriber in Sobot's list who is neither subscribed nor not.
    UnknownSubStatus,
    /// A time before Facebook.
    TimeTooEarly,
    /// A time in a future that no clock error explains.
    TimeTooLate,
    /// More events in one body than are taken apart.
    TooManyEvents,
}

impl Note {
    /// The text in `events.note`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAnObject => "not an object",
            Self::IdTooLong => "id over 512 bytes",
            Self::NoUser => "no user id",
            Self::NoPage => "no page id",
            Self::NoMid => "no mid",
            Self::NoCreatedTime => "no created_time",
            Self::NoTopic => "no topic",
            Self::NoTrackId => "no track_id",
            Self::NoAttachmentId => "no attachment_id",
            Self::NoWatermark => "neither mid nor watermark",
            Self::UnknownStatus => "unknown notification_messages_status",
            Self::UnknownSubStatus => "unknown sub_status",
            Self::TimeTooEarly => "time before 2004-02-04",
            Self::TimeTooLate => "time later than receipt + 24 h",
            Self::TooManyEvents => "more than 10000 events in one body",
        }
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The customer, to the page.
    Inbound,
    /// The page, to the customer.
    Outbound,
    /// Nobody has told: Meta lists a message of the past without saying more of it.
    Unknown,
}

impl Direction {
    /// The name in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Unknown => "unknown",
        }
    }
}
