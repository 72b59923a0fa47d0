-- Questions about the last days read the messages of the last days. Messages lie nearly in the order of their times, so
-- a few bytes for each 128 pages are enough to find them, and inserting costs next to nothing.
create index messages_by_time on messages using brin (sent_at, (coalesce(sent_at, delivered_at)));
