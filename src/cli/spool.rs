//! `spool`: what waits.

use anyhow::{Context, Result};

use crate::config::Config;
use crate::spool;

pub fn show(config: &Config) -> Result<()> {
    let waiting = spool::inspect(&config.storage.data_dir);
    let waiting =
        waiting.context("cannot look into the spool; do so as the user who runs the service")?.unwrap_or_default();
    let oldest = waiting.oldest.map_or("-".to_owned(), |oldest| oldest.to_rfc3339());
    println!("entries {}\nbytes   {} of {}\noldest  {oldest}", waiting.entries, waiting.bytes, config.spool.max_bytes);
    Ok(())
}
