-- What the service sends, synchronises and backfills itself changes the state, too: events of the containers api, sync and
-- backfill.

comment on column events.container is 'messaging, standby, changes, callback (upload), document (JSON without an event); or our own: api (a message that we sent), sync (a subscriber in Sobot''s list), backfill (a message of the past, from Meta''s Conversations API).';

-- Of a message that Meta only lists nobody tells who wrote it. The rows that are there satisfy the narrower check that
-- goes, so none needs to be read.
alter table messages
    drop constraint messages_direction_check,
    add constraint messages_direction_check check (direction in ('inbound', 'outbound', 'unknown')) not valid;

comment on column messages.direction is 'Who wrote it: inbound (the customer), outbound (the page), or unknown.';
comment on column messages.sent_at is 'When it was written: exact for source 0; for 1 when the API had taken it; for all others to the second, as Meta''s Conversations API tells it, or null.';
comment on column messages.source is 'Where direction, text and attachment_types come from, the best first: 0 webhook, 1 our own sending, 4 backfill, 2 an edit or unsend, 3 a receipt, 5 Meta''s list of messages. The last three tell neither text nor attachments.';
comment on column messages.content_key is 'event_key of the event that told text and attachments; null while none has.';

-- The same change may be told by an opt-in and by Sobot's list, each with something that the other lacks.
alter table subscriptions
    add column token_at        timestamptz,
    add column terms_at        timestamptz,
    add column terms_key       bytea,
    add column terms_token     text,
    add column terms_expire_at timestamptz;

comment on column subscriptions.token_at is 'When the token was last told.';
comment on column subscriptions.token_expires_at is 'When the token ends; null if nothing told that of this very token.';
comment on column subscriptions.terms_at is 'When an opt-in last told user_token_status, frequency or the end of its token.';
comment on column subscriptions.terms_key is 'event_key of that opt-in.';
comment on column subscriptions.terms_token is 'The token of that opt-in. A secret.';
comment on column subscriptions.terms_expire_at is 'When that token ends.';

-- As if each row's latest opt-in were all that was ever told; a rebuild knows better.
update subscriptions
set token_at = changed_at
where token is not null;

update subscriptions
set terms_at = changed_at,
    terms_key = event_key,
    terms_token = token,
    terms_expire_at = token_expires_at
where token_expires_at is not null or user_token_status is not null or frequency is not null;

-- A watermark reaches a message that was written at or before it. Of a message of ours we know only when the API had taken
-- it, of one of Meta's only the second, which the watermark has to reach the end of; and what a delivery named was written
-- by that delivery's watermark.
create or replace view message_status as
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
        when direction = 'unknown' then 'unknown'
        when read_at is not null or read_watermark >= written_by then 'read'
        when delivered_at is not null or delivered_watermark >= written_by then 'delivered'
        else 'sent'
    end as status,
    delivered_at,
    read_at,
    case
        when deleted_at is not null or direction <> 'outbound' then null
        when read_at is not null then 'mid'
        when read_watermark >= written_by then 'watermark'
        when delivered_at is not null then 'mid'
        when delivered_watermark >= written_by then 'watermark'
    end as evidence,
    content_key is not null as is_content_known
from messages as message
cross join lateral (
    select least(
        message.sent_at + case when source > 1 then interval '999999 microseconds' else interval '0' end,
        sent_no_later_than
    ) as written_by
) as bound
left join conversations using (user_id, page_id);

comment on view message_status is 'Each message and how far it has come. read_at and delivered_at are times told for the very message (evidence mid); a watermark tells that, not when. Where is_content_known is false, nothing has told text and attachments.';
