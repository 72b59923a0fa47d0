//! `uploads`: the callback's side. The merge with the asker's side, and with an earlier callback, is the
//! trigger `merge_upload`, because the asker is other software that simply inserts.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::error::StoreError;
use crate::ids::TrackId;
use crate::state::Upload;

pub async fn upsert(connection: &mut PgConnection, rows: &BTreeMap<&TrackId, Upload<'_>>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let track_id: Vec<&str> = rows.keys().map(|track_id| track_id.as_str()).collect();
    let attachment_id: Vec<&str> = rows.values().map(|row| row.attachment_id.as_str()).collect();
    let completed_at: Vec<_> = rows.values().map(|row| row.completed_at).collect();
    sqlx::query!(
        r#"
        insert into uploads (track_id, attachment_id, completed_at, requested_at)
        select track_id, attachment_id, completed_at, null
        from unnest($1::text[], $2::text[], $3::timestamptz[]) as upload (track_id, attachment_id, completed_at)
        "#,
        &track_id as _,
        &attachment_id as _,
        &completed_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
