//! `optin`: asks a customer whether to subscribe to a topic.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::config_file::ConfigFile;
use super::ids::id;
use super::state::open_migrated;
use crate::config::Config;
use crate::database::sobot;
use crate::jobs::optin;
use crate::outbound::sobot::OptIn;
use crate::telemetry;

/// What to do with opt-in messages.
#[derive(Debug, Subcommand)]
pub enum Optin {
    /// Send an opt-in message, once
    Send {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        question: Question,
    },
}

/// Who is asked what.
#[derive(Debug, Args)]
pub struct Question {
    /// The page that asks
    #[arg(long, value_name = "PAGE")]
    page: String,
    /// The topic's title
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// The customer (PSID)
    #[arg(long = "to", value_name = "USER")]
    user: String,
}

/// Sends it, and tells what is known of that. It does not go through the outbox, whose requests are `send` requests.
///
/// # Errors
/// Bad ids; it was not sent, nobody knows, or it could not be journaled; PostgreSQL is away.
pub async fn run(command: Optin) -> Result<()> {
    let Optin::Send { config, question } = command;
    send(&config.load()?, &question).await
}

async fn send(config: &Config, question: &Question) -> Result<()> {
    let optin = OptIn {
        page_id: id("--page", &question.page)?,
        topic: id("--topic", &question.topic)?,
        user_id: id("--to", &question.user)?,
        describe: None,
        image_url: None,
        image_ratio: None,
        button_type: None,
        timezone: None,
    };
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let sending = async {
        let sobot = sobot(config, &database.store)?;
        Ok::<_, anyhow::Error>(optin::send(&database.store, &sobot, &optin).await?)
    };
    let sent = sending.await;
    database.close().await;
    match sent? {
        Some(mid) => println!("sent as {}", mid.as_str()),
        None => println!("sent; Sobot did not tell the mid, so the journal will have only its echo"),
    }
    Ok(())
}
