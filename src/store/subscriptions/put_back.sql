update subscriptions as subscription
set changed_at = case when changed_at = stored_at then received_at else changed_at end,
    token_at = case when token_at = stored_at then received_at else token_at end,
    terms_at = case when terms_at = stored_at then received_at else terms_at end,
    timezone_at = case when timezone_at = stored_at then received_at else timezone_at end
from unnest(rows) as earlier
where subscription.user_id = earlier.user_id
  and subscription.page_id = earlier.page_id
  and stored_at in (changed_at, token_at, terms_at, timezone_at)
