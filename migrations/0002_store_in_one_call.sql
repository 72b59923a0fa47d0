-- A batch is stored by one call: each statement that a client sends costs both sides a round trip, which for a
-- small batch is more than the work itself. The merges stand in `fold`, which a rebuild calls too; `store` journals,
-- folds and quarantines. Each statement writes one table.
--
-- A running service of an older version goes on calling what it knows: a changed row or function gets a new name.

create index on quarantine (received_at);

create type event_row as (
    occurred_at timestamptz,
    event_key   bytea,
    user_id     text,
    page_id     text,
    object      text,
    container   text,
    kind        text,
    event_type  text,
    received_at timestamptz,
    note        text,
    body        text,
    raw         bytea,
    envelope    text,
    entry_time  timestamptz
);

create type message_row as (
    user_id            text,
    page_id            text,
    mid                text,
    direction          text,
    sent_at            timestamptz,
    text               text,
    attachment_types   text,
    source             smallint,
    content_key        bytea,
    num_edit           bigint,
    edited_at          timestamptz,
    edited_text        text,
    deleted_at         timestamptz,
    delivered_at       timestamptz,
    read_at            timestamptz,
    sent_no_later_than timestamptz
);

create type conversation_row as (
    user_id             text,
    page_id             text,
    first_seen_at       timestamptz,
    last_seen_at        timestamptz,
    last_inbound_at     timestamptz,
    delivered_watermark timestamptz,
    read_watermark      timestamptz
);

create type subscription_row as (
    user_id             text,
    page_id             text,
    topic               text,
    sub_status          smallint,
    token               text,
    token_expires_at    timestamptz,
    user_token_status   text,
    payload             text,
    frequency           text,
    changed_at          timestamptz,
    event_key           bytea,
    timezone            text,
    timezone_at         timestamptz,
    first_subscribed_at timestamptz
);

create type upload_row as (
    track_id      text,
    attachment_id text,
    completed_at  timestamptz
);

create type quarantine_row as (
    received_at timestamptz,
    reason      text,
    raw         bytea
);

-- Merges rows into the state. Each array is sorted by its table's key and holds each key once, so that no two
-- transactions wait for each other in a circle.
create function fold(
    new_messages      message_row[],
    new_conversations conversation_row[],
    new_subscriptions subscription_row[],
    new_uploads       upload_row[]
) returns void language plpgsql as $$
begin
    if cardinality(new_messages) > 0 then
        insert into messages as message (
            user_id, page_id, mid, direction, sent_at, text, attachment_types, source, content_key,
            num_edit, edited_at, edited_text, deleted_at, delivered_at, read_at, sent_no_later_than
        )
        select * from unnest(new_messages)
        on conflict (user_id, page_id, mid) do update
        -- Content and edit win whole.
        set (direction, sent_at, text, attachment_types, source, content_key) = (
                select
                    (best.row).direction, (best.row).sent_at, (best.row).text, (best.row).attachment_types,
                    (best.row).source, (best.row).content_key
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
            sent_no_later_than = least(message.sent_no_later_than, excluded.sent_no_later_than);
    end if;

    if cardinality(new_conversations) > 0 then
        -- least and greatest pass over nulls.
        insert into conversations as conversation (
            user_id, page_id, first_seen_at, last_seen_at, last_inbound_at, delivered_watermark, read_watermark
        )
        select * from unnest(new_conversations)
        on conflict (user_id, page_id) do update
        set first_seen_at = least(conversation.first_seen_at, excluded.first_seen_at),
            last_seen_at = greatest(conversation.last_seen_at, excluded.last_seen_at),
            last_inbound_at = greatest(conversation.last_inbound_at, excluded.last_inbound_at),
            delivered_watermark = greatest(conversation.delivered_watermark, excluded.delivered_watermark),
            read_watermark = greatest(conversation.read_watermark, excluded.read_watermark);
    end if;

    if cardinality(new_subscriptions) > 0 then
        insert into subscriptions as subscription (
            user_id, page_id, topic, sub_status, token, token_expires_at, user_token_status, payload, frequency,
            changed_at, event_key, timezone, timezone_at, first_subscribed_at
        )
        select * from unnest(new_subscriptions)
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
            first_subscribed_at = least(subscription.first_subscribed_at, excluded.first_subscribed_at);
    end if;

    if cardinality(new_uploads) > 0 then
        -- The merge is the trigger merge_upload.
        insert into uploads (track_id, attachment_id, completed_at, requested_at)
        select track_id, attachment_id, completed_at, null from unnest(new_uploads);
    end if;
end
$$;

comment on function fold is 'Internal: merges what a batch tells into the state tables.';

-- Journals events, folds what they tell into the state, and puts bodies into quarantine. Returns the positions (from 1)
-- of the events that the journal had already.
--
-- What only repeated events tell is merged once more when new events stand beside them: it changes nothing, since
-- every merge is idempotent, and asking for each row whether it is new would cost every batch.
create function store(
    new_events        event_row[],
    new_messages      message_row[],
    new_conversations conversation_row[],
    new_subscriptions subscription_row[],
    new_uploads       upload_row[],
    new_quarantine    quarantine_row[]
) returns bigint[] language plpgsql as $$
declare
    inserted_at   timestamptz[];
    inserted_key  bytea[];
    inserted_user text[];
begin
    with inserted_event as (
        insert into events (
            occurred_at, event_key, user_id, page_id, object, container, kind,
            event_type, received_at, note, body, raw, envelope, entry_time
        )
        select
            occurred_at, event_key, user_id, page_id, object, container, kind,
            event_type, received_at, note, body::jsonb, raw, envelope, entry_time
        from unnest(new_events)
        on conflict do nothing
        returning occurred_at, event_key, user_id
    )
    select
        coalesce(array_agg(occurred_at), '{}'), coalesce(array_agg(event_key), '{}'), coalesce(array_agg(user_id), '{}')
    from inserted_event
    into inserted_at, inserted_key, inserted_user;

    if cardinality(inserted_key) > 0 then
        perform fold(new_messages, new_conversations, new_subscriptions, new_uploads);
    end if;

    if cardinality(new_quarantine) > 0 then
        -- A body whose commit was not heard of comes again.
        insert into quarantine (received_at, reason, raw)
        select row.received_at, row.reason, row.raw
        from unnest(new_quarantine) as row
        where not exists (
            select from quarantine as kept where kept.received_at = row.received_at and kept.raw = row.raw
        );
    end if;

    if cardinality(inserted_key) = cardinality(new_events) then
        return '{}';
    end if;
    return (
        select coalesce(array_agg(event.position), '{}')
        from (
            select occurred_at, event_key, user_id, ordinality as position from unnest(new_events) with ordinality
        ) as event
        where (occurred_at, event_key, user_id) not in (
            select * from unnest(inserted_at, inserted_key, inserted_user)
        )
    );
end
$$;

comment on function store is 'Internal: stores a batch.';
