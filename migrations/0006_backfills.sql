-- What the past conversations of a page have told, and what the webhook has missed. Neither is state: the messages are in
-- the journal (container backfill), and a rebuild leaves these tables as they are.
create table backfills (
    user_id         text        not null collate "C",
    page_id         text        not null collate "C",
    conversation_id text        not null collate "C",
    updated_at      timestamptz not null,
    done_at         timestamptz not null default now(),
    primary key (user_id, page_id, conversation_id)
);

comment on table backfills is 'Internal: the conversations whose past messages are in the journal.';
comment on column backfills.user_id is 'The customer; '''' where Meta does not tell.';
comment on column backfills.updated_at is 'When the conversation had last moved, as Meta said: up to then everything is there.';

create table gaps (
    user_id    text        not null collate "C",
    id         bigint      not null generated always as identity,
    page_id    text        not null collate "C",
    from_time  timestamptz not null,
    until_time timestamptz not null,
    why        text        not null,
    filled     bigint      not null,
    lost       bigint      not null,
    found_at   timestamptz not null default now(),
    primary key (user_id, id)
);

comment on table gaps is 'Where the webhook missed messages that Meta lists: a row for each conversation and each look.';
comment on column gaps.user_id is 'The customer; '''' where Meta does not tell.';
comment on column gaps.from_time is 'When the earliest missed message was written.';
comment on column gaps.until_time is 'When the latest missed message was written.';
comment on column gaps.filled is 'Missed messages that Meta has told since.';
comment on column gaps.lost is 'Missed messages of which Meta tells no more than that they were there.';

create table heals (
    page_id      text        primary key collate "C",
    healed_until timestamptz not null
);

comment on table heals is 'Internal: up to when a page''s messages have been compared with Meta''s lists.';
