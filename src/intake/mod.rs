//! From requests to committed rows: many requests share one transaction, and each of them learns when its own
//! events are safe.
//!
//! Guarantees: [`Intake::submit`] answers `Ok` only after everything in the request is committed in PostgreSQL,
//! or its body is on disk in the spool; a caller that goes away does not stop its write; after
//! [`Intake::close`] what was queued is still written. Limits: [`QUEUE_REQUESTS`] requests and [`QUEUE_BYTES`]
//! bytes wait at most, a transaction takes [`BATCH_EVENTS`] events.
//!
//! A writer takes whatever waits, commits, and takes the next. A lone request waits for nobody and pays one
//! commit; in a flood the requests that arrive during one commit share the next one. Only while one writer is
//! under way does the other one linger: it gathers as much as that before it starts, for 50 ms at most.
//!
//! When PostgreSQL fails or is slow, the batch goes to the spool, and so does everything after it until the
//! drain has seen PostgreSQL back: no request waits for a server that is known to be away.

mod circuit;
mod drain;
mod job;
mod queue;
mod specimen;
mod storing;
mod writer;

pub use circuit::{Circuit, DatabaseState};
pub use job::{Parsed, Refusal, Room, Submission};
pub use queue::{Intake, QUEUE_BYTES, QUEUE_REQUESTS};
pub use storing::BATCH_EVENTS;
