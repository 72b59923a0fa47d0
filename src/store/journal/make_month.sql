-- Makes the partition of a month, given by its first day, and says whether it was missing.
declare
    name       text := to_char(month, '"events_"YYYY_MM');
    first_day  text := to_char(month, 'YYYY-MM-DD');
    next_month text := to_char(month + interval '1 month', 'YYYY-MM-DD');
begin
    -- Attaching waits for whoever reads the month, or analyses the journal. Others must not wait for that.
    set local lock_timeout = '100ms';
    -- Serialises the making of months between processes; any constant will do.
    perform pg_advisory_xact_lock(495789961076);
    if exists (select from pg_inherits where inhrelid = to_regclass(name)) then
        return false;
    end if;
    -- One that somebody has detached comes back with all that it holds.
    execute format('create table if not exists %I (like events including all)', name);
    execute format(
        'alter table events attach partition %I for values from (%L) to (%L)',
        name, first_day || ' 00:00:00+00', next_month || ' 00:00:00+00'
    );
    return true;
end
