//! `query_sub_users`: who is subscribed to a topic, as Sobot has it.

use std::fmt::{self, Debug, Formatter};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::answer::{Listed, count, id, listed, text, time};
use super::api::Sobot;
use super::error::SobotError;
use crate::config::Secret;
use crate::ids::{PageId, Topic, UserId};
use crate::json::Document;

/// How many a page has (默认每页100条).
const PAGE_SIZE: &str = "100";

/// One subscription. A member that Sobot leaves out, or that is no id, is none.
#[derive(Clone)]
pub struct Subscriber {
    pub company_id: Option<String>,
    /// `facebookid`
    pub user_id: Option<UserId>,
    pub page_id: Option<PageId>,
    /// `sub_title`
    pub topic: Option<Topic>,
    /// `sub_status`: 1 is subscribed, 0 has stopped; anything else is none of both.
    pub is_subscribed: Option<bool>,
    /// `sub_token`, the `recipient_token` of a send; empty if there is none.
    pub token: Secret,
    pub timezone: Option<String>,
    /// `title_describe`
    pub describe: Option<String>,
    /// `create_time`
    pub created_at: Option<DateTime<Utc>>,
    /// `update_time`: when the status last changed. Text in the document's table, a number in its example.
    pub updated_at: Option<DateTime<Utc>>,
    /// The element as it came, for the journal. It holds the token.
    pub json: Bytes,
}

impl Sobot {
    /// One page of a topic's subscribers (`GET query_sub_users`). The first page is 1; a page has a hundred.
    ///
    /// # Errors
    /// Sobot does not tell, also when asked again.
    pub async fn query_sub_users(
        &self,
        page: &PageId,
        topic: &Topic,
        page_no: u32,
    ) -> Result<Listed<Subscriber>, SobotError> {
        // `appid` is the Facebook page here, not the customer's appid.
        let number = page_no.to_string();
        let query =
            [("appid", page.as_str()), ("title", topic.as_str()), ("page_no", &number), ("page_size", PAGE_SIZE)];
        let answer = self.question(self.get("query_sub_users", &query)).await?;
        let document = Document::parse(&answer).map_err(|_| SobotError::Unreadable("it is no JSON"))?;
        Ok(listed(document.root(), page_no, |item, json| Subscriber {
            company_id: text(item, &["companyid"]).map(Into::into),
            user_id: id(item, &["facebookid"]),
            page_id: id(item, &["pageid"]),
            topic: id(item, &["sub_title"]),
            is_subscribed: count(item, "sub_status").and_then(is_subscribed),
            token: text(item, &["sub_token"]).as_deref().map(Secret::from).unwrap_or_default(),
            timezone: text(item, &["timezone"]).map(Into::into),
            describe: text(item, &["title_describe"]).map(Into::into),
            created_at: time(item, "create_time"),
            updated_at: time(item, "update_time"),
            json,
        }))
    }
}

fn is_subscribed(status: i64) -> Option<bool> {
    match status {
        1 => Some(true),
        0 => Some(false),
        _ => None,
    }
}

impl Debug for Subscriber {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Subscriber")
            .field("user_id", &self.user_id)
            .field("page_id", &self.page_id)
            .field("topic", &self.topic)
            .field("is_subscribed", &self.is_subscribed)
            .finish_non_exhaustive()
    }
}
