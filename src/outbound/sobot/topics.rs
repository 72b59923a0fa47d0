//! Subscription topics (订阅主题): `create_or_update_title`, `del_title`, `get_title_list`. What Sobot demands of them it
//! answers with codes of its own (210001 to 210013), so nothing is checked here.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::answer::{Listed, id, listed, text, time};
use super::api::Sobot;
use super::error::SobotError;
use crate::ids::{self, ConfigId, PageId};
use crate::json::Document;

/// How many a page has (默认:15).
const PAGE_SIZE: u32 = 15;

/// A topic to be created, or what is to be changed of it.
#[derive(Debug, Clone)]
pub struct TopicChange {
    pub page_id: PageId,
    /// At most 65 characters. It cannot be changed later.
    pub title: String,
    /// At most 65 characters.
    pub describe: String,
    /// `SQUARE` (1:1) or `HORIZONTAL` (1.91:1).
    pub image_ratio: String,
    /// `ALLOW`, `GET`, `GET_UPDATES`, `OPT_IN` or `SIGN_UP`.
    pub button_type: String,
    pub image_url: Option<String>,
    pub timezone: Option<String>,
    /// The topic to change; without it one is created.
    pub config_id: Option<ConfigId>,
}

/// A topic as Sobot has it. A member that Sobot leaves out, or that is no id, is none.
#[derive(Debug, Clone)]
pub struct Topic {
    pub config_id: Option<ConfigId>,
    pub page_id: Option<PageId>,
    pub title: Option<ids::Topic>,
    pub company_id: Option<String>,
    /// The Facebook page's name.
    pub app_name: Option<String>,
    pub describe: Option<String>,
    pub image_ratio: Option<String>,
    pub button_type: Option<String>,
    pub image_url: Option<String>,
    pub timezone: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    /// The element as it came.
    pub json: Bytes,
}

/// Which topics to list; the default is all.
#[derive(Debug, Clone, Default)]
pub struct TopicQuery {
    pub created_since: Option<DateTime<Utc>>,
    pub created_until: Option<DateTime<Utc>>,
    pub pages: Vec<PageId>,
    pub title: Option<String>,
}

/// The bodies as they travel. `appid` is the Facebook page here, not the customer's appid.
#[derive(Serialize)]
struct ChangeBody<'a> {
    appid: &'a str,
    title: &'a str,
    describe: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<&'a str>,
    image_ratio: &'a str,
    button_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
    // The table has `configid` and says "pass config_id"; no example has either. `del_title` and the list's example
    // have `configid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    configid: Option<&'a str>,
}

#[derive(Serialize)]
struct QueryBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    appids: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    page_no: u32,
    page_size: u32,
}

impl Sobot {
    /// Creates a topic or changes one, once (`POST create_or_update_title`). Returns its `configid`.
    ///
    /// # Errors
    /// Sobot did not take it, or it is unknown whether it did.
    pub async fn create_or_update_title(&self, change: &TopicChange) -> Result<ConfigId, SobotError> {
        let body = ChangeBody {
            appid: change.page_id.as_str(),
            title: &change.title,
            describe: &change.describe,
            image_url: change.image_url.as_deref(),
            image_ratio: &change.image_ratio,
            button_type: &change.button_type,
            timezone: change.timezone.as_deref(),
            configid: change.config_id.as_ref().map(ConfigId::as_str),
        };
        let answer = self.command(self.post("create_or_update_title", &body)?).await?;
        let document = Document::parse(&answer).map_err(|_| SobotError::Unreadable("it is no JSON"))?;
        let item = document.root().member("item");
        let within = item.and_then(|item| id(item, &["configid", "config_id"]));
        let alone = || id(document.root(), &["item", "configid", "config_id"]);
        within.or_else(alone).ok_or(SobotError::Unreadable("it has no item, the configid"))
    }

    /// Deletes a topic, once (`GET del_title`).
    ///
    /// # Errors
    /// Sobot did not take it, or it is unknown whether it did.
    pub async fn del_title(&self, topic: &ConfigId) -> Result<(), SobotError> {
        self.command(self.get("del_title", &[("configid", topic.as_str())])).await?;
        Ok(())
    }

    /// One page of the topics (`POST get_title_list`, which changes nothing). The first page is 1; a page has 15.
    ///
    /// # Errors
    /// Sobot does not tell, also when asked again.
    pub async fn get_title_list(&self, query: &TopicQuery, page_no: u32) -> Result<Listed<Topic>, SobotError> {
        let appids = query.pages.iter().map(PageId::as_str).collect::<Vec<_>>().join(",");
        let body = QueryBody {
            start_time: query.created_since.map(|time| time.timestamp_millis()),
            end_time: query.created_until.map(|time| time.timestamp_millis()),
            appids: Some(appids).filter(|appids| !appids.is_empty()),
            title: query.title.as_deref(),
            page_no,
            page_size: PAGE_SIZE,
        };
        let answer = self.question(self.post("get_title_list", &body)?).await?;
        let document = Document::parse(&answer).map_err(|_| SobotError::Unreadable("it is no JSON"))?;
        Ok(listed(document.root(), page_no, |item, json| {
            let member = |name: &str| text(item, &[name]).map(String::from);
            Topic {
                config_id: id(item, &["configid", "config_id"]),
                page_id: id(item, &["appid"]),
                title: id(item, &["title"]),
                company_id: member("companyid"),
                app_name: member("app_name"),
                describe: member("describe"),
                image_ratio: member("image_ratio"),
                button_type: member("button_type"),
                image_url: member("image_url"),
                timezone: member("timezone"),
                created_at: time(item, "create_time"),
                updated_at: time(item, "update_time"),
                json,
            }
        }))
    }
}
