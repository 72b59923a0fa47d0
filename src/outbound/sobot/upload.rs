//! `upload_async`: Facebook fetches a file; the webhook's callback tells later what it became, by the `track_id`.

use serde_json::json;

use super::answer::id;
use super::api::Sobot;
use super::check::web;
use super::content::MediaKind;
use super::error::SobotError;
use crate::ids::{PageId, TrackId};
use crate::json::Document;

/// What is to be uploaded.
#[derive(Debug, Clone)]
pub struct Upload {
    pub page_id: PageId,
    pub kind: MediaKind,
    /// Where Facebook fetches it.
    pub url: String,
}

impl Sobot {
    /// Asks for an upload, once (`POST upload_async`). A second one of the same file would be another upload.
    ///
    /// # Errors
    /// It is no http URL, or Sobot did not take it.
    pub async fn upload_async(&self, upload: &Upload) -> Result<TrackId, SobotError> {
        web("payload.url", &upload.url)?;
        let body = json!({
            "pageid": upload.page_id.as_str(),
            "type": upload.kind.as_str(),
            "payload": { "url": upload.url },
        });
        let answer = self.command(self.post("upload_async", &body)?).await?;
        let document = Document::parse(&answer).map_err(|_| SobotError::Unreadable("it is no JSON"))?;
        id(document.root(), &["item", "track_id"]).ok_or(SobotError::Unreadable("it has no item, the track_id"))
    }
}
