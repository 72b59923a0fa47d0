-- Content and edit win whole.
insert into messages as message (
    user_id, message_key, page_id, mid, direction, sent_at, text, attachment_types, source, content_key,
    num_edit, edited_at, edited_text, deleted_at, delivered_at, read_at, sent_no_later_than
)
select
    user_id, message_key, page_id, mid, direction, sent_at, text, attachment_types, source, content_key,
    num_edit, edited_at, edited_text, deleted_at, delivered_at, read_at, sent_no_later_than
from unnest(rows)
on conflict (user_id, message_key) do update
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
    sent_no_later_than = least(message.sent_no_later_than, excluded.sent_no_later_than)
