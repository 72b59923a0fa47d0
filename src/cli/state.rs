//! `migrate`, `rebuild` and `replay`: what works on the tables.

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Config;
use crate::database::{COMMAND_LIMIT, Database};
use crate::jobs::rebuild::{self, Rebuilt};
use crate::jobs::replay::{self, Choice, Replayed};
use crate::store::{Difference, Scope};
use crate::{clock, telemetry};

pub async fn migrate(config: &Config) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let database = Database::open_beside(config).await?;
    let migrated = database.store.migrate(COMMAND_LIMIT).await;
    database.close().await;
    migrated?;
    println!("the schema is up to date");
    Ok(())
}

/// For what works on the tables: a database that has them.
pub async fn open_migrated(config: &Config) -> Result<Database> {
    let database = Database::open_beside(config).await?;
    if let Err(problem) = database.store.require_current().await {
        let place = database.store.place();
        database.close().await;
        return Err(anyhow::Error::from(problem).context(format!("the database {place} (database.url) cannot be used")));
    }
    Ok(database)
}

pub async fn rebuild(config: &Config, check: bool) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let bar =
        ProgressBar::no_length().with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} events, {eta} left")?);
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = |Difference { table, key, columns }| bar.suspend(|| println!("{table} {key}: {columns}"));
    let scope = if check { Scope::Check } else { Scope::Replace };
    let rebuilt = rebuild::rebuild(&database.store, scope, progress, report).await;
    bar.finish_and_clear();
    database.close().await;
    let Rebuilt { events, differences } = rebuilt?;
    println!("{events} events, {differences} differences");
    if check && differences > 0 {
        bail!("the state is not what the journal says; sobot-hook rebuild replaces it");
    }
    Ok(())
}

pub async fn replay(config: &Config, choice: Choice) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let replayed = replay::replay(&database.store, choice, clock::now(), |id, reason| println!("{id}: {reason}")).await;
    database.close().await;
    let replayed = replayed?;
    if let Some(id) = choice.id
        && replayed == Replayed::default()
    {
        bail!(
            "nothing to replay: the quarantine holds no body {id}, or it was replayed before (or came before --since)"
        );
    }
    println!("{} replayed, {} left", replayed.replayed, replayed.left);
    Ok(())
}
