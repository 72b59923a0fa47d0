//! `./dev bench`: the service against what one would write instead and against the limits of the machine, all in one
//! run, in turns, so that noise hits all alike. `PERFORMANCE.md` tells how to read it.

mod against;
mod contender;
mod growth;
mod in_server;
mod load;
mod measure;
mod naive;
mod parse_only;
mod plan;
mod report;
mod stage;
#[path = "../../tests/support/mod.rs"]
mod support;
mod usage;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measure the service.
#[derive(Debug, Parser)]
#[command(name = "./dev bench")]
struct Arguments {
    /// Instead fill the journal to so many events, and show what becomes of intake and of the documented questions
    #[arg(long, value_name = "EVENTS", num_args = 0..=1, default_missing_value = "20000000")]
    growth: Option<u64>,
    /// Instead measure the service in turns with another build of it, such as the version before
    #[arg(long, value_name = "BINARY", conflicts_with = "growth")]
    against: Option<PathBuf>,
    /// How often each contender takes its turn; medians are shown
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn takes
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Only turns whose workload or contender contains this
    #[arg(long, default_value = "")]
    only: String,
    /// What cargo hands to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    server: Option<OwnServer>,
}

/// The contenders that are part of this program.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum OwnServer {
    ServeNaive { url: String },
    ServeParseOnly,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { growth, against, rounds, seconds, only, server, .. } = Arguments::parse();
    match server {
        Some(OwnServer::ServeNaive { url }) => contender::serve(naive::router(&url)?).await,
        Some(OwnServer::ServeParseOnly) => contender::serve(parse_only::router()).await,
        None => match (growth, against) {
            (Some(most), _) => growth::run(most, rounds, seconds).await,
            (None, Some(program)) => against::run(&program, rounds, seconds, &only).await,
            (None, None) => stage::run(rounds, seconds, &only).await,
        },
    }
}
