//! `uploads`: the callback's side, as the function `fold` takes it. The merge with the asker's side, and with an earlier
//! callback, is the trigger `merge_upload`, because the asker is other software that simply inserts.

use chrono::{DateTime, Utc};

use super::row::composite;
use crate::ids::TrackId;
use crate::state::Upload;

#[derive(sqlx::Encode)]
pub struct UploadRow<'e> {
    track_id: &'e str,
    attachment_id: &'e str,
    completed_at: DateTime<Utc>,
}

composite!(UploadRow, "upload_row");

impl<'e> UploadRow<'e> {
    pub fn new(track_id: &'e TrackId, row: &Upload<'e>) -> Self {
        Self { track_id: track_id.as_str(), attachment_id: row.attachment_id.as_str(), completed_at: row.completed_at }
    }
}
