declare
    inserted_at   timestamptz[];
    inserted_key  bytea[];
    inserted_user text[];
begin
    with inserted_event as (
        insert into events (
            occurred_at, event_key, user_id, page_id, object, container, kind,
            event_type, received_at, note, body, raw, envelope, entry_time, clock_skew
        )
        select
            occurred_at, event_key, user_id, page_id, object, container, kind,
            event_type, received_at, note, body::jsonb, raw, envelope, entry_time, clock_skew
        from unnest(rows)
        on conflict do nothing
        returning occurred_at, event_key, user_id
    )
    select
        coalesce(array_agg(occurred_at), '{}'), coalesce(array_agg(event_key), '{}'), coalesce(array_agg(user_id), '{}')
    from inserted_event
    into inserted_at, inserted_key, inserted_user;

    if cardinality(inserted_key) = cardinality(rows) then
        return '{}';
    end if;
    return (
        select coalesce(array_agg(event.position), '{}')
        from (
            select occurred_at, event_key, user_id, ordinality as position from unnest(rows) with ordinality
        ) as event
        where (occurred_at, event_key, user_id) not in (
            select * from unnest(inserted_at, inserted_key, inserted_user)
        )
    );
end
