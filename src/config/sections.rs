//! The sections of `config.toml`, which describes their keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::networks;
use super::secret::Secret;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    pub body_limit_bytes: usize,
    pub(super) request_timeout_ms: u64,
    pub max_connections: usize,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub listen: SocketAddr,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Each may stand in the URL. Empty: the URL has none.
    pub secrets: Vec<Secret>,
    /// Empty: every handshake is refused.
    pub verify_token: Secret,
    /// Empty: no signature is asked for.
    pub app_secret: Secret,
    /// Empty: everyone.
    #[serde(deserialize_with = "networks::deserialize")]
    pub allow_from: Vec<IpNet>,
    #[serde(deserialize_with = "networks::deserialize")]
    pub trusted_proxies: Vec<IpNet>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Empty: the private server.
    pub url: Secret,
    pub max_connections: u32,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    pub data_dir: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    pub max_bytes: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sobot {
    /// Without a slash at its end, or with one.
    pub base_url: String,
    /// Empty: Sobot's API is not used.
    pub appid: String,
    pub app_key: Secret,
    pub sends_per_second: u32,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Without a slash at its end, or with one.
    pub base_url: String,
    /// `v26.0`
    pub version: String,
    /// By page id.
    pub page_tokens: BTreeMap<String, Secret>,
    /// 0 is never.
    pub heal_minutes: u32,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// 0 keeps all.
    pub events_months: u32,
    /// 0 keeps all.
    pub quarantine_days: u32,
    pub quarantine_max_bytes: u64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Http {
    /// The time that a request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
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
