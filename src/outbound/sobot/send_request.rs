//! The request of `send`, in exactly Sobot's JSON, as `sobot-hook send --json` reads it from a file:
//!
//! ```
//! # use sobot_hook::outbound::sobot::SendRequest;
//! let file = br#"{
//!     "messaging_type": "RESPONSE",
//!     "recipientid": "RECIPIENTID",
//!     "pageid": "PAGEID",
//!     "type": "text",
//!     "payload": "What do you want to do next?"
//! }"#;
//! let request = SendRequest::from_json(file)?;
//! assert_eq!(request.content.kind(), "text");
//! # Ok::<_, sobot_hook::outbound::sobot::Invalid>(())
//! ```

use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::{Content, wanted};
use super::error::Invalid;
use crate::config::Secret;
use crate::ids::{PageId, UserId};

/// Why the message is sent (`messaging_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MessagingType {
    /// An answer, within the 24 hours after the customer's last message.
    Response,
    /// Of the page's own accord, within the same time.
    Update,
    /// After that time; it needs a [`Tag`].
    MessageTag,
}

/// What allows a message after the 24 hours (`tag`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Tag {
    AccountUpdate,
    ConfirmedEventUpdate,
    HumanAgent,
    PostPurchaseUpdate,
}

/// Who gets it: exactly one of the two.
#[derive(Debug, Clone)]
pub enum Recipient {
    /// `recipientid`, for what is no marketing.
    User(UserId),
    /// `recipient_token`, for marketing: the `notification_messages_token` of a subscription.
    Subscription(Secret),
}

/// One message. Its `Debug` shows no text and no token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct SendRequest {
    pub messaging_type: Option<MessagingType>,
    pub recipient: Recipient,
    pub page_id: PageId,
    pub tag: Option<Tag>,
    pub content: Content,
}

/// The members as they travel.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    messaging_type: Option<MessagingType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipientid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient_token: Option<String>,
    pageid: String,
    r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
    payload: Value,
}

impl SendRequest {
    /// Reads Sobot's JSON and checks the document's limits.
    ///
    /// # Errors
    /// The first member that is not as the document has it.
    pub fn from_json(json: &[u8]) -> Result<Self, Invalid> {
        let wire = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json));
        let wire: Wire = wire.map_err(|error| {
            let path = error.path().to_string();
            Invalid::new(if path == "." { "request".to_owned() } else { path }, wanted(error.inner()))
        })?;
        let request = Self::try_from(wire)?;
        request.check()?;
        Ok(request)
    }
}

impl TryFrom<Wire> for SendRequest {
    type Error = Invalid;

    fn try_from(wire: Wire) -> Result<Self, Invalid> {
        fn id<T: TryFrom<Cow<'static, str>>>(field: &str, text: String) -> Result<T, Invalid> {
            T::try_from(text.into()).map_err(|_| Invalid::new(field, "an id of 1 to 512 bytes"))
        }
        let recipient = match (wire.recipientid, wire.recipient_token) {
            (Some(user), None) => Recipient::User(id("recipientid", user)?),
            (None, Some(token)) if !token.is_empty() => Recipient::Subscription(Secret::from(token.as_str())),
            (None, Some(_)) => return Err(Invalid::new("recipient_token", "must not be empty")),
            _ => return Err(Invalid::new("request", "exactly one of recipientid and recipient_token")),
        };
        Ok(Self {
            messaging_type: wire.messaging_type,
            recipient,
            page_id: id("pageid", wire.pageid)?,
            tag: wire.tag,
            content: Content::new(&wire.r#type, wire.payload)?,
        })
    }
}

impl From<SendRequest> for Wire {
    fn from(request: SendRequest) -> Self {
        let (recipientid, recipient_token) = match &request.recipient {
            Recipient::User(user) => (Some(user.as_str().to_owned()), None),
            Recipient::Subscription(token) => (None, Some(token.expose().to_owned())),
        };
        Self {
            messaging_type: request.messaging_type,
            recipientid,
            recipient_token,
            pageid: request.page_id.as_str().to_owned(),
            r#type: request.content.kind().to_owned(),
            tag: request.tag,
            payload: request.content.payload(),
        }
    }
}

impl Debug for SendRequest {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("SendRequest")
            .field("messaging_type", &self.messaging_type)
            .field("page_id", &self.page_id)
            .field("tag", &self.tag)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}
