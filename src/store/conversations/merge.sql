-- least and greatest pass over nulls.
insert into conversations as conversation (
    user_id, page_id, first_seen_at, last_seen_at, last_inbound_at, delivered_watermark, read_watermark
)
select user_id, page_id, first_seen_at, last_seen_at, last_inbound_at, delivered_watermark, read_watermark
from unnest(rows)
on conflict (user_id, page_id) do update
set first_seen_at = least(conversation.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(conversation.last_seen_at, excluded.last_seen_at),
    last_inbound_at = greatest(conversation.last_inbound_at, excluded.last_inbound_at),
    delivered_watermark = greatest(conversation.delivered_watermark, excluded.delivered_watermark),
    read_watermark = greatest(conversation.read_watermark, excluded.read_watermark)
