-- Makes the partition of a month, given by its first day, and says whether it was missing.
declare
    month_name text := to_char(month, '"events_"YYYY_MM');
    first_day  text := to_char(month, 'YYYY-MM-DD');
    next_month text := to_char(month + interval '1 month', 'YYYY-MM-DD');
    was_there  boolean;
begin
    -- Attaching waits for whoever reads the month, or analyses the journal. Others must not wait for that.
    set local lock_timeout = '100ms';
    -- Serialises the making and dropping of months between processes: LOCK in months.rs.
    perform pg_advisory_xact_lock(495789961076);
    if exists (select from pg_inherits where inhrelid = to_regclass(month_name)) then
        return false;
    end if;
    was_there := to_regclass(month_name) is not null;
    -- One that somebody has detached comes back with all that it holds, and stays theirs.
    execute format('create table if not exists %I (like events including all)', month_name);
    if was_there then
        -- It may have been detached before the journal had this column.
        execute format('alter table %I add column if not exists clock_skew interval', month_name);
    end if;
    execute format(
        'alter table events attach partition %I for values from (%L) to (%L)',
        month_name, first_day || ' 00:00:00+00', next_month || ' 00:00:00+00'
    );
    if was_there then
        insert into detached_months (name, fate) values (month_name, 'keep') on conflict do nothing;
    else
        delete from detached_months where name = month_name;
    end if;
    return true;
end
