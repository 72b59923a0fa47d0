-- People who have been erased. Nothing of them stays but keyed hashes, by which a repetition, the spool, a replay or a
-- backfill does not bring them back.
--
-- What they do after their erasure is new, and is kept: hence the time beside the hash.

-- One row. Raised with every erasure, the generation tells a running service that it knows too little.
create table erasure_key (
    id         boolean primary key default true check (id),
    key        bytea   not null,
    generation bigint  not null default 0
);

insert into erasure_key (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

comment on table erasure_key is 'Internal: what the hashes of erased people are keyed with. A secret: with it, the hash of a known user can be found.';
comment on column erasure_key.generation is 'How many times something has been erased.';

create table erased_users (
    hash         bytea       primary key,
    erased_until timestamptz not null,
    erased_at    timestamptz not null default now()
);

comment on table erased_users is 'Internal: keyed hashes of the users that were erased, of one page or of all.';
comment on column erased_users.erased_until is 'What happened up to then is not stored again.';

create table erased_events (
    hash bytea primary key
);

comment on table erased_events is 'Internal: keyed hashes of erased events that a repetition could bring back: they told no time, or only their content was erased.';
