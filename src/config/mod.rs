//! The configuration: `config.toml` in the repository is the defaults, a file and the environment change
//! them, and nothing that they say is overlooked.

mod error;
mod layers;
mod sources;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use error::ConfigError;
use layers::Layers;
pub use layers::masked;

/// Everything that can be set. The keys are described in `config.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The public listener.
    pub http: Http,
    /// The operator's listener.
    pub admin: Admin,
    /// Who may post.
    pub webhook: Webhook,
    /// PostgreSQL.
    pub database: Database,
    /// The disk.
    pub storage: Storage,
    /// What is kept while PostgreSQL is away.
    pub spool: Spool,
    /// How long the journal is kept.
    pub retention: Retention,
    /// Logging.
    pub log: Log,
}

/// `[http]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// The longest body.
    pub body_limit_bytes: usize,
    request_timeout_ms: u64,
    /// Connections at once.
    pub max_connections: usize,
}

/// `[admin]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Address and port.
    pub listen: SocketAddr,
}

/// `[webhook]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Each may stand in the URL.
    pub secrets: Vec<SecretString>,
    /// For Meta's handshake.
    pub verify_token: SecretString,
    /// For Meta's signature.
    pub app_secret: SecretString,
    /// Who may post; empty for everyone.
    #[serde(deserialize_with = "sources::networks")]
    pub allow_from: Vec<IpNet>,
    /// Whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "sources::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

/// `[database]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    url: SecretString,
    /// Connections at once.
    pub max_connections: u32,
}

/// `[storage]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The directory.
    pub data_dir: PathBuf,
}

/// `[spool]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// How much may wait.
    pub max_bytes: u64,
}

/// `[retention]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Months of the journal; 0 for all.
    pub events_months: u32,
}

/// `[log]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For whom.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// Who reads the log.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// People.
    Text,
    /// Machines.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happened.
    Info,
    /// Each request.
    Debug,
    /// Each step.
    Trace,
}

impl Config {
    /// Reads the defaults, then the file, then the environment.
    ///
    /// # Errors
    /// An unreadable file, an unknown key (the nearest known one is named), a value out of range, or a
    /// combination that would be unsafe.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let layers = Layers::load(file, environment)?.into_table();
        // The full text of a wrong value's error names the key, in a second line.
        let config: Self =
            layers.try_into().map_err(|error| ConfigError(error.to_string().trim_end().replace('\n', " ")))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let ranges = [
            ("http.body_limit_bytes", self.http.body_limit_bytes as u64, 1_024, 64 << 20),
            ("http.request_timeout_ms", self.http.request_timeout_ms, 100, 600_000),
            ("http.max_connections", self.http.max_connections as u64, 1, 1_000_000),
            ("database.max_connections", u64::from(self.database.max_connections), 6, 1_000),
            // A body that is allowed must fit.
            ("spool.max_bytes", self.spool.max_bytes, 2 * self.http.body_limit_bytes as u64, 1 << 40),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(ConfigError(format!("{key} is {value}; it must lie between {least} and {most}")));
            }
        }
        for (index, secret) in self.webhook.secrets.iter().enumerate() {
            let secret = secret.expose_secret();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if secret.is_empty() || !secret.bytes().all(is_plain) {
                return Err(ConfigError(format!(
                    "webhook.secrets[{index}] must consist of letters, digits and - . _ ~, because it stands in a URL"
                )));
            }
        }
        if self.database.url().is_some_and(|url| !url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
            let problem = "database.url (or DATABASE_URL) must look like postgres://user:password@host/database";
            return Err(ConfigError(problem.to_owned()));
        }
        if self.webhook.secrets.is_empty() && !self.http.listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "http.listen is {}, which others can reach, but webhook.secrets is empty; set a secret \
                 (SOBOT_HOOK__WEBHOOK__SECRETS), or listen on 127.0.0.1",
                self.http.listen
            )));
        }
        Ok(())
    }

    /// The secret in a demo's URL, which only this machine can reach.
    pub const DEMO_SECRET: &str = "demo-secret-0123456789";

    /// The same with what a demo needs: a database and a secret of its own, loopback, and little log.
    #[must_use]
    pub fn for_demo(mut self) -> Self {
        self.http.listen.set_ip(Ipv4Addr::LOCALHOST.into());
        self.webhook.secrets = vec![Self::DEMO_SECRET.into()];
        self.webhook.app_secret = SecretString::default();
        self.webhook.allow_from.clear();
        self.database.url = SecretString::default();
        self.storage.data_dir.push("demo");
        self.log.level = LogLevel::Error;
        self
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
        if self.webhook.secrets.iter().any(|secret| secret.expose_secret().len() < GOOD_SECRET_BYTES) {
            warnings
                .push(format!("a webhook secret is shorter than {GOOD_SECRET_BYTES} characters: it can be guessed"));
        }
        if !self.admin.listen.ip().is_loopback() {
            warnings.push(format!("admin.listen is {}: keep the metrics off the public network", self.admin.listen));
        }
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

impl Http {
    /// The time that a request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl Database {
    /// The URL; none for the private server.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        Some(self.url.expose_secret()).filter(|url| !url.is_empty())
    }
}

impl LogLevel {
    /// The name that `tracing` knows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
