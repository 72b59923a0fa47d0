//! The limit of PostgreSQL: rows that another contender has stored are stored once more, by statements that read
//! them inside the server. No HTTP, no JSON to parse, no parameters; the same tables, keys and transactions of
//! the largest size that intake makes.

use std::time::Instant;

use anyhow::{Result, ensure};
use sobot_hook::intake::BATCH_EVENTS;
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// Prepares a schema `copy` beside the real one, with the same tables, and `source` with the rows to copy.
pub async fn prepare(database: &PgPool, rows: usize) -> Result<()> {
    database
        .execute(AssertSqlSafe(format!(
            "drop schema if exists copy cascade;
             create schema copy;
             create table copy.events (like events including all) partition by range (occurred_at);
             create table copy.events_all partition of copy.events default;
             create table copy.messages (like messages including all) with (fillfactor = 90);
             create table copy.conversations (like conversations including all) with (fillfactor = 70);
             create table copy.source as
                 select (row_number() over (order by received_at, event_key) - 1) / {BATCH_EVENTS} as batch, event.*
                 from events as event
                 where kind = 'message' and note is null
                 order by received_at, event_key
                 limit {rows};
             create index on copy.source (batch);
             create table copy.source_messages as
                 select batch, message.*
                 from copy.source join messages as message using (user_id, page_id)
                 where content_key = event_key;
             create index on copy.source_messages (batch);"
        )))
        .await?;
    // So that the copy reads, and does not also clean up.
    for table in ["source", "source_messages"] {
        database.execute(AssertSqlSafe(format!("vacuum analyze copy.{table}"))).await?;
    }
    Ok(())
}

/// Copies all rows and tells how many, and how many seconds it took.
pub async fn copy(database: &PgPool) -> Result<(f64, f64)> {
    let (rows, batches): (i64, i64) =
        sqlx::query_as("select count(*), coalesce(max(batch) + 1, 0) from copy.source").fetch_one(database).await?;
    ensure!(rows > 0, "nothing has been stored that could be copied");
    let mut connection = database.acquire().await?;
    let started = Instant::now();
    for batch in 0..batches {
        let mut transaction = sqlx::Connection::begin(&mut *connection).await?;
        for statement in [EVENTS, MESSAGES, CONVERSATIONS] {
            sqlx::query(statement).bind(batch).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    Ok((rows as f64, started.elapsed().as_secs_f64()))
}

const EVENTS: &str = "
    insert into copy.events
    select
        occurred_at, event_key, user_id, page_id, object, container, kind, event_type, received_at, note, body, raw,
        envelope, entry_time
    from copy.source where batch = $1
    on conflict do nothing";

const MESSAGES: &str = "
    insert into copy.messages
    select
        user_id, message_key, page_id, mid, direction, sent_at, text, attachment_types, source, content_key, num_edit, edited_at,
        edited_text, deleted_at, delivered_at, read_at, sent_no_later_than
    from copy.source_messages where batch = $1
    on conflict do nothing";

const CONVERSATIONS: &str = "
    insert into copy.conversations as conversation (
        user_id, page_id, first_seen_at, last_seen_at, last_inbound_at
    )
    select user_id, page_id, min(occurred_at), max(occurred_at), max(occurred_at)
    from copy.source where batch = $1
    group by user_id, page_id
    on conflict (user_id, page_id) do update
    set first_seen_at = least(conversation.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(conversation.last_seen_at, excluded.last_seen_at),
        last_inbound_at = greatest(conversation.last_inbound_at, excluded.last_inbound_at)";
