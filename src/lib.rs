//! The receiving end of Sobot's Facebook Messenger integration: every event kept, sorted and ready for SQL.
//!
//! The way of an event, which is also the order to read the modules in:
//!
//! 1. [`http`] takes a POST, checks who sends it, and reads its body;
//! 2. a [`dialect`] takes the body apart into [`event`]s, by way of [`json`] (all three pure);
//! 3. [`intake`] gathers the events of many requests into one batch;
//! 4. [`store`] writes the batch in one transaction: the journal, then the [`state`] that it adds up to;
//! 5. the callers of the batch are answered, after the commit.
//!
//! While PostgreSQL is away, [`spool`] takes the bodies instead, and the drain of [`intake`] brings them in later.
//!
//! What the service asks of Sobot and of Meta goes through [`outbound`].
//!
//! Beside it: [`jobs`] compute state from the journal, try the quarantine again, make and drop months. Around it: [`config`],
//! [`data_dir`] and [`private_server`] before, [`telemetry`] throughout, [`app`] to build it all and take it down, [`cli`]
//! and [`demo`] for people.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod database;
pub mod demo;
pub mod dialect;
pub mod event;
pub mod http;
pub mod ids;
pub mod intake;
pub mod jobs;
pub mod json;
pub mod outbound;
pub mod private_server;
pub mod spool;
pub mod state;
pub mod store;
pub mod telemetry;
