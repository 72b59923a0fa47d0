//! What becomes of intake and of the documented questions while the journal grows, to twenty million events as a rule.
//!
//! The events are made inside the server, from the oldest to the newest, as they would have come: conversations of
//! twenty events each over two years, with the state that they add up to.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::Months;
use sobot_hook::clock;
use sobot_hook::store::Store;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

use crate::contender::Contender;
use crate::load::Load;
use crate::measure::{in_turns, postmaster, season};
use crate::report::{Figures, median, table};
use crate::support::PATIENCE;
use crate::support::database::{self, Server};

const MONTHS: u32 = 24;
const USERS: u32 = 400_000;
const EVENTS_PER_TALK: u64 = 20;

/// Talks a statement: 400,000 events.
const TALKS_PER_STATEMENT: u64 = 20_000;

/// Ten thousand customers write at the same time, from all over the tables.
const ACTIVE: u32 = 10_000;

const LOAD: Load = Load {
    kind: "message",
    events_per_post: 1,
    users: ACTIVE,
    apart: USERS / ACTIVE,
    connections: 64,
    pause: Duration::ZERO,
};

/// Grows and measures, and prints what came of it.
///
/// # Errors
/// A contender cannot be started, or does not answer 200; PostgreSQL lacks disk.
pub async fn run(most: u64, rounds: usize, seconds: u32) -> Result<()> {
    let server = Server::start();
    let postmaster = postmaster(&server)?;
    let url = database::create(&server).await;
    let grown = Contender::hook(&url);
    season(&grown.database).await?;
    make_months(&url).await?;
    let mut sizes =
        table(&["events in the journal", "events/s", "against empty", "p99 ms", "CPU µs", "WAL B", "bytes"]);
    let mut have = 0;
    for size in [0, most / 20, most / 4, most] {
        grow(&grown.database, have, size, most).await?;
        have = size;
        if size == most {
            // Before the load, whose messages are all of today.
            println!("{}\n", questions(&grown.database, rounds).await?);
        }
        let (events, bytes): (i64, i64) =
            sqlx::query_as("select count(*), pg_database_size(current_database()) from events")
                .fetch_one(&grown.database)
                .await?;
        eprintln!("{events} events: intake");
        let empty = Contender::hook(&database::create(&server).await);
        let pairs = in_turns([&empty, &grown], &LOAD, postmaster, rounds, seconds).await?;
        let ratios = pairs.iter().map(|[small, large]| large.events_per_second / small.events_per_second).collect();
        let of = |figure: fn(&Figures) -> f64| median(pairs.iter().map(|[_, large]| figure(large)).collect());
        sizes.add_row([
            events.to_string(),
            format!("{:.0}", of(|figures| figures.events_per_second)),
            format!("{:.2}", median(ratios)),
            format!("{:.1}", of(|figures| figures.p99_ms)),
            format!("{:.1}", of(Figures::cpu_micros)),
            format!("{:.0}", of(|figures| figures.wal_bytes)),
            bytes.to_string(),
        ]);
    }
    println!("{sizes}");
    Ok(())
}

async fn make_months(url: &str) -> Result<()> {
    let store = Store::connect_lazily(url, 1, PATIENCE)?;
    for month in 0..=MONTHS {
        store.make_month(clock::now() - Months::new(month)).await?;
    }
    store.close().await;
    Ok(())
}

/// Adds the events from number `have` to number `want`, and what autovacuum would have done meanwhile.
async fn grow(database: &PgPool, have: u64, want: u64, most: u64) -> Result<()> {
    let mut connection = database.acquire().await?;
    // What is lost by a crash can be made again.
    connection.execute("set synchronous_commit = off").await?;
    let (mut talk, end) = (have / EVENTS_PER_TALK, want / EVENTS_PER_TALK);
    while talk < end {
        eprint!("\r\x1b[K{} events", talk * EVENTS_PER_TALK);
        let next = end.min(talk + TALKS_PER_STATEMENT);
        add_talks(&mut connection, talk, next, most / EVENTS_PER_TALK).await?;
        talk = next;
    }
    eprint!("\r\x1b[K");
    connection.execute("vacuum analyze").await?;
    connection.execute("checkpoint").await?;
    connection.execute("reset synchronous_commit").await?;
    Ok(())
}

async fn add_talks(connection: &mut PgConnection, first: u64, end: u64, talks: u64) -> Result<()> {
    let make = format!("
        create temporary table made on commit drop as
        select
            talk, step,
            now() - interval '{MONTHS} months' + talk * interval '{MONTHS} months' / {talks} + step * interval '30 s' as at,
            '24' || lpad((talk * 2654435761 % {USERS})::text, 15, '0') as user_id,
            (110661988000000 + talk * 2654435761 % {USERS} % 20)::text as page_id,
            'm_growth_9aXk2LQ0vYcT7wRzE4hJ_' || talk || '_' || case when kind = 'delivery' then step - 2 else step end as mid,
            kind, direction
        from generate_series({first}, {end} - 1) as talk,
            (values
                (0, 'message', 'inbound'), (1, 'message', 'outbound'), (2, 'message', 'inbound'), (3, 'delivery', 'inbound'),
                (4, 'message', 'inbound'), (5, 'message', 'outbound'), (6, 'message', 'inbound'), (7, 'delivery', 'inbound'),
                (8, 'message', 'inbound'), (9, 'message', 'outbound'), (10, 'message', 'inbound'), (11, 'delivery', 'inbound'),
                (12, 'message', 'inbound'), (13, 'message', 'outbound'), (14, 'message', 'inbound'), (15, 'delivery', 'inbound'),
                (16, 'read', 'inbound'), (17, 'read', 'inbound'), (18, 'optin', 'inbound'), (19, 'other', 'inbound')
            ) as script (step, kind, direction)
        -- A third of the talks end without the last receipts.
        where talk % 3 > 0 or step <> all (array[15, 16, 17])
        order by at");
    let mut transaction = connection.begin().await?;
    for statement in [make.as_str(), EVENTS, MESSAGES, CONVERSATIONS, SUBSCRIPTIONS, UPLOADS] {
        transaction.execute(AssertSqlSafe(statement.to_owned())).await?;
    }
    Ok(transaction.commit().await?)
}

const EVENTS: &str = "
    insert into events (
        occurred_at, event_key, user_id, page_id, object, container, kind, event_type, received_at, body, entry_time
    )
    select
        at, substring(sha256(int8send(talk * 100 + step)) for 16), user_id, page_id, 'page', 'messaging', kind,
        case when kind = 'other' then 'postback' end, at + interval '1 s',
        jsonb_build_object(
            'sender', jsonb_build_object('id', user_id),
            'recipient', jsonb_build_object('id', page_id),
            'timestamp', (extract(epoch from at) * 1000)::bigint,
            kind, jsonb_build_object('mid', mid, 'text', 'Do you ship to Singapore? 你好, 请问这款连衣裙还有 M 码吗?')
        ),
        at
    from made";

const MESSAGES: &str = "
    insert into messages (
        user_id, message_key, page_id, mid, direction, sent_at, text, source, content_key, delivered_at,
        sent_no_later_than
    )
    select
        message.user_id, substring(sha256(convert_to(message.page_id || message.mid, 'UTF8')) for 16),
        message.page_id, message.mid, message.direction, message.at, 'Do you ship to Singapore? 你好, 请问这款连衣裙还有 M 码吗?', 0,
        substring(sha256(int8send(message.talk * 100 + message.step)) for 16), delivery.at, delivery.at
    from made as message
    left join made as delivery
        on delivery.kind = 'delivery'
        and (delivery.user_id, delivery.page_id, delivery.mid) = (message.user_id, message.page_id, message.mid)
    where message.kind = 'message'
    order by message.at";

const CONVERSATIONS: &str = "
    insert into conversations as conversation
    select
        user_id, page_id, min(at), max(at), max(at) filter (where kind in ('message', 'other') and direction = 'inbound'),
        max(at) filter (where kind = 'delivery'), max(at) filter (where kind = 'read')
    from made
    group by user_id, page_id
    on conflict (user_id, page_id) do update
    set last_seen_at = excluded.last_seen_at,
        last_inbound_at = excluded.last_inbound_at,
        delivered_watermark = greatest(conversation.delivered_watermark, excluded.delivered_watermark),
        read_watermark = greatest(conversation.read_watermark, excluded.read_watermark)";

const SUBSCRIPTIONS: &str = "
    insert into subscriptions (
        user_id, page_id, topic, sub_status, token, token_at, timezone, timezone_at, changed_at, event_key
    )
    select
        user_id, page_id, case when talk % 20 = 0 then '新品上架' else 'topic ' || talk % 20 end,
        least(talk % 3, 1), talk::text, at, 'Asia/Shanghai', at, at, ''
    from made
    where kind = 'optin'
    on conflict do nothing";

const UPLOADS: &str = "
    insert into uploads (track_id, attachment_id, completed_at, page_id, type, url, requested_at)
    select
        'track_' || talk, talk::text, case when talk % 1000 > 0 then at end, page_id, 'image', 'https://example.com/' || talk, at
    from made
    where kind = 'optin' and talk % 5 = 0";

/// The questions of `docs/questions.md`, and how long each takes.
async fn questions(database: &PgPool, rounds: usize) -> Result<comfy_table::Table> {
    let mut answers = table(&["question", "rows", "ms"]);
    for question in include_str!("../../docs/questions.md").split("\n## ").skip(1) {
        let title = question.lines().next().unwrap_or_default();
        for block in question.split("\n```sql\n").skip(1) {
            let statement = block.split("\n```").next().unwrap_or_default();
            let (mut rows, mut milliseconds) = (0, Vec::new());
            for _ in 0..rounds {
                let started = Instant::now();
                rows = sqlx::query(AssertSqlSafe(statement.to_owned())).fetch_all(database).await?.len();
                milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
            }
            answers.add_row([title.to_owned(), rows.to_string(), format!("{:.0}", median(milliseconds))]);
        }
    }
    Ok(answers)
}
