//! What every door stands on: the listener with its connections, the answers where there is no door or a handler
//! panics, and the shape of a failure.

mod connections;
mod error;
mod listener;
mod routes;

pub use error::{ServerError, failure};
pub use listener::{Limits, Peer, serve};
pub use routes::{guarded, observed};
