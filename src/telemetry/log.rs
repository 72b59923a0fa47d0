//! Logs on standard error: text for people, JSON for machines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Starts logging, and makes panics tell their place only: their messages may quote what was being read.
///
/// # Errors
/// The level is no filter that `tracing` knows.
pub fn start(log: &Log) -> Result<(), tracing_subscriber::filter::ParseError> {
    let registry = tracing_subscriber::registry().with(filter(log)?);
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    match log.format {
        LogFormat::Text => registry.with(layer.with_ansi(stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "panic");
    }));
    Ok(())
}

/// What is logged at this level.
///
/// # Errors
/// The level is no filter that `tracing` knows.
pub fn filter(log: &Log) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    // Below info the database client would log statements and the HTTP libraries request lines, which hold
    // secrets: their levels are not for choosing.
    const LIBRARIES: &str = "sqlx=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn";
    EnvFilter::builder().parse(format!("{},{LIBRARIES}", log.level.as_str()))
}
