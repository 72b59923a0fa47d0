-- The latest change wins whole, and so does the latest time zone.
on conflict (user_id, page_id, topic) do update
set (sub_status, token, token_expires_at, user_token_status, payload, frequency, changed_at, event_key) = (
        select
            (latest.row).sub_status, (latest.row).token, (latest.row).token_expires_at,
            (latest.row).user_token_status, (latest.row).payload, (latest.row).frequency,
            (latest.row).changed_at, (latest.row).event_key
        from (
            select case
                when (excluded.changed_at, excluded.event_key) > (held.changed_at, held.event_key)
                then excluded
                else held
            end as row
        ) as latest
    ),
    (timezone, timezone_at) = (
        select (latest.row).timezone, (latest.row).timezone_at
        from (
            select case
                when held.timezone_at is null
                    or (excluded.timezone_at, excluded.timezone collate "C")
                    > (held.timezone_at, held.timezone collate "C")
                then excluded
                else held
            end as row
        ) as latest
    ),
    first_subscribed_at = least(held.first_subscribed_at, excluded.first_subscribed_at)
