-- Takes what they said out of the events of messages that were taken back, in the table {month} of the journal. What is
-- left of them tells all else, and a rebuild reads them as it reads others.
update {month} as event
set body = case
        when container = 'api' then jsonb_set(body, '{request}', '{}')
        when container = 'backfill' then jsonb_set(
            body, '{message}', (body -> 'message') - array['message', 'attachments', 'shares', 'sticker', 'story', 'reactions']
        )
        when body #>> '{message,mid}' is null then jsonb_set(body, '{message_edit}', (body -> 'message_edit') - 'text')
        else jsonb_set(
            body, '{message}',
            (
                select jsonb_object_agg(key, value)
                from jsonb_each(body -> 'message')
                where key in ('mid', 'is_echo', 'is_deleted', 'app_id')
            )
        )
    end,
    raw = null,
    envelope = null
from messages as message
where message.user_id = event.user_id
  and message.page_id = event.page_id
  and message.deleted_at is not null
  and ($1::text is null or message.page_id = $1)
  and event.kind in ('message', 'other')
  and message.mid = case container
        when 'api' then body ->> 'mid'
        when 'backfill' then body #>> '{message,id}'
        else coalesce(body #>> '{message,mid}', body #>> '{message_edit,mid}')
    end
  and case container
        when 'api' then body -> 'request' <> '{}'
        when 'backfill' then (body -> 'message') ?| array['message', 'attachments', 'shares', 'sticker', 'story', 'reactions']
        when 'messaging' then body #> '{message_edit,text}' is not null
            or exists (select from jsonb_object_keys(
                case jsonb_typeof(body -> 'message') when 'object' then body -> 'message' end
            ) as key where key not in ('mid', 'is_echo', 'is_deleted', 'app_id'))
        when 'standby' then body #> '{message_edit,text}' is not null
            or exists (select from jsonb_object_keys(
                case jsonb_typeof(body -> 'message') when 'object' then body -> 'message' end
            ) as key where key not in ('mid', 'is_echo', 'is_deleted', 'app_id'))
        else false
    end
returning event.user_id, event.event_key
