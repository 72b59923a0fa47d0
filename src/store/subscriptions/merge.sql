-- The latest change wins whole, and so do the latest token, the latest terms and the latest time zone. The terms tell when
-- the token ends only if they are those of this very token.
on conflict (user_id, page_id, topic) do update
set (
        sub_status, payload, changed_at, event_key,
        token, token_at,
        token_expires_at,
        user_token_status, frequency, terms_at, terms_key, terms_token, terms_expire_at,
        timezone, timezone_at
    ) = (
        select
            (change).sub_status, (change).payload, (change).changed_at, (change).event_key,
            (token).token, (token).token_at,
            case when (terms).terms_token = (token).token then (terms).terms_expire_at end,
            (terms).user_token_status, (terms).frequency,
            (terms).terms_at, (terms).terms_key, (terms).terms_token, (terms).terms_expire_at,
            (zone).timezone, (zone).timezone_at
        from (
            select
                case
                    when (excluded.changed_at, excluded.event_key) > (held.changed_at, held.event_key)
                    then excluded
                    else held
                end as change,
                case
                    when held.token_at is null
                        or (excluded.token_at, excluded.token collate "C") > (held.token_at, held.token collate "C")
                    then excluded
                    else held
                end as token,
                case
                    when held.terms_at is null
                        or (excluded.terms_at, excluded.terms_key) > (held.terms_at, held.terms_key)
                    then excluded
                    else held
                end as terms,
                case
                    when held.timezone_at is null
                        or (excluded.timezone_at, excluded.timezone collate "C")
                        > (held.timezone_at, held.timezone collate "C")
                    then excluded
                    else held
                end as zone
        ) as latest
    ),
    first_subscribed_at = least(held.first_subscribed_at, excluded.first_subscribed_at)
