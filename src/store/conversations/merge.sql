-- least and greatest pass over nulls.
on conflict (user_id, page_id) do update
set first_seen_at = least(held.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(held.last_seen_at, excluded.last_seen_at),
    last_inbound_at = greatest(held.last_inbound_at, excluded.last_inbound_at),
    delivered_watermark = greatest(held.delivered_watermark, excluded.delivered_watermark),
    read_watermark = greatest(held.read_watermark, excluded.read_watermark)
