update messages as message
set edited_at = earlier.received_at
from unnest(rows) as earlier
where message.user_id = earlier.user_id
  and message.page_id = earlier.page_id
  and message.edited_at = earlier.stored_at
