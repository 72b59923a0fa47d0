-- What is to be sent, and what became of it. A queue beside the journal, not a part of the state: what was sent is in the
-- journal (container api), and a rebuild leaves this table as it is.
create table outbox (
    user_id         text        not null collate "C",
    idempotency_key text        not null collate "C",
    id              bigint      not null generated always as identity,
    page_id         text        not null collate "C",
    topic           text        collate "C",
    request         jsonb       not null,
    status          text        not null default 'waiting' check (status in ('waiting', 'sent', 'failed', 'unknown')),
    mid             text        collate "C",
    error           text,
    created_at      timestamptz not null default now(),
    attempted_at    timestamptz,
    claimed_until   timestamptz,
    settled_at      timestamptz,
    primary key (user_id, idempotency_key)
);

create index outbox_open on outbox (user_id, page_id, id) where status in ('waiting', 'unknown');
create index outbox_by_id on outbox (id);

comment on table outbox is 'Every message that we were asked to send, once per user and idempotency key, and what became of it.';
comment on column outbox.topic is 'The subscription whose token it is sent to; null for a message to the user.';
comment on column outbox.request is 'The request as Sobot''s document has it, without any token.';
comment on column outbox.status is 'waiting; sent; failed: certainly not sent, see error; unknown: the request left, or was about to, and no answer is known. Never sent again by itself: an echo, a delivery or the conversation settles it.';
comment on column outbox.mid is 'The message, as the answer or the evidence names it.';
comment on column outbox.error is 'Why it failed or is unknown, in words without a text or a token.';
comment on column outbox.attempted_at is 'When the request was about to leave.';
comment on column outbox.claimed_until is 'Internal: while it is under way, later messages to the user wait.';

-- The token of Sobot's API. Each fetch voids the one before, so all processes share it.
create table sobot_tokens (
    appid      text        primary key collate "C",
    number     bigint      not null,
    token      text,
    fetched_at timestamptz,
    expires_at timestamptz
);

comment on table sobot_tokens is 'Internal: the token of Sobot''s API, which all services share. A secret.';
comment on column sobot_tokens.number is 'How many times it has been fetched.';
