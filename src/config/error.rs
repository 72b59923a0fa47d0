//! What the configuration can be refused for.

/// What is wrong with the configuration, in one line that says what to do. It quotes no value that may be
/// a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);
