update conversations as conversation
set last_seen_at = case when last_seen_at = stored_at then received_at else last_seen_at end,
    last_inbound_at = case when last_inbound_at = stored_at then received_at else last_inbound_at end
from unnest(rows) as earlier
where conversation.user_id = earlier.user_id
  and conversation.page_id = earlier.page_id
  and stored_at in (last_seen_at, last_inbound_at)
