//! `events`, the journal: every event once, as it came, one partition a month of `occurred_at`.

mod detached;
mod first_receipts;
mod months;
mod pages;
mod retention;
mod row;

pub use first_receipts::{FIRST_RECEIPT, FIRST_RECEIPTS, settle};
pub use months::{MAKE_MONTH, Months};
pub use retention::Witnesses;
pub use row::{EventRow, distinct};

/// Inserts rows or ignores them: the body of a function whose argument is `rows`. It returns the positions (from 1) of
/// those that the journal had already.
pub const INSERT: &str = include_str!("insert.sql");
