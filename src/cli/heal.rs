//! `heal`: what the webhook has missed.

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;

use super::ids::id;
use super::state::open_migrated;
use super::time::time;
use crate::config::{Config, ConfigError};
use crate::ids::PageId;
use crate::jobs::heal::{Healed, heal};
use crate::outbound::client::Patience;
use crate::outbound::graph::Graph;
use crate::store::Store;
use crate::telemetry;

/// What to compare.
#[derive(Debug, Args)]
pub struct Look {
    /// Only this page; else every page with a token in `graph.page_tokens`
    #[arg(long, value_name = "PAGE")]
    page: Option<String>,
    /// Since then, such as 2026-05-01 or 2026-05-01T08:00:00+08:00; else since the last look
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Only count what is missing
    #[arg(long)]
    dry_run: bool,
    /// Print the counts as JSON, a line a page
    #[arg(long)]
    json: bool,
}

/// Looks, fills what can be filled, and tells what was found.
///
/// # Errors
/// Bad ids; no token; Meta or PostgreSQL do not go on; some conversations cannot be had.
pub async fn run(config: &Config, look: Look) -> Result<()> {
    let page: Option<PageId> = look.page.as_deref().map(|page| id("--page", page)).transpose()?;
    let graph = Graph::new(&config.graph, Patience::default()).map_err(|error| ConfigError(error.to_string()))?;
    let pages: Vec<PageId> = page.map_or_else(|| graph.pages().cloned().collect(), |page| vec![page]);
    if pages.is_empty() {
        return Err(ConfigError("no page has an access token; set it in `graph.page_tokens`".to_owned()).into());
    }
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let mut healed = Ok(());
    for page in &pages {
        healed = healed.and(one(&database.store, &graph, page, &look).await);
    }
    database.close().await;
    healed
}

async fn one(store: &Store, graph: &Graph, page: &PageId, look: &Look) -> Result<()> {
    let account = graph.account(page).map_err(|error| ConfigError(error.to_string()))?;
    let healed = heal(store, account, look.since, look.dry_run).await?;
    let Healed { since, conversations, filled, lost, failed } = healed;
    let page = page.as_str();
    if look.json {
        let counts = json!({
            "page_id": page,
            "since": since.map(|since| since.to_rfc3339()),
            "conversations": conversations,
            "filled": filled,
            "lost": lost,
            "failed": failed,
            "dry_run": look.dry_run,
        });
        println!("{counts}");
    } else if let Some(since) = since {
        let verb = if look.dry_run { "can be filled" } else { "filled" };
        let since = since.to_rfc3339();
        println!(
            "page {page}: {conversations} conversations have moved since {since}; of the messages that were missed \
             {filled} {verb}, {lost} lost"
        );
    } else {
        println!("page {page}: no event of it is known, so nothing was missed; give --since to look all the same");
    }
    if failed > 0 {
        bail!("page {page}: {failed} conversations could not be read; the log says why");
    }
    Ok(())
}
