//! `topics`: the subscription topics of pages, as Sobot has them.

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::asked_once;
use super::config_file::ConfigFile;
use super::ids::id;
use super::rows;
use super::state::open_migrated;
use crate::config::Config;
use crate::database::{Database, sobot};
use crate::ids::{ConfigId, PageId};
use crate::jobs::topics;
use crate::outbound::sobot::{Topic, TopicChange};
use crate::telemetry;

/// Where to look before a change is asked for again.
const LOOK: &str = "look at sobot-hook topics list";

/// What to do with topics.
#[expect(clippy::doc_markdown, reason = "the help prints these comments as they are")]
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// List the topics that Sobot has
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Only those of this page
        #[arg(long, value_name = "PAGE")]
        page: Option<String>,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Create a topic, or change the one of --config-id
    Put {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        wanted: Box<Wanted>,
    },
    /// Delete a topic
    Delete {
        #[command(flatten)]
        config: ConfigFile,
        /// Its config_id, as topics list shows it
        #[arg(value_name = "CONFIG_ID")]
        config_id: String,
    },
}

/// A topic as it is to be.
#[expect(clippy::doc_markdown, reason = "the help prints these comments as they are")]
#[derive(Debug, Args)]
pub struct Wanted {
    /// The page whose topic it is; cannot be changed later
    #[arg(long, value_name = "PAGE")]
    page: String,
    /// Its title, at most 65 characters; cannot be changed later
    #[arg(long, value_name = "TITLE")]
    title: String,
    /// Its description, at most 65 characters
    #[arg(long, value_name = "TEXT")]
    describe: String,
    /// SQUARE (1:1) or HORIZONTAL (1.91:1)
    #[arg(long, value_name = "RATIO")]
    image_ratio: String,
    /// ALLOW, GET, GET_UPDATES, OPT_IN or SIGN_UP
    #[arg(long, value_name = "TYPE")]
    button_type: String,
    /// Where its image is
    #[arg(long, value_name = "URL")]
    image_url: Option<String>,
    /// Its time zone, as Sobot names them
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Change this topic instead of creating one
    #[arg(long, value_name = "CONFIG_ID")]
    config_id: Option<String>,
}

/// A topic on standard output.
#[derive(Serialize)]
struct Row<'a> {
    config_id: Option<&'a str>,
    page_id: Option<&'a str>,
    title: Option<&'a str>,
    describe: Option<&'a str>,
    button_type: Option<&'a str>,
    image_ratio: Option<&'a str>,
    image_url: Option<&'a str>,
    timezone: Option<&'a str>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

/// Lists or changes topics.
///
/// # Errors
/// Bad ids; Sobot refuses or does not answer; PostgreSQL, which holds the token, is away.
pub async fn run(command: Topics) -> Result<()> {
    match command {
        Topics::List { config, page, json } => {
            let page_id = page.map(|page| id("--page", &page)).transpose()?;
            list(&config.load()?, page_id, json).await
        }
        Topics::Put { config, wanted } => put(&config.load()?, *wanted).await,
        Topics::Delete { config, config_id } => {
            delete(&config.load()?, id("CONFIG_ID", &config_id)?).await?;
            println!("deleted");
            Ok(())
        }
    }
}

async fn list(config: &Config, page_id: Option<PageId>, as_json: bool) -> Result<()> {
    let database = open(config).await?;
    let listing =
        async { Ok::<_, anyhow::Error>(topics::list(&*sobot(config, &database.store)?, page_id.as_ref()).await?) };
    let listed = listing.await;
    database.close().await;
    let listed = listed?;
    let rows: Vec<Row<'_>> = listed.iter().map(row).collect();
    let columns = ["config_id", "page_id", "title", "describe", "button_type", "image_ratio", "timezone", "updated_at"];
    rows::print(&columns, &rows, as_json)
}

async fn put(config: &Config, wanted: Wanted) -> Result<()> {
    let is_new = wanted.config_id.is_none();
    let change = TopicChange {
        page_id: id("--page", &wanted.page)?,
        title: wanted.title,
        describe: wanted.describe,
        image_ratio: wanted.image_ratio,
        button_type: wanted.button_type,
        image_url: wanted.image_url,
        timezone: wanted.timezone,
        config_id: wanted.config_id.map(|config_id| id("--config-id", &config_id)).transpose()?,
    };
    let database = open(config).await?;
    let putting = async {
        let put = sobot(config, &database.store)?.create_or_update_title(&change).await;
        put.map_err(|error| asked_once::failure(error, LOOK))
    };
    let put = putting.await;
    database.close().await;
    println!("{} {}", if is_new { "created" } else { "changed" }, put?.as_str());
    Ok(())
}

async fn delete(config: &Config, config_id: ConfigId) -> Result<()> {
    let database = open(config).await?;
    let deleting = async {
        let deleted = sobot(config, &database.store)?.del_title(&config_id).await;
        deleted.map_err(|error| asked_once::failure(error, LOOK))
    };
    let deleted = deleting.await;
    database.close().await;
    deleted
}

async fn open(config: &Config) -> Result<Database> {
    telemetry::log::start(&config.log)?;
    open_migrated(config).await
}

fn row(topic: &Topic) -> Row<'_> {
    let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
    Row {
        config_id: topic.config_id.as_ref().map(ConfigId::as_str),
        page_id: topic.page_id.as_ref().map(PageId::as_str),
        title: topic.title.as_ref().map(crate::ids::Topic::as_str),
        describe: topic.describe.as_deref(),
        button_type: topic.button_type.as_deref(),
        image_ratio: topic.image_ratio.as_deref(),
        image_url: topic.image_url.as_deref(),
        timezone: topic.timezone.as_deref(),
        created_at: time(topic.created_at),
        updated_at: time(topic.updated_at),
    }
}
