//! What must hold when everything has settled, whatever has happened.

use std::collections::HashSet;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AssertSqlSafe, PgPool};

use crate::bodies::GARBAGE;
use crate::stage::Stage;
use crate::support::database::{connect, count};
use crate::support::service::{SECRET, program};

/// Settles, replays the quarantine, and checks: every acknowledged event is in the journal, none twice; the state is what the
/// journal says; in quarantine is left what is no JSON, all of it; and the counts of the last process add up.
pub async fn check(stage: &Stage, run: &str) {
    stage.settle().await;
    let service = stage.hook.service();
    let received = service.metric("sobot_hook_events_received_total").await;
    let settled = service.metric("sobot_hook_events_total").await;
    let pool = connect(&stage.direct);
    let is_refused = is_refused();
    let refused = count(&pool, &format!("select count(*) from quarantine where {is_refused}")).await;
    let replay = command(stage, &["replay"]).await;
    let (lost, doubled) = lost_and_doubled(stage, &pool).await;
    let garbage = count(&pool, &format!("select count(distinct raw) from quarantine where not {is_refused}")).await;
    let left =
        count(&pool, &format!("select count(*) from quarantine where replayed_at is null and {is_refused}")).await;
    pool.close().await;
    let rebuild = command(stage, &["rebuild", "--check"]).await;

    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let seen = &stage.seen;
    println!(
        "{run}: {} posts, {} events acknowledged ({} posts while PostgreSQL was away), {} refused, {} broken off; \
         {lost} lost, {doubled} doubled; {refused} bodies replayed, {left} of them left; rebuild --check: {}",
        get(&seen.posts),
        seen.acknowledged.lock().unwrap().len(),
        get(&seen.acknowledged_while_away),
        get(&seen.refused),
        get(&seen.broken),
        String::from_utf8_lossy(&rebuild.stdout).trim(),
    );
    assert_eq!((lost, doubled), (0, 0), "{run}");
    assert_eq!(replay.status.code(), Some(0), "{run}: {replay:?}");
    assert_eq!(left, 0, "{run}: what a trigger had refused can be replayed");
    assert_eq!(rebuild.status.code(), Some(0), "{run}: {rebuild:?}");
    assert_eq!(received, settled, "{run}: events in = stored + duplicate + quarantined + spooled + refused");
    assert!(garbage >= i64::try_from(get(&seen.quarantined)).unwrap(), "{run}: all garbage is kept");
}

/// Of a row of the quarantine: it holds events, which PostgreSQL did not take.
fn is_refused() -> String {
    format!("position(convert_to('{GARBAGE}', 'UTF8') in raw) <> 1")
}

async fn lost_and_doubled(stage: &Stage, pool: &PgPool) -> (usize, usize) {
    let marks = "select coalesce(body->>'mark', body->>'track_id') from events";
    let journaled: Vec<String> = sqlx::query_scalar(AssertSqlSafe(marks)).fetch_all(pool).await.unwrap();
    let distinct: HashSet<&String> = journaled.iter().collect();
    let acknowledged = stage.seen.acknowledged.lock().unwrap();
    let lost = acknowledged.iter().filter(|mark| !distinct.contains(mark)).count();
    (lost, journaled.len() - distinct.len())
}

/// A command of the program on the same database, as its owner or a superuser runs it.
async fn command(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(arguments).env("DATABASE_URL", &stage.direct).env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
