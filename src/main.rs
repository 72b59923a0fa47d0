//! `sobot-hook`: see the library.

use std::num::NonZero;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use sobot_hook::cli::Cli;
use sobot_hook::config::ConfigError;
use tokio::runtime::Builder;

/// Bad usage or configuration (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    // A request is less work here than in PostgreSQL, which is often on the same machine: every further thread would
    // mostly wake the others up.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = Builder::new_multi_thread().worker_threads(cores.div_ceil(2)).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => {
            eprintln!("sobot-hook: no thread can be started: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to do when even this cannot be written.
            let _ = error.print();
            return if is_help { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sobot-hook: {error:#}");
            if error.is::<ConfigError>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}
