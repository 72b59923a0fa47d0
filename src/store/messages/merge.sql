-- Content and edit win whole. As ContentSource ranks them, sources that tell the content (0, 1, 4) come before those that
-- only mention the message (2, 3, 5): these have no content_key. Their sent_at is a listing's, which counts until
-- something tells the content.
on conflict (user_id, message_key) do update
set (direction, sent_at, text, attachment_types, source, content_key) = (
        select
            (best.row).direction,
            case
                when (best.row).content_key is null then least(held.sent_at, excluded.sent_at)
                else (best.row).sent_at
            end,
            (best.row).text, (best.row).attachment_types, (best.row).source, (best.row).content_key
        from (
            select case
                when (
                        excluded.content_key is null,
                        excluded.source,
                        case when excluded.content_key is null then 'infinity' else excluded.sent_at end,
                        coalesce(excluded.content_key, ''),
                        excluded.direction
                    ) < (
                        held.content_key is null,
                        held.source,
                        case when held.content_key is null then 'infinity' else held.sent_at end,
                        coalesce(held.content_key, ''),
                        held.direction
                    )
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
