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
    /// Merges an array of rows, named `rows`, into the table: one statement, which a function wraps.
    pub merge: &'static str,
    /// For each of `rows`, what rests on the time `stored_at` is put back to `received_at`; none where the latest word does
    /// not count.
    pub put_back: Option<&'static str>,
}

impl StateTable {
    /// What its merge is called, before it has a hash.
    pub fn merge_name(&self) -> String {
        format!("merge_{}", self.name)
    }
}
