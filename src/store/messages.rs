//! `messages`: the merge of [`crate::state::Message`] in SQL.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::error::StoreError;
use crate::ids::{Mid, PageId, UserId};
use crate::state::Message;

type Rows<'e> = BTreeMap<(&'e UserId, &'e PageId, &'e Mid), Message<'e>>;

pub async fn upsert<'e>(connection: &mut PgConnection, rows: &Rows<'e>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = |part: fn(&Message<'e>) -> Option<&'e str>| rows.values().map(part).collect::<Vec<_>>();
    let time = |part: fn(&Message<'e>) -> Option<DateTime<Utc>>| rows.values().map(part).collect::<Vec<_>>();
    let user_id: Vec<&str> = rows.keys().map(|(user, _, _)| user.as_str()).collect();
    let page_id: Vec<&str> = rows.keys().map(|(_, page, _)| page.as_str()).collect();
    let mid: Vec<&str> = rows.keys().map(|(_, _, mid)| mid.as_str()).collect();
    let source: Vec<i16> = rows.values().map(|row| row.content.source as i16).collect();
    let content_key: Vec<_> = rows.values().map(|row| row.content.key.as_ref().map(|key| key.0.as_slice())).collect();
    let num_edit: Vec<_> = rows.values().map(|row| row.edit.map(|edit| edit.num_edit)).collect();
    sqlx::query!(
        r#"
        insert into messages as message (
            user_id, page_id, mid, direction, sent_at, text, attachment_types, source, content_key,
            num_edit, edited_at, edited_text, deleted_at, delivered_at, read_at, sent_no_later_than
        )
        select
            unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::timestamptz[]),
            unnest($6::text[]), unnest($7::text[]), unnest($8::smallint[]), unnest($9::bytea[]), unnest($10::bigint[]),
            unnest($11::timestamptz[]), unnest($12::text[]), unnest($13::timestamptz[]), unnest($14::timestamptz[]),
            unnest($15::timestamptz[]), unnest($16::timestamptz[])
        on conflict (user_id, page_id, mid) do update
        set (direction, sent_at, text, attachment_types, source, content_key) = (
                select (best.row).direction, (best.row).sent_at, (best.row).text, (best.row).attachment_types, (best.row).source, (best.row).content_key
                from (
                    select case
                        when (excluded.source, coalesce(excluded.sent_at, 'infinity'), coalesce(excluded.content_key, ''), excluded.direction)
                            < (message.source, coalesce(message.sent_at, 'infinity'), coalesce(message.content_key, ''), message.direction)
                        then excluded
                        else message
                    end as row
                ) as best
            ),
            (num_edit, edited_at, edited_text) = (
                select (best.row).num_edit, (best.row).edited_at, (best.row).edited_text
                from (
                    select case
                        when message.num_edit is null
                            or (excluded.num_edit, excluded.edited_at, excluded.edited_text collate "C")
                            > (message.num_edit, message.edited_at, message.edited_text collate "C")
                        then excluded
                        else message
                    end as row
                ) as best
            ),
            deleted_at = least(message.deleted_at, excluded.deleted_at),
            delivered_at = least(message.delivered_at, excluded.delivered_at),
            read_at = least(message.read_at, excluded.read_at),
            sent_no_later_than = least(message.sent_no_later_than, excluded.sent_no_later_than)
        "#,
        &user_id as _,
        &page_id as _,
        &mid as _,
        &text(|row| Some(row.content.direction.as_str())) as _,
        &time(|row| row.content.sent_at) as _,
        &text(|row| row.content.text) as _,
        &text(|row| row.content.attachment_types) as _,
        &source,
        &content_key as _,
        &num_edit as _,
        &time(|row| row.edit.map(|edit| edit.edited_at)) as _,
        &text(|row| row.edit.map(|edit| edit.text)) as _,
        &time(|row| row.deleted_at) as _,
        &time(|row| row.delivered_at) as _,
        &time(|row| row.read_at) as _,
        &time(|row| row.sent_no_later_than) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
