//! All SQL. [`Session::commit`] writes a batch by one call of an installed function, in a statement that is a
//! transaction of its own; missing months are committed before it, and only events without a time take more (`earlier`).
//! Each table that batches write has a folder: its row, the SQL that writes it, and what else is asked of this table alone.
//!
//! Guarantees: what [`Session::commit`] has answered with `Ok` is committed and on disk (`synchronous_commit` is never off
//! in our sessions, whatever others have set); on any `Err` nothing of the batch counts as stored. Each
//! statement writes one table, its rows in one order, the tables in one fixed order: so two writers, or
//! two processes, wait for each other but cannot deadlock.

mod backfills;
mod clock_skew;
mod commit;
mod conversations;
mod earlier;
mod earlier_row;
mod erasure;
mod error;
mod function;
mod functions;
mod gaps;
mod journal;
mod messages;
mod misjudged;
mod outbox;
mod place;
mod pool;
mod pooler;
mod quarantine;
mod quarantine_limit;
mod row;
mod schema;
mod session;
mod shadow;
mod sobot_token;
mod state_rows;
mod state_table;
mod subscriptions;
mod tables;
mod tls;
mod two_clocks;
mod uploads;
mod views;
mod way;

pub use commit::{Batch, Committed, Fate};
pub use erasure::{Erased, Erasure, UnsentErasure};
pub use error::StoreError;
pub use gaps::Gap;
pub use journal::Witnesses;
pub use misjudged::{Misjudged, MisjudgedEvents};
pub use outbox::{Claimed, Entry, Lead, NewEntry, Queued, Status};
pub use pool::{CONNECT_TIMEOUT, Store};
pub use quarantine::{Quarantined, QuarantinedBody};
pub use schema::Schema;
pub use session::Session;
pub use shadow::{Difference, Rebuild, Scope};
pub use sobot_token::SharedToken;
pub use subscriptions::{SubscribedTopic, Subscriber};
pub use views::{Table, View};
