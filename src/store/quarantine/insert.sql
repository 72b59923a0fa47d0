begin
    -- A body whose commit was not heard of comes again.
    insert into quarantine (received_at, reason, raw)
    select row.received_at, row.reason, row.raw
    from unnest(rows) as row
    where not exists (
        select from quarantine as kept where kept.received_at = row.received_at and kept.raw = row.raw
    );
end
