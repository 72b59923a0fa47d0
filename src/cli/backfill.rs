//! `backfill`: past conversations.

use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::ids::id;
use super::state::open_migrated;
use super::time::time;
use crate::config::{Config, ConfigError};
use crate::ids::PageId;
use crate::jobs::backfill::{Backfilled, Choice, backfill};
use crate::outbound::client::Patience;
use crate::outbound::graph::{Account, Graph, Platform};
use crate::telemetry;

/// Which conversations are wanted.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The page, with a token in `graph.page_tokens`
    #[arg(long, value_name = "PAGE")]
    page: String,
    /// Where the conversations are held
    #[arg(long, value_enum, default_value = "messenger")]
    platform: Place,
    /// The Instagram account behind the page, as in the column `page_id`; with --platform instagram
    #[arg(long, value_name = "ID", required_if_eq("platform", "instagram"))]
    account: Option<String>,
    /// Only the conversation with this customer
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only conversations that have moved since then, such as 2026-05-01 or 2026-05-01T08:00:00+08:00
    #[arg(long, value_name = "DATE", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Messenger,
    Instagram,
}

/// Brings them into the journal, and tells how many messages came.
///
/// # Errors
/// Bad ids; no token; Meta or PostgreSQL do not go on; some conversations cannot be had.
pub async fn run(config: &Config, wanted: Wanted) -> Result<()> {
    let page: PageId = id("--page", &wanted.page)?;
    let account_id = match (&wanted.account, wanted.platform) {
        (Some(account), Place::Instagram) => id("--account", account)?,
        (Some(_), Place::Messenger) => {
            return Err(ConfigError("--account belongs to --platform instagram".to_owned()).into());
        }
        (None, _) => page.clone(),
    };
    let choice = Choice {
        platform: match wanted.platform {
            Place::Messenger => Platform::Messenger,
            Place::Instagram => Platform::Instagram,
        },
        account_id,
        user: wanted.user.as_deref().map(|user| id("--user", user)).transpose()?,
        since: wanted.since,
    };
    let account = account(config, &page)?;
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let progress = |done: &Backfilled| {
        let Backfilled { conversations, unchanged, told, listed, calls, .. } = done;
        let (conversations, messages) = (conversations + unchanged, told + listed);
        bar.set_message(format!("{conversations} conversations, {messages} new messages, {calls} calls"));
        bar.tick();
    };
    let backfilled = backfill(&database.store, &account, &choice, progress).await;
    bar.finish_and_clear();
    database.close().await;
    tell(&backfilled?, wanted.json)
}

/// Meta's API for a page.
///
/// # Errors
/// The page has no token.
pub fn account(config: &Config, page: &PageId) -> Result<Arc<Account>> {
    let account = Graph::new(&config.graph, Patience::default()).and_then(|graph| graph.account(page).cloned());
    Ok(account.map_err(|error| ConfigError(error.to_string()))?)
}

fn tell(done: &Backfilled, as_json: bool) -> Result<()> {
    let Backfilled { conversations, unchanged, failed, told, listed, known, erased, calls } = done;
    if as_json {
        let counts = json!({
            "conversations": conversations,
            "unchanged": unchanged,
            "failed": failed,
            "told": told,
            "listed": listed,
            "known": known,
            "erased": erased,
            "calls": calls,
        });
        println!("{counts}");
    } else {
        println!(
            "{conversations} conversations, {unchanged} more unchanged; {told} new messages, {listed} more of which Meta \
             tells only when they were written; {known} were known; {calls} calls"
        );
    }
    if *failed > 0 {
        bail!("{failed} conversations could not be read; the log says why, and the same command tries them again");
    }
    Ok(())
}
