-- A service whose clock is behind finds the times of its events too late. What PostgreSQL's clock said at the same time tells
-- so, and lets the event be judged by the right one of them. Null costs a row nothing.
alter table events add column clock_skew interval;

comment on column events.clock_skew is 'By how much PostgreSQL''s clock was ahead of the one that gave received_at, if they were more than a minute apart when the event was stored.';
