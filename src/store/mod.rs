//! All SQL but the functions `store` and `fold`, which stand in `migrations`. [`Store::commit`] writes a batch by one call
//! of `store`, which is a transaction of its own; a file a table has its rows.
//!
//! Guarantees: what [`Store::commit`] has answered with `Ok` is committed (and on disk, as PostgreSQL's
//! `synchronous_commit` is never turned off); on any `Err` nothing of the batch counts as stored. Each
//! statement writes one table, its rows sorted by key, the tables in one fixed order: so two writers, or
//! two processes, wait for each other but cannot deadlock.

mod commit;
mod conversations;
mod error;
mod events;
mod first_receipts;
mod fold;
mod messages;
mod months;
mod pool;
mod quarantine;
mod rebuild;
mod retention;
mod row;
mod schema;
mod subscriptions;
mod uploads;
mod views;

pub use commit::{Batch, Committed};
pub use error::StoreError;
pub use pool::{CONNECT_TIMEOUT, Store};
pub use quarantine::{Kept, Quarantined};
pub use rebuild::{Difference, Rebuild, Scope};
pub use schema::MigrationError;
pub use views::{Table, View};
