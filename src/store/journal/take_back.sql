-- Takes back what the journal has under the later time, and says whether it had it; the copy that was received earlier
-- comes in its place.
begin
    update first_receipts as first
    set occurred_at = earlier.received_at
    from unnest(rows) as earlier
    where first.user_id = earlier.user_id and first.event_key = earlier.event_key;

    delete from events as event
    using unnest(rows) as earlier
    where event.occurred_at = earlier.stored_at
      -- An event of the same key that told this very time itself stays.
      and event.received_at = earlier.stored_at
      and event.event_key = earlier.event_key
      and event.user_id = earlier.user_id;
    return found;
end
