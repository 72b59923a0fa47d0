//! One load on one contender or on two in turns, and the ground that it is measured on.

use anyhow::{Context, Result};
use sqlx::{Executor, PgPool};

use crate::contender::Contender;
use crate::load::Load;
use crate::report::Figures;
use crate::support::database::Server;
use crate::usage::{Usage, forget_peak, peak_mebibytes};

/// A server that has run for a while has made the files of its log and uses them again; a fresh one makes a new one
/// every few thousand events, and everyone waits for it.
pub async fn season(database: &PgPool) -> Result<()> {
    eprintln!("making the log's files");
    let fill =
        "select count(pg_logical_emit_message(false, 'contest', repeat('x', 1000000))) from generate_series(1, 2200)";
    database.execute(fill).await?;
    database.execute("checkpoint").await?;
    Ok(())
}

/// One load on one contender.
pub async fn measure(contender: &Contender, load: &Load, postmaster: u32, seconds: u32) -> Result<Figures> {
    let usage = || Usage::read(Some(contender.pid()), postmaster, &contender.database, "public");
    forget_peak(contender.pid())?;
    let before = usage().await?;
    let answered = load.post(&contender.webhook, seconds)?;
    let used = usage().await?.since(before);
    Ok(Figures {
        events_per_second: answered.events / answered.seconds,
        p50_ms: answered.p50_ms,
        p99_ms: answered.p99_ms,
        peak_mebibytes: peak_mebibytes(contender.pid())?,
        ..Figures::of(used, answered.events)
    })
}

/// The same load on two contenders in turns, so that noise hits both alike. The first round is not counted.
pub async fn in_turns(
    pair: [&Contender; 2],
    load: &Load,
    postmaster: u32,
    rounds: usize,
    seconds: u32,
) -> Result<Vec<[Figures; 2]>> {
    let take = async |contender| measure(contender, load, postmaster, seconds).await;
    let mut figures = Vec::new();
    for round in 0..=rounds {
        // Whoever comes second also pays for what the first one has left to be written.
        let first = round % 2;
        let came_first = take(pair[first]).await?;
        let came_second = take(pair[1 - first]).await?;
        let mut taken = [came_first, came_second];
        taken.rotate_left(first);
        figures.push(taken);
    }
    figures.remove(0);
    Ok(figures)
}

/// The process of which all of PostgreSQL's are children.
pub fn postmaster(server: &Server) -> Result<u32> {
    let file = std::fs::read_to_string(server.data_dir().join("postgres/cluster/postmaster.pid"))?;
    file.lines().next().and_then(|pid| pid.parse().ok()).context("no postmaster")
}
