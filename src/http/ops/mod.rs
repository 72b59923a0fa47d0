//! What operators and their machines ask: on the public listener whether the service is well, on the private one how
//! it fares.

mod health;
mod metrics;

pub use health::{HealthState, router as health};
pub use metrics::router as metrics;
