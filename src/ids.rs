//! The ids that Meta and Sobot give to things. They are text whatever the wire says, each kind is a
//! type of its own, and none is longer than an index can hold.

use std::borrow::Cow;

/// The longest id that takes part in state. A unique key of three such ids stays below the
/// 2,704 bytes that a PostgreSQL B-tree accepts: 3 × 512 = 1,536.
pub const MAX_ID_BYTES: usize = 512;

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    /// Nothing to tell one thing from another.
    Empty,
    /// More than [`MAX_ID_BYTES`].
    TooLong,
}

macro_rules! foreign_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<Cow<'_, str>> for $name {
            type Error = IdError;

            fn try_from(text: Cow<'_, str>) -> Result<Self, IdError> {
                match text.len() {
                    0 => Err(IdError::Empty),
                    1..=MAX_ID_BYTES => Ok(Self(text.into())),
                    _ => Err(IdError::TooLong),
                }
            }
        }
    };
}

foreign_id!(
    /// A Facebook page, or the Instagram account behind `object: instagram`.
    PageId
);
foreign_id!(
    /// A person as one page knows them: Meta's page-scoped id (PSID) or Instagram-scoped id.
    UserId
);
foreign_id!(
    /// A message (`mid`).
    Mid
);
foreign_id!(
    /// The title of a subscription topic (订阅主题), which is what names it in every event.
    Topic
);
foreign_id!(
    /// What Sobot's `upload_async` answers with (`item`), and its callback repeats.
    TrackId
);
foreign_id!(
    /// What an upload became at Facebook, ready to be sent in a media template.
    AttachmentId
);
foreign_id!(
    /// A definition of a subscription topic at Sobot (`configid`), by which it is changed and deleted.
    ConfigId
);
foreign_id!(
    /// A conversation at Meta: `t_…`.
    ConversationId
);

/// What tells an event from every other one: 16 bytes of SHA-256 over what identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub [u8; 16]);
