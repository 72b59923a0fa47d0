-- The journal (`events`), the state that is folded from it, and what could not be stored. The functions that write them are
-- no part of the migrations: see src/store/functions.rs.
--
-- Ids are text, and null only in uploads, of which either side may be missing: an event that names no user or page
-- has ''. They are bytes to us, hence collate "C": no locale compares them, and no new version of a locale library puts
-- their indexes in disorder. The key of each table that knows users contains user_id, so they can be distributed by it.

-- Append-only. occurred_at leads the key, so that inserts stay at the right edge of the index.
create table events (
    occurred_at timestamptz not null,
    event_key   bytea       not null,
    user_id     text        not null collate "C",
    page_id     text        not null collate "C",
    object      text,
    container   text        not null,
    kind        text        not null,
    event_type  text,
    received_at timestamptz not null,
    note        text,
    body        jsonb,
    raw         bytea,
    envelope    text,
    entry_time  timestamptz,
    primary key (occurred_at, event_key, user_id),
    check (body is not null or raw is not null)
) partition by range (occurred_at);

comment on table events is 'The journal: every event once, as it came. One partition a month (UTC) of occurred_at.';
comment on column events.occurred_at is 'The event''s own time; else its watermark, its entry''s time, or the time of its first receipt.';
comment on column events.event_key is '16 bytes of SHA-256 over what identifies the event.';
comment on column events.user_id is 'The customer (PSID, or Instagram-scoped id); '''' when the event names none.';
comment on column events.container is 'messaging, standby, changes, callback (upload), or document (JSON without an event).';
comment on column events.kind is 'message, delivery, read, optin, upload or other.';
comment on column events.event_type is 'For other: the event''s own key (postback, reaction, ...) or the field of a change.';
comment on column events.note is 'Why the event changed no state although its kind should.';
comment on column events.body is 'The event as JSON; null when jsonb cannot hold it.';
comment on column events.raw is 'The exact bytes; null when body says the same.';
comment on column events.envelope is 'JSON of what stood around the event in its body and belongs to no event.';
comment on column events.entry_time is 'When the event''s entry was sent, as its time says.';

-- Messenger opened to businesses in April 2016. What is older rests here, so that broken clocks make no
-- months; later months are attached when their first event comes. This is deliberately no DEFAULT
-- partition: attaching a month beside one needs a lock that waits for every running dump.
create table events_before_2016_04 partition of events for values from (minvalue) to ('2016-04-01 00:00:00+00');

-- An event that tells no time occurred when it was first received; this remembers when that was, so
-- that its repetition is the same event.
create table first_receipts (
    user_id     text        not null collate "C",
    event_key   bytea       not null,
    occurred_at timestamptz not null,
    primary key (user_id, event_key)
);

-- A mid is long and a page repeats; the key has 16 bytes for both.
create table messages (
    user_id            text     not null collate "C",
    message_key        bytea    not null,
    page_id            text     not null collate "C",
    mid                text     not null collate "C",
    direction          text     not null check (direction in ('inbound', 'outbound')),
    sent_at            timestamptz,
    text               text,
    attachment_types   text,
    source             smallint not null,
    content_key        bytea,
    num_edit           bigint,
    edited_at          timestamptz,
    edited_text        text,
    deleted_at         timestamptz,
    delivered_at       timestamptz,
    read_at            timestamptz,
    sent_no_later_than timestamptz,
    primary key (user_id, message_key)
) with (fillfactor = 90);

-- Questions about the last days read the messages of the last days. Messages lie nearly in the order of their times, so
-- a few bytes for each 128 pages are enough to find them, and inserting costs next to nothing.
create index messages_by_time on messages using brin (sent_at, (coalesce(sent_at, delivered_at)));

comment on column messages.message_key is '16 bytes of SHA-256 over page_id and mid.';
comment on column messages.sent_at is 'Null while only a receipt, an edit or an unsend named the message.';
comment on column messages.attachment_types is 'Types in order, comma-separated; null without attachments.';
comment on column messages.source is 'Where direction, sent_at, text and attachment_types come from: 0 webhook, 2 an edit or unsend, 3 a receipt; 1 is reserved.';
comment on column messages.content_key is 'event_key of the event that told the content.';
comment on column messages.delivered_at is 'When a delivery named this mid. Most deliveries are known by watermark only: see message_status.';
comment on column messages.read_at is 'When Instagram reported this mid read. Most reads are known by watermark only: see message_status.';
comment on column messages.sent_no_later_than is 'The earliest watermark of a delivery that named this mid.';

create table conversations (
    user_id             text        not null collate "C",
    page_id             text        not null collate "C",
    first_seen_at       timestamptz not null,
    last_seen_at        timestamptz not null,
    last_inbound_at     timestamptz,
    delivered_watermark timestamptz,
    read_watermark      timestamptz,
    primary key (user_id, page_id)
) with (fillfactor = 70);

comment on column conversations.last_inbound_at is 'The last thing the customer did that lets the page answer for 24 hours.';
comment on column conversations.delivered_watermark is 'Everything the page sent at or before it is delivered.';
comment on column conversations.read_watermark is 'Everything the page sent at or before it is read.';

create table subscriptions (
    user_id             text        not null collate "C",
    page_id             text        not null collate "C",
    topic               text        not null collate "C",
    sub_status          smallint    not null check (sub_status in (0, 1)),
    token               text,
    token_expires_at    timestamptz,
    user_token_status   text,
    payload             text,
    frequency           text,
    changed_at          timestamptz not null,
    event_key           bytea       not null,
    timezone            text,
    timezone_at         timestamptz,
    first_subscribed_at timestamptz,
    primary key (user_id, page_id, topic)
) with (fillfactor = 80);

comment on column subscriptions.topic is 'The title of the topic.';
comment on column subscriptions.sub_status is '1 subscribed, 0 stopped, as Sobot writes it.';
comment on column subscriptions.token is 'What a marketing message is sent to. A secret: grant the view subscribers instead.';
comment on column subscriptions.changed_at is 'When the latest subscribe, stop or resume happened.';
comment on column subscriptions.timezone is 'The latest one told; a stop or resume tells none and leaves it.';

create table uploads (
    track_id      text collate "C" primary key,
    attachment_id text collate "C",
    completed_at  timestamptz,
    page_id       text collate "C",
    type          text,
    url           text,
    requested_at  timestamptz default now()
);

comment on table uploads is 'Two sides fill a row in either order: the callback attachment_id and completed_at, whoever asked for the upload the rest.';
comment on column uploads.requested_at is 'Null while nobody has said that they asked for the upload.';

-- Both sides simply insert. Whoever comes second meets the other's row: this takes it out and hands its
-- values to the new one, so that a plain insert always succeeds and counts one row.
create function merge_upload() returns trigger language plpgsql as $$
declare
    other uploads;
begin
    if new.requested_at is null and new.completed_at is null then
        -- The row of neither side: the one below, on its way in.
        return new;
    end if;
    -- Waits for another insert of this track_id that is under way, and takes the key if there is none. (Locks by
    -- hand would fill the server's lock table when a rebuild folds many uploads.)
    insert into uploads (track_id, requested_at) values (new.track_id, null) on conflict (track_id) do nothing;
    delete from uploads where track_id = new.track_id returning * into other;
    if new.completed_at is null
        or (other.completed_at, other.attachment_id) < (new.completed_at, new.attachment_id)
    then
        new.completed_at := other.completed_at;
        new.attachment_id := other.attachment_id;
    end if;
    new.page_id := coalesce(new.page_id, other.page_id);
    new.type := coalesce(new.type, other.type);
    new.url := coalesce(new.url, other.url);
    new.requested_at := least(new.requested_at, other.requested_at);
    return new;
end
$$;

create trigger merge_upload before insert on uploads for each row execute function merge_upload();

create table quarantine (
    id          bigint generated always as identity primary key,
    received_at timestamptz not null,
    reason      text        not null,
    raw         bytea       not null,
    replayed_at timestamptz
);

create index on quarantine (received_at);

comment on table quarantine is 'Bodies that are no JSON, or that PostgreSQL refused: whole, with the reason.';

-- From when on the journal is whole: set before retention drops a month. Before it, state knows things that the
-- journal can no longer tell.
create table journal_horizon (
    id        boolean primary key default true check (id),
    begins_at timestamptz not null
);

-- Retention drops what it has detached itself, whenever it comes to it; what somebody else has detached it never drops.
create table detached_months (
    name text collate "C" primary key,
    fate text not null check (fate in ('drop', 'keep'))
);

comment on table detached_months is 'Internal: months that retention takes out of the journal.';
comment on column detached_months.fate is 'drop: retention is detaching it and drops it. keep: somebody had detached it, and a late event has brought it back: retention detaches it again and leaves it.';

-- What `migrate` has installed beside the tables, and which release calls it: the last two are kept.
create table installed_functions (
    name         text        not null collate "C",
    release      text        not null collate "C",
    installed_at timestamptz not null default now(),
    primary key (name, release)
);

comment on table installed_functions is 'Internal: the functions and row types by which the service writes, and the releases that call them.';

create view message_status as
select
    page_id,
    user_id,
    mid,
    direction,
    message.sent_at,
    case when deleted_at is null then coalesce(edited_text, text) end as text,
    case
        when deleted_at is not null then 'deleted'
        when direction = 'inbound' then 'received'
        when read_at is not null or read_watermark >= coalesce(message.sent_at, sent_no_later_than) then 'read'
        when delivered_at is not null or delivered_watermark >= coalesce(message.sent_at, sent_no_later_than) then 'delivered'
        else 'sent'
    end as status,
    delivered_at,
    read_at,
    case
        when deleted_at is not null or direction = 'inbound' then null
        when read_at is not null then 'mid'
        when read_watermark >= coalesce(message.sent_at, sent_no_later_than) then 'watermark'
        when delivered_at is not null then 'mid'
        when delivered_watermark >= coalesce(message.sent_at, sent_no_later_than) then 'watermark'
    end as evidence
from messages as message
left join conversations using (user_id, page_id);

comment on view message_status is 'Each message and how far it has come. read_at and delivered_at are times told for the very message (evidence mid); a watermark tells that, not when.';

create view subscribers as
select
    page_id,
    user_id,
    topic,
    sub_status,
    timezone,
    changed_at,
    token_expires_at,
    sub_status = 1 and token is not null and coalesce(token_expires_at > now(), true) as can_receive_marketing
from subscriptions;

comment on view subscribers is 'Who is (1) or was (0) subscribed to which topic, and whether a marketing message can be sent to them now. No tokens.';

create view upload_status as
select
    track_id,
    case
        when completed_at is null then 'pending'
        when requested_at is null then 'unclaimed'
        else 'matched'
    end as status,
    attachment_id,
    requested_at,
    completed_at,
    case
        when completed_at is null then now() - requested_at
        when requested_at is null then now() - completed_at
        else greatest(completed_at - requested_at, interval '0')
    end as age
from uploads;

comment on view upload_status is 'Uploads: pending (asked for, no callback), matched, unclaimed (callback, nobody asked). age: waiting so far, or the time it took.';

create view messaging_window as
select
    page_id,
    user_id,
    last_inbound_at,
    last_inbound_at + interval '24 hours' as open_until,
    last_inbound_at + interval '24 hours' > now() as is_open
from conversations
where last_inbound_at is not null;

comment on view messaging_window is 'Whether a page may still answer a user without a message tag: 24 hours from what the user last did.';
