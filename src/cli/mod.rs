//! The command line: one file a command, or a few that belong together.

mod asked_once;
mod backfill;
mod config_file;
mod erase;
mod heal;
mod ids;
mod optin;
mod rows;
mod send;
mod serve;
mod spool;
mod state;
mod subscribers;
mod time;
mod token;
mod topics;
mod upload;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};

use crate::jobs::replay::Choice;
use config_file::ConfigFile;
use time::time;

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
    /// Send one message through Sobot, at most once, and tell what became of it
    Send {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        message: Box<send::Message>,
    },
    /// Bring a page's past conversations from Meta into the journal
    Backfill {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        wanted: backfill::Wanted,
    },
    /// Find and fill what the webhook has missed
    Heal {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        look: heal::Look,
    },
    /// Say until when Sobot's token is valid, fetching one if none is
    Token {
        #[command(flatten)]
        config: ConfigFile,
        /// Print the token alone: a secret
        #[arg(long)]
        show: bool,
    },
    /// Upload a file for a page, and wait for its attachment
    Upload {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        wanted: upload::Wanted,
    },
    /// List, put or delete subscription topics
    #[command(subcommand)]
    Topics(topics::Topics),
    /// List subscribers, or take over Sobot's lists of them
    #[command(subcommand)]
    Subscribers(subscribers::Subscribers),
    /// Ask a customer whether to subscribe to a topic
    #[command(subcommand)]
    Optin(optin::Optin),
    /// Remove a person from the journal, the state, the quarantine and the spool
    Erase {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        whom: erase::Whom,
    },
    /// Show what waits in the spool for PostgreSQL
    Spool(ConfigFile),
    /// Ask the service on http.listen whether it serves
    Healthcheck(ConfigFile),
    /// Print the configuration in force, secrets masked
    Config(ConfigFile),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`ConfigError`](crate::config::ConfigError) for a bad configuration, anything else for everything else; each message says in a
    /// line what to do.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Serve(file) => serve::serve(file.load()?).await,
            Command::Demo { config, once } => serve::demo(config.load()?, once).await,
            Command::Migrate(file) => state::migrate(&file.load()?).await,
            Command::Rebuild { config, check } => state::rebuild(&config.load()?, check).await,
            Command::Replay { config, since, id } => state::replay(&config.load()?, Choice { id, since }).await,
            Command::Send { config, message } => send::run(&config.load()?, *message).await,
            Command::Backfill { config, wanted } => backfill::run(&config.load()?, wanted).await,
            Command::Heal { config, look } => heal::run(&config.load()?, look).await,
            Command::Token { config, show } => token::run(&config.load()?, show).await,
            Command::Upload { config, wanted } => upload::run(&config.load()?, wanted).await,
            Command::Topics(command) => topics::run(command).await,
            Command::Subscribers(command) => subscribers::run(command).await,
            Command::Optin(command) => optin::run(command).await,
            Command::Erase { config, whom } => erase::run(&config.load()?, whom).await,
            Command::Spool(file) => spool::show(&file.load()?),
            Command::Healthcheck(file) => serve::healthcheck(&file.load()?).await,
            Command::Config(file) => {
                // Secrets serialise as a mask.
                print!("{}", toml::to_string(&file.load()?)?);
                Ok(())
            }
        }
    }
}
