//! An upload: asked for, and what it becomes. The callback comes to the webhook of a service, which may be another process.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::ids::TrackId;
use crate::outbound::sobot::{Sobot, SobotError, Upload};
use crate::store::{Store, StoreError};

/// How often the callback is looked for.
const PAUSE: Duration = Duration::from_millis(200);

/// Why nobody waits for an upload.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Sobot(#[from] SobotError),
    #[error("Sobot has taken the upload as {track_id}, but that it was asked for could not be written: {problem}")]
    Store { track_id: String, problem: StoreError },
}

/// Asks Sobot for an upload, once, and writes who asked. The callback may be there before.
///
/// # Errors
/// Sobot did not take it, or nobody knows whether it did; PostgreSQL is away.
pub async fn request(store: &Store, sobot: &Sobot, upload: &Upload) -> Result<TrackId, UploadError> {
    let track_id = sobot.upload_async(upload).await?;
    let written =
        store.request_upload(track_id.as_str(), upload.page_id.as_str(), upload.kind.as_str(), &upload.url).await;
    written.map_err(|problem| UploadError::Store { track_id: track_id.as_str().to_owned(), problem })?;
    Ok(track_id)
}

/// Waits for the `attachment_id`, at most so long.
///
/// # Errors
/// PostgreSQL is away.
pub async fn attachment(store: &Store, track_id: &TrackId, patience: Duration) -> Result<Option<String>, StoreError> {
    let begun = Instant::now();
    loop {
        let attachment_id = store.attachment_of(track_id).await?;
        let left = patience.saturating_sub(begun.elapsed());
        if attachment_id.is_some() || left.is_zero() {
            return Ok(attachment_id);
        }
        sleep(PAUSE.min(left)).await;
    }
}
