//! `quarantine`: bodies that could not become events, whole, with the reason.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::error::StoreError;

/// One body for the quarantine.
#[derive(Debug, Clone, Copy)]
pub struct Quarantined<'a> {
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Why it is here, in words that quote nothing of it.
    pub reason: &'a str,
    /// All of it.
    pub raw: &'a [u8],
}

pub async fn insert(connection: &mut PgConnection, rows: &[Quarantined<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let received_at: Vec<_> = rows.iter().map(|row| row.received_at).collect();
    let reason: Vec<_> = rows.iter().map(|row| row.reason).collect();
    let raw: Vec<_> = rows.iter().map(|row| row.raw).collect();
    sqlx::query!(
        r#"
        insert into quarantine (received_at, reason, raw)
        select * from unnest($1::timestamptz[], $2::text[], $3::bytea[])
        "#,
        &received_at,
        &reason as _,
        &raw as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
