//! `conversations`: the merge of [`crate::state::Conversation`] in SQL.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::error::StoreError;
use crate::ids::{PageId, UserId};
use crate::state::Conversation;

type Rows<'e> = BTreeMap<(&'e UserId, &'e PageId), Conversation>;

pub async fn upsert(connection: &mut PgConnection, rows: &Rows<'_>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let user_id: Vec<&str> = rows.keys().map(|(user, _)| user.as_str()).collect();
    let page_id: Vec<&str> = rows.keys().map(|(_, page)| page.as_str()).collect();
    let first_seen_at: Vec<_> = rows.values().map(|row| row.first_seen_at).collect();
    let last_seen_at: Vec<_> = rows.values().map(|row| row.last_seen_at).collect();
    let last_inbound_at: Vec<_> = rows.values().map(|row| row.last_inbound_at).collect();
    let delivered_watermark: Vec<_> = rows.values().map(|row| row.delivered_watermark).collect();
    let read_watermark: Vec<_> = rows.values().map(|row| row.read_watermark).collect();
    // least and greatest pass over nulls.
    sqlx::query!(
        r#"
        insert into conversations as conversation (
            user_id, page_id, first_seen_at, last_seen_at, last_inbound_at, delivered_watermark, read_watermark
        )
        select
            unnest($1::text[]), unnest($2::text[]), unnest($3::timestamptz[]), unnest($4::timestamptz[]),
            unnest($5::timestamptz[]), unnest($6::timestamptz[]), unnest($7::timestamptz[])
        on conflict (user_id, page_id) do update
        set first_seen_at = least(conversation.first_seen_at, excluded.first_seen_at),
            last_seen_at = greatest(conversation.last_seen_at, excluded.last_seen_at),
            last_inbound_at = greatest(conversation.last_inbound_at, excluded.last_inbound_at),
            delivered_watermark = greatest(conversation.delivered_watermark, excluded.delivered_watermark),
            read_watermark = greatest(conversation.read_watermark, excluded.read_watermark)
        "#,
        &user_id as _,
        &page_id as _,
        &first_seen_at,
        &last_seen_at,
        &last_inbound_at as _,
        &delivered_watermark as _,
        &read_watermark as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
