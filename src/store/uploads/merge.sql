-- The merge is the table's trigger.
insert into uploads (track_id, attachment_id, completed_at, requested_at)
select track_id, attachment_id, completed_at, null from unnest(rows)
