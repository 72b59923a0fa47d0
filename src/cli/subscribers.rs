//! `subscribers`: who is subscribed, here and at Sobot.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::config_file::ConfigFile;
use super::ids::id;
use super::rows;
use super::state::open_migrated;
use crate::config::Config;
use crate::database::{Database, sobot};
use crate::jobs::subscribers::{Choice, Difference, Synced, Word, sync};
use crate::store::Subscriber;
use crate::telemetry;

/// What to do with subscribers.
#[derive(Debug, Subcommand)]
pub enum Subscribers {
    /// List who is or was subscribed, as known here
    List {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        which: Which,
    },
    /// Take over Sobot's lists, and tell what differed
    Sync {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        which: Which,
    },
}

/// Which subscriptions.
#[derive(Debug, Args)]
pub struct Which {
    /// Only those to this page
    #[arg(long, value_name = "PAGE")]
    page: Option<String>,
    /// Only those to the topic of this title
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

/// A subscription on standard output: what the view `subscribers` has.
#[derive(Serialize)]
struct Row {
    page_id: String,
    user_id: String,
    topic: String,
    sub_status: i16,
    timezone: Option<String>,
    changed_at: String,
    token_expires_at: Option<String>,
    can_receive_marketing: bool,
}

/// Lists or synchronises.
///
/// # Errors
/// Bad ids; PostgreSQL is away; Sobot does not tell.
pub async fn run(command: Subscribers) -> Result<()> {
    let is_sync = matches!(command, Subscribers::Sync { .. });
    let (Subscribers::List { config, which } | Subscribers::Sync { config, which }) = command;
    let choice = Choice {
        page_id: which.page.map(|page| id("--page", &page)).transpose()?,
        topic: which.topic.map(|topic| id("--topic", &topic)).transpose()?,
    };
    let config = config.load()?;
    telemetry::log::start(&config.log)?;
    let database = open_migrated(&config).await?;
    let done = if is_sync {
        synchronise(&config, &database, &choice, which.json).await
    } else {
        list(&database, &choice, which.json).await
    };
    database.close().await;
    done
}

async fn list(database: &Database, choice: &Choice, as_json: bool) -> Result<()> {
    let subscribers = database.store.subscribers(choice.page_id.as_ref(), choice.topic.as_ref()).await?;
    let rows: Vec<Row> = subscribers.into_iter().map(Row::from).collect();
    let columns = [
        "page_id",
        "user_id",
        "topic",
        "sub_status",
        "timezone",
        "changed_at",
        "token_expires_at",
        "can_receive_marketing",
    ];
    rows::print(&columns, &rows, as_json)
}

impl From<Subscriber> for Row {
    fn from(subscriber: Subscriber) -> Self {
        Self {
            page_id: subscriber.page_id,
            user_id: subscriber.user_id,
            topic: subscriber.topic,
            sub_status: subscriber.sub_status,
            timezone: subscriber.timezone,
            changed_at: subscriber.changed_at.to_rfc3339(),
            token_expires_at: subscriber.token_expires_at.map(|at| at.to_rfc3339()),
            can_receive_marketing: subscriber.can_receive_marketing,
        }
    }
}

async fn synchronise(config: &Config, database: &Database, choice: &Choice, as_json: bool) -> Result<()> {
    let sobot = sobot(config, &database.store)?;
    let report = |difference: &Difference| {
        println!("{}", if as_json { json(difference).to_string() } else { line(difference) });
    };
    let Synced { topics, items, unreadable, differences } = sync(&database.store, &sobot, choice, report).await?;
    if !as_json {
        println!("{topics} topics, {items} listed by Sobot, {differences} differences");
    }
    if unreadable > 0 {
        eprintln!("{unreadable} items do not say who is subscribed to what; they are in events, with a note");
    }
    Ok(())
}

fn line(difference: &Difference) -> String {
    match difference {
        Difference::Subscription { page_id, topic, user_id, here, at_sobot } => {
            let unlisted = "not in the list: nothing is changed";
            format!(
                "page {} topic {} user {}: here {}, at Sobot {}",
                page_id.as_str(),
                topic.as_str(),
                user_id.as_str(),
                told(*here, "unknown"),
                told(*at_sobot, unlisted)
            )
        }
        Difference::Topic { page_id, topic, subscribers } => format!(
            "page {} topic {}: here {subscribers} subscribed, at Sobot there is no such topic: nothing is changed",
            page_id.as_str(),
            topic.as_str()
        ),
    }
}

fn told(word: Option<Word>, none: &str) -> String {
    word.map_or_else(
        || none.to_owned(),
        |Word { at, is_subscribed }| {
            format!("{} since {}", if is_subscribed { "subscribed" } else { "stopped" }, at.to_rfc3339())
        },
    )
}

fn json(difference: &Difference) -> serde_json::Value {
    let word = |word: &Option<Word>| {
        word.map(|Word { at, is_subscribed }| {
            serde_json::json!({ "sub_status": i16::from(is_subscribed), "changed_at": at.to_rfc3339() })
        })
    };
    match difference {
        Difference::Subscription { page_id, topic, user_id, here, at_sobot } => serde_json::json!({
            "page_id": page_id.as_str(),
            "topic": topic.as_str(),
            "user_id": user_id.as_str(),
            "here": word(here),
            "at_sobot": word(at_sobot),
        }),
        Difference::Topic { page_id, topic, subscribers } => serde_json::json!({
            "page_id": page_id.as_str(),
            "topic": topic.as_str(),
            "subscribed_here": subscribers,
        }),
    }
}
