//! `--config`, which every command takes.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Config, ConfigError};

#[derive(Debug, Args)]
pub struct ConfigFile {
    /// Configuration file; without it config.toml in the working directory, if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn path(&self) -> Option<&Path> {
        let usual = Path::new("config.toml");
        self.config.as_deref().or(usual.exists().then_some(usual))
    }

    /// Reads the file, if there is one, and the environment.
    ///
    /// # Errors
    /// What is wrong, by its key.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.path(), environment())
    }
}

/// Names and values that are no Unicode cannot be ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
