//! What the store knows of every table of the state.

use super::row::RowType;

/// A table of the state.
pub struct StateTable {
    pub name: &'static str,
    /// Its primary key.
    pub key: &'static [&'static str],
    /// What names a row to people.
    pub shown: &'static [&'static str],
    /// The columns that the journal decides; empty for all.
    pub decided: &'static [&'static str],
    /// Columns whose values no report shows.
    pub private: &'static [&'static str],
    pub row: RowType,
    /// How a new row, `excluded`, is merged into the one that is there, `held`: what follows `insert … select …`.
    pub on_conflict: &'static str,
    /// For each of `rows`, what rests on the time `stored_at` is put back to `received_at`; none where the latest word does
    /// not count.
    pub put_back: Option<&'static str>,
}
