//! What the service tells of itself: logs and metrics, neither with secrets, tokens or texts.

mod descriptions;
pub mod log;
pub mod metrics;
pub mod repeated;
