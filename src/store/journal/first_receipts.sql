-- Setting the row to itself makes it part of what is returned.
begin
    return query
    insert into first_receipts as first (user_id, event_key, occurred_at)
    select user_id, event_key, occurred_at
    from unnest(rows)
    on conflict (user_id, event_key) do update
    set occurred_at = first.occurred_at
    returning first.*;
end
