//! `send_opt_in_message`: asks a customer whether to subscribe to a topic. It is a message like any other, so it too is sent
//! at most once.

use serde::Serialize;

use super::api::Sobot;
use super::send::SendOutcome;
use crate::ids::{PageId, Topic, UserId};

/// The question. What is none is as the topic has it.
#[derive(Debug, Clone)]
pub struct OptIn {
    pub page_id: PageId,
    pub topic: Topic,
    pub user_id: UserId,
    pub describe: Option<String>,
    pub image_url: Option<String>,
    pub image_ratio: Option<String>,
    pub button_type: Option<String>,
    pub timezone: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    /// The Facebook page, not the customer's appid.
    appid: &'a str,
    title: &'a str,
    /// The document's table calls it `recipientid`; its example, and its answer, `recipient_id`.
    recipient_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    describe: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_ratio: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    button_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
}

impl OptIn {
    /// The request's body. It holds no token.
    pub fn request(&self) -> impl Serialize {
        Body {
            appid: self.page_id.as_str(),
            title: self.topic.as_str(),
            recipient_id: self.user_id.as_str(),
            describe: self.describe.as_deref(),
            image_url: self.image_url.as_deref(),
            image_ratio: self.image_ratio.as_deref(),
            button_type: self.button_type.as_deref(),
            timezone: self.timezone.as_deref(),
        }
    }
}

impl Sobot {
    /// Sends an opt-in message, once (`POST send_opt_in_message`), in its turn under `sobot.sends_per_second`.
    pub async fn send_opt_in_message(&self, optin: &OptIn) -> SendOutcome {
        self.send_once("send_opt_in_message", &optin.request()).await
    }
}
