//! `events`, the journal: every event once, as it came, one partition a month of `occurred_at`.

mod detached;
mod first_receipts;
mod months;
mod pages;
mod retention;
mod row;
mod told;

pub use first_receipts::{Earlier, FIRST_RECEIPT, FIRST_RECEIPTS, Settled, settle};
pub use months::{MAKE_MONTH, Months};
pub use retention::Witnesses;
pub use row::{EventRow, distinct};
pub use told::{RECALLED, from_folded, judge, recall};

/// Inserts rows or ignores them: the body of a function whose argument is `rows`. It returns the positions (from 1) of
/// those that the journal had already.
pub const INSERT: &str = include_str!("insert.sql");

/// Takes rows back that are to move to an earlier time: the body of a function whose argument is `rows`.
pub const TAKE_BACK: &str = include_str!("take_back.sql");
