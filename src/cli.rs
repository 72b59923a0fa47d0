//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::database::{COMMAND_LIMIT, Database};
use crate::jobs::rebuild::{Rebuilt, rebuild};
use crate::jobs::replay::{Choice, Replayed, replay};
use crate::outbound::client::builder;
use crate::store::{Difference, Scope};
use crate::{clock, demo, spool, telemetry};

/// The receiving end of Sobot's Facebook Messenger integration.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive events until SIGTERM or Ctrl-C
    Serve(ConfigFile),
    /// Start a private service, post a small story and show what became of it
    Demo {
        #[command(flatten)]
        config: ConfigFile,
        /// End after the story instead of serving on
        #[arg(long)]
        once: bool,
    },
    /// Bring the database's schema up to date and end
    Migrate(ConfigFile),
    /// Compute all state from the journal and replace what differs
    Rebuild {
        #[command(flatten)]
        config: ConfigFile,
        /// Only report each difference; the exit code is 1 if there is any
        #[arg(long)]
        check: bool,
    },
    /// Try the bodies in quarantine again with today's parser
    Replay {
        #[command(flatten)]
        config: ConfigFile,
        /// Only those received since then, such as 2026-05-01 or 2026-05-01T08:00:00+08:00
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<DateTime<Utc>>,
        /// Only the one of this number
        #[arg(long)]
        id: Option<i64>,
    },
    /// Show what waits in the spool for PostgreSQL
    Spool(ConfigFile),
    /// Ask the service on http.listen whether it serves
    Healthcheck(ConfigFile),
    /// Print the configuration in force, secrets masked
    Config(ConfigFile),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file; without it config.toml in the working directory, if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn path(&self) -> Option<&Path> {
        let usual = Path::new("config.toml");
        self.config.as_deref().or(usual.exists().then_some(usual))
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.path(), environment())
    }
}

/// Names and values that are no Unicode cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`ConfigError`] for a bad configuration, anything else for everything else; each message says in a
    /// line what to do.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Serve(file) => serve(file.load()?).await,
            Command::Demo { config, once } => run_demo(config.load()?, once).await,
            Command::Migrate(file) => migrate(&file.load()?).await,
            Command::Rebuild { config, check } => run_rebuild(&config.load()?, check).await,
            Command::Replay { config, since, id } => run_replay(&config.load()?, Choice { id, since }).await,
            Command::Spool(file) => show_spool(&file.load()?),
            Command::Healthcheck(file) => healthcheck(&file.load()?).await,
            Command::Config(file) => {
                // Secrets serialise as a mask.
                print!("{}", toml::to_string(&file.load()?)?);
                Ok(())
            }
        }
    }
}

async fn serve(config: Config) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let stop = stop_signal()?;
    App::start(config, telemetry::metrics::start()?).await?.serve(stop).await
}

async fn run_demo(config: Config, once: bool) -> Result<()> {
    let config = demo::configured(config);
    telemetry::log::start(&config.log)?;
    let mut signal = Box::pin(stop_signal()?);
    let mut app = App::start(config, telemetry::metrics::start()?).await?;
    let psql = tokio::select! {
        psql = app.start_private_server() => psql?,
        // What has been started ends with it.
        () = &mut signal => return Ok(()),
    };
    let url = demo::url(app.address()?);
    let store = app.store().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let telling = async {
        let told = demo::tell(&url, &store, clock::now()).await;
        if told.is_ok() {
            println!("\nLook for yourself:    {psql}");
            println!("Webhook URL:          {url}");
            println!(
                "In the Sobot console: the same with your public https address, https://your-host/webhook/<your secret>"
            );
            if !once {
                println!("\nServing on; Ctrl-C ends it.");
                signal.await;
            }
        }
        // Serving ends with it, whatever the story came to.
        drop(stop);
        told
    };
    let (served, told) = tokio::join!(app.serve(async { drop(stopped.await) }), telling);
    served.and(told)
}

async fn migrate(config: &Config) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let database = Database::open_beside(config).await?;
    let migrated = database.store.migrate(COMMAND_LIMIT).await;
    database.close().await;
    migrated?;
    println!("the schema is up to date");
    Ok(())
}

/// For what works on the tables: a database that has them.
async fn open_migrated(config: &Config) -> Result<Database> {
    let database = Database::open_beside(config).await?;
    if let Err(problem) = database.store.require_current().await {
        database.close().await;
        return Err(problem.into());
    }
    Ok(database)
}

async fn run_rebuild(config: &Config, check: bool) -> Result<()> {
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
    let rebuilt = rebuild(&database.store, scope, progress, report).await;
    bar.finish_and_clear();
    database.close().await;
    let Rebuilt { events, differences } = rebuilt?;
    println!("{events} events, {differences} differences");
    if check && differences > 0 {
        bail!("the state is not what the journal says; sobot-hook rebuild replaces it");
    }
    Ok(())
}

async fn run_replay(config: &Config, choice: Choice) -> Result<()> {
    telemetry::log::start(&config.log)?;
    let database = open_migrated(config).await?;
    let replayed = replay(&database.store, choice, clock::now(), |id, reason| println!("{id}: {reason}")).await;
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

/// A date (UTC) or an RFC 3339 time.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let date = || text.parse::<NaiveDate>().ok().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.or_else(date).ok_or_else(|| "neither a date (2026-05-01) nor a time (2026-05-01T08:00:00Z)".to_owned())
}

fn show_spool(config: &Config) -> Result<()> {
    let waiting = spool::inspect(&config.storage.data_dir);
    let waiting =
        waiting.context("cannot look into the spool; do so as the user who runs the service")?.unwrap_or_default();
    let oldest = waiting.oldest.map_or("-".to_owned(), |oldest| oldest.to_rfc3339());
    println!("entries {}\nbytes   {} of {}\noldest  {oldest}", waiting.entries, waiting.bytes, config.spool.max_bytes);
    Ok(())
}

async fn healthcheck(config: &Config) -> Result<()> {
    let mut address = config.http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let client = builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
    let answer = client.get(format!("http://{address}/healthz")).send().await;
    let answer = answer.with_context(|| format!("nothing serves on {address}"))?;
    if !answer.status().is_success() {
        bail!("{address} answers {}", answer.status());
    }
    println!("ok");
    Ok(())
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
