//! `subscriptions`: the merge of [`crate::state::Subscription`] in SQL.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::error::StoreError;
use crate::ids::{PageId, Topic, UserId};
use crate::messenger::SubscriptionFacts;
use crate::state::Subscription;

type Rows<'e> = BTreeMap<(&'e UserId, &'e PageId, &'e Topic), Subscription<'e>>;

pub async fn upsert(connection: &mut PgConnection, rows: &Rows<'_>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = |part: fn(&SubscriptionFacts) -> Option<&str>| {
        rows.values().map(|row| part(row.change.facts)).collect::<Vec<_>>()
    };
    let user_id: Vec<&str> = rows.keys().map(|(user, _, _)| user.as_str()).collect();
    let page_id: Vec<&str> = rows.keys().map(|(_, page, _)| page.as_str()).collect();
    let topic: Vec<&str> = rows.keys().map(|(_, _, topic)| topic.as_str()).collect();
    let sub_status: Vec<_> = rows.values().map(|row| i16::from(row.change.facts.is_subscribed)).collect();
    let token_expires_at: Vec<_> = rows.values().map(|row| row.change.facts.token_expires_at).collect();
    let changed_at: Vec<_> = rows.values().map(|row| row.change.changed_at).collect();
    let event_key: Vec<_> = rows.values().map(|row| row.change.key.0.as_slice()).collect();
    let timezone: Vec<_> = rows.values().map(|row| row.timezone.map(|(_, timezone)| timezone)).collect();
    let timezone_at: Vec<_> = rows.values().map(|row| row.timezone.map(|(at, _)| at)).collect();
    let first_subscribed_at: Vec<_> = rows.values().map(|row| row.first_subscribed_at).collect();
    sqlx::query!(
        r#"
        insert into subscriptions as subscription (
            user_id, page_id, topic, sub_status, token, token_expires_at, user_token_status, payload, frequency,
            changed_at, event_key, timezone, timezone_at, first_subscribed_at
        )
        select
            unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::smallint[]), unnest($5::text[]),
            unnest($6::timestamptz[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]),
            unnest($10::timestamptz[]), unnest($11::bytea[]), unnest($12::text[]), unnest($13::timestamptz[]),
            unnest($14::timestamptz[])
        on conflict (user_id, page_id, topic) do update
        set (
                sub_status, token, token_expires_at, user_token_status, payload, frequency, changed_at, event_key
            ) = (
                select
                    (latest.row).sub_status, (latest.row).token, (latest.row).token_expires_at,
                    (latest.row).user_token_status, (latest.row).payload, (latest.row).frequency,
                    (latest.row).changed_at, (latest.row).event_key
                from (
                    select case
                        when (excluded.changed_at, excluded.event_key) > (subscription.changed_at, subscription.event_key)
                        then excluded
                        else subscription
                    end as row
                ) as latest
            ),
            (timezone, timezone_at) = (
                select (latest.row).timezone, (latest.row).timezone_at
                from (
                    select case
                        when subscription.timezone_at is null
                            or (excluded.timezone_at, excluded.timezone collate "C")
                            > (subscription.timezone_at, subscription.timezone collate "C")
                        then excluded
                        else subscription
                    end as row
                ) as latest
            ),
            first_subscribed_at = least(subscription.first_subscribed_at, excluded.first_subscribed_at)
        "#,
        &user_id as _,
        &page_id as _,
        &topic as _,
        &sub_status,
        &text(|facts| facts.token.as_deref()) as _,
        &token_expires_at as _,
        &text(|facts| facts.user_token_status.as_deref()) as _,
        &text(|facts| facts.payload.as_deref()) as _,
        &text(|facts| facts.frequency.as_deref()) as _,
        &changed_at,
        &event_key as _,
        &timezone as _,
        &timezone_at as _,
        &first_subscribed_at as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
