//! Reading the views as text, for people to look at.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::error::StoreError;
use super::pool::Store;

/// A stable view that an analyst starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `message_status`
    MessageStatus,
    /// `subscribers`
    Subscribers,
    /// `upload_status`
    UploadStatus,
    /// `messaging_window`
    MessagingWindow,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::MessageStatus, Self::Subscribers, Self::UploadStatus, Self::MessagingWindow];

    /// The name in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageStatus => "message_status",
            Self::Subscribers => "subscribers",
            Self::UploadStatus => "upload_status",
            Self::MessagingWindow => "messaging_window",
        }
    }
}

/// What a view shows, as text.
#[derive(Debug, Default)]
pub struct Table {
    /// The columns' names.
    pub columns: Vec<String>,
    /// One text a column; empty for null.
    pub rows: Vec<Vec<String>>,
}

impl Store {
    /// Reads the rows of a view in which some id begins with `prefix`.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn view(&self, view: View, prefix: &str) -> Result<Table, StoreError> {
        // Keys and values come in the view's own order of columns.
        let statement = format!(
            "select number, key, coalesce(value, '') from (
                select row_number() over (order by seen::text) as number, row_to_json(seen) as row from {} as seen
             ) as seen, json_each_text(row)
             where row::text like '%\"' || $1 || '%'",
            view.as_str()
        );
        let cells: Vec<(i64, String, String)> =
            sqlx::query_as(AssertSqlSafe(statement)).bind(prefix).fetch_all(&self.pool).await?;
        let mut table = Table::default();
        let mut rows: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (number, column, value) in cells {
            if !table.columns.contains(&column) {
                table.columns.push(column);
            }
            rows.entry(number).or_default().push(value);
        }
        table.rows = rows.into_values().collect();
        Ok(table)
    }
}
