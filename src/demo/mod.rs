//! A small story, told through the real HTTP door: a customer writes and is answered, subscribes, stops and
//! comes back; an upload is asked for and matched; something nobody knows and something broken arrive. Beside it stand
//! [`sobot`] and [`graph`], which behave as the two APIs do ([`simulator`]), for whoever has no account there.

pub mod graph;
pub mod simulator;
pub mod sobot;
mod story;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::config::{Config, LogLevel, Secret};
use crate::outbound::client::builder;
use crate::store::{Store, View};
use story::Story;

/// More than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stands in the demo's URL, which only this machine can reach.
const SECRET: &str = "demo-secret-0123456789";

/// What the demo needs instead of what is configured: a database and a secret of its own, loopback, and little log.
#[must_use]
pub fn configured(mut config: Config) -> Config {
    config.http.listen.set_ip(Ipv4Addr::LOCALHOST.into());
    config.webhook.secrets = vec![SECRET.into()];
    config.webhook.app_secret = Secret::default();
    config.webhook.allow_from.clear();
    config.database.url = Secret::default();
    config.storage.data_dir.push("demo");
    config.log.level = LogLevel::Error;
    config
}

/// The webhook's URL of a service that was started with [`configured`].
#[must_use]
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}/webhook/{SECRET}")
}

/// Tells the story to `url` and prints every answer and what the views then show.
///
/// # Errors
/// The service does not answer, or a view cannot be read.
pub async fn tell(url: &str, store: &Store, now: DateTime<Utc>) -> Result<()> {
    let told = Story::new(now);
    let client = builder().timeout(PATIENCE).build()?;
    wait_until_ready(&client, url).await?;
    println!("Posting to {url}\n");
    for scene in told.scenes() {
        if scene.asks_for_upload {
            store.request_upload(&told.track_id, &told.page_id, "image", "https://example.com/sale.png").await?;
        }
        let answer = client.post(url).header("content-type", "application/json").body(scene.body).send().await;
        let answer = answer.context("the service did not answer")?;
        let status = answer.status();
        println!("  {:<58} {} {}", scene.title, status.as_u16(), answer.text().await?);
    }
    for view in View::ALL {
        // Every id of this story begins alike, so that an earlier demo's rows stay out of the picture.
        let shown = store.view(view, &told.prefix).await?;
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(shown.columns).add_rows(shown.rows);
        println!("\nselect * from {};\n{table}", view.as_str());
    }
    Ok(())
}

/// A service serves before it has got through to PostgreSQL; then the story would be in the spool when its views are shown.
async fn wait_until_ready(client: &reqwest::Client, url: &str) -> Result<()> {
    let readiness = reqwest::Url::parse(url)?.join("/readyz")?;
    let ready = async {
        while !client.get(readiness.clone()).send().await?.text().await?.contains(r#""database":"ok""#) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, reqwest::Error>(())
    };
    tokio::time::timeout(PATIENCE, ready).await.context("PostgreSQL takes no events")??;
    Ok(())
}
