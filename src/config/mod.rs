//! The configuration: `config.toml` in the repository is the defaults, a file and the environment change
//! them, and nothing that they say is overlooked. Printed or serialised, it shows no secret.

mod apis;
mod database_url;
mod error;
mod kubernetes;
mod layers;
mod networks;
mod secret;
mod sections;
mod typed;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use secret::Secret;
pub use sections::{Admin, Database, Graph, Http, Log, LogFormat, LogLevel, Retention, Sobot, Spool, Storage, Webhook};

/// The defaults: the documented file itself.
const DEFAULTS: &str = include_str!("../../config.toml");

/// Everything that can be set. The keys are described in `config.toml`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub http: Http,
    pub admin: Admin,
    pub webhook: Webhook,
    pub database: Database,
    pub storage: Storage,
    pub spool: Spool,
    pub sobot: Sobot,
    pub graph: Graph,
    pub retention: Retention,
    pub log: Log,
}

impl Config {
    /// Reads the defaults, then the file, then the environment.
    ///
    /// # Errors
    /// An unreadable file, an unknown key (the nearest known one is named), a value out of range, or a
    /// combination that would be unsafe.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let config: Self = typed::typed(layers::load(DEFAULTS, file, environment)?)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let ranges = [
            ("http.body_limit_bytes", self.http.body_limit_bytes as u64, 1_024, 16 << 20),
            ("http.request_timeout_ms", self.http.request_timeout_ms, 100, 600_000),
            ("http.max_connections", self.http.max_connections as u64, 1, 1_000_000),
            ("database.max_connections", u64::from(self.database.max_connections), 6, 1_000),
            // A body that is allowed must fit.
            ("spool.max_bytes", self.spool.max_bytes, 2 * self.http.body_limit_bytes as u64, 1 << 40),
            (
                "retention.quarantine_max_bytes",
                self.retention.quarantine_max_bytes,
                2 * self.http.body_limit_bytes as u64,
                1 << 40,
            ),
            ("sobot.sends_per_second", u64::from(self.sobot.sends_per_second), 1, 1_000),
            ("graph.heal_minutes", u64::from(self.graph.heal_minutes), 0, 10_080),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(ConfigError(format!("{key} is {value}; it must lie between {least} and {most}")));
            }
        }
        for (index, secret) in self.webhook.secrets.iter().enumerate() {
            let secret = secret.expose();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if secret.is_empty() || !secret.bytes().all(is_plain) {
                return Err(ConfigError(format!(
                    "webhook.secrets[{index}] must consist of letters, digits and - . _ ~, because it stands in a URL"
                )));
            }
        }
        database_url::check(self.database.url.expose())?;
        apis::check(&self.sobot, &self.graph)?;
        if self.webhook.secrets.is_empty() && !self.http.listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "http.listen is {}, which others can reach, but webhook.secrets is empty; set a secret \
                 (SOBOT_HOOK__WEBHOOK__SECRETS), or listen on 127.0.0.1",
                self.http.listen
            )));
        }
        Ok(())
    }

    /// What is allowed but worth a second thought, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        /// Sixteen letters and digits are 95 bits: not to be guessed.
        const GOOD_SECRET_BYTES: usize = 16;
        let mut warnings = Vec::new();
        if self.webhook.secrets.is_empty() {
            warnings.push(format!(
                "no webhook.secrets: anyone on this machine may post to http://{}/webhook",
                self.http.listen
            ));
        }
        if self.webhook.secrets.iter().any(|secret| secret.expose().len() < GOOD_SECRET_BYTES) {
            warnings
                .push(format!("a webhook secret is shorter than {GOOD_SECRET_BYTES} characters: it can be guessed"));
        }
        if !self.admin.listen.ip().is_loopback() {
            warnings.push(format!("admin.listen is {}: keep the metrics off the public network", self.admin.listen));
        }
        warnings.extend(apis::warnings(&self.sobot, &self.graph));
        if self.http.request_timeout_ms < 3_500 {
            warnings.push(
                "http.request_timeout_ms is below 3500: a request may time out before the spool has it".to_owned(),
            );
        }
        if self.http.request_timeout_ms >= 5_000 {
            warnings.push("http.request_timeout_ms is 5000 or more: Meta gives up after 5000".to_owned());
        }
        warnings
    }
}
