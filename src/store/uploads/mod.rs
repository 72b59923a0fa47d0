//! `uploads`: who asked for an upload, and which attachment it became.
//!
//! The callback's side comes by the journal. The asker's side is written by whoever asked, with a plain insert; so the
//! merge of the two, and with an earlier callback, is a trigger of the table itself (`merge_upload` in `migrations`).

use chrono::{DateTime, Utc};

use crate::ids::TrackId;
use crate::state::Upload;
use crate::store::error::StoreError;
use crate::store::pool::Store;
use crate::store::row::{RowType, row};
use crate::store::state_table::StateTable;

pub const TABLE: StateTable = StateTable {
    name: "uploads",
    key: &["track_id"],
    shown: &["track_id"],
    // Whoever asked for an upload wrote the rest.
    decided: &["attachment_id", "completed_at"],
    private: &["url"],
    row: RowType::of::<UploadRow<'_>>(),
    // The trigger merges.
    on_conflict: "",
    // The earliest callback counts.
    put_back: None,
};

row! {
    pub struct UploadRow<'e> as "upload_row" {
        track_id: &'e str,
        attachment_id: &'e str,
        completed_at: DateTime<Utc>,
        /// The asker's, and now by default: nobody has asked here.
        requested_at: Option<DateTime<Utc>>,
    }
}

impl<'e> UploadRow<'e> {
    pub fn new(track_id: &'e TrackId, row: &Upload<'e>) -> Self {
        let (track_id, attachment_id) = (track_id.as_str(), row.attachment_id.as_str());
        Self { track_id, attachment_id, completed_at: row.completed_at, requested_at: None }
    }
}

impl Store {
    /// Says what other software says after it has asked Sobot for an upload.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn request_upload(&self, track_id: &str, page_id: &str, kind: &str, url: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into uploads (track_id, page_id, type, url) values ($1, $2, $3, $4)",
            track_id,
            page_id,
            kind,
            url
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What an upload has become (`attachment_id`); none before its callback.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn attachment_of(&self, track_id: &TrackId) -> Result<Option<String>, StoreError> {
        let attachment_id =
            sqlx::query_scalar!("select attachment_id from upload_status where track_id = $1", track_id.as_str());
        Ok(attachment_id.fetch_optional(&self.pool).await?.flatten())
    }
}
