-- Content and edit win whole.
on conflict (user_id, message_key) do update
set (direction, sent_at, text, attachment_types, source, content_key) = (
        select
            (best.row).direction, (best.row).sent_at, (best.row).text, (best.row).attachment_types,
            (best.row).source, (best.row).content_key
        from (
            select case
                when (excluded.source, coalesce(excluded.sent_at, 'infinity'), coalesce(excluded.content_key, ''), excluded.direction)
                    < (held.source, coalesce(held.sent_at, 'infinity'), coalesce(held.content_key, ''), held.direction)
                then excluded
                else held
            end as row
        ) as best
    ),
    (num_edit, edited_at, edited_text) = (
        select (best.row).num_edit, (best.row).edited_at, (best.row).edited_text
        from (
            select case
                when held.num_edit is null
                    or (excluded.num_edit, excluded.edited_at, excluded.edited_text collate "C")
                    > (held.num_edit, held.edited_at, held.edited_text collate "C")
                then excluded
                else held
            end as row
        ) as best
    ),
    deleted_at = least(held.deleted_at, excluded.deleted_at),
    delivered_at = least(held.delivered_at, excluded.delivered_at),
    read_at = least(held.read_at, excluded.read_at),
    sent_no_later_than = least(held.sent_no_later_than, excluded.sent_no_later_than)
