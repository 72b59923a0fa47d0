//! All contenders take their turns on one PostgreSQL.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::contender::Contender;
use crate::in_server;
use crate::load::Load;
use crate::measure::{measure, postmaster, season};
use crate::plan::{HALF, ONE_BY_1, ONE_BY_256, TURNS, Turn, Who};
use crate::report::{Figures, Report};
use crate::support::database::{self, Server};
use crate::usage::Usage;

/// Rows that are copied inside the server.
const COPIED: usize = 50_000;

/// Takes all turns, `rounds` times, and prints what came of it.
///
/// # Errors
/// A contender cannot be started, or does not answer 200.
pub async fn run(rounds: usize, seconds: u32, only: &str) -> Result<()> {
    let stage = Stage::prepare().await?;
    let is_wanted = |turn: &&Turn| turn.workload.contains(only) || turn.who.name().contains(only);
    let turns: Vec<Turn> = TURNS.iter().filter(is_wanted).copied().collect();
    let mut report = Report::default();
    // The first round is not counted: connections, caches and the events that are then repeated.
    for round in 0..=rounds {
        for turn in &turns {
            eprint!("\r\x1b[Kround {round} of {rounds}: {}, {}", turn.who.name(), turn.workload);
            if round == 0 {
                stage.take(turn, 1).await?;
                continue;
            }
            let turn = Turn { load: Stage::paced(turn, &report)?, ..*turn };
            report.add(&turn, stage.take(&turn, seconds).await?);
        }
    }
    eprint!("\r\x1b[K");
    report.print();
    Ok(())
}

/// The contenders and what they stand on.
struct Stage {
    hook: Contender,
    spooling: Contender,
    naive: Contender,
    parse_only: Contender,
    postmaster: u32,
    // Last, so that it ends after them.
    _server: Server,
}

impl Stage {
    async fn prepare() -> Result<Self> {
        let server = Server::start();
        let hook = Contender::hook(&database::create(&server).await);
        season(&hook.database).await?;
        Ok(Self {
            spooling: Contender::spooling(&hook.database),
            naive: Contender::naive(&server).await?,
            parse_only: Contender::parse_only(&hook.database)?,
            postmaster: postmaster(&server)?,
            hook,
            _server: server,
        })
    }

    /// Half of the load that saturated in this round, as pauses.
    fn paced(turn: &Turn, report: &Report) -> Result<Load> {
        if turn.workload != HALF {
            return Ok(turn.load);
        }
        let latest = |workload| report.latest(workload, Who::Hook);
        let (Some(full), Some(alone)) = (latest(ONE_BY_256), latest(ONE_BY_1)) else {
            bail!("{HALF} needs the turns that tell what saturates");
        };
        let between = 2.0 * f64::from(turn.load.connections) / full.events_per_second;
        let pause = Duration::try_from_secs_f64(between - alone.p50_ms / 1e3).unwrap_or_default();
        Ok(Load { pause, ..turn.load })
    }

    async fn take(&self, turn: &Turn, seconds: u32) -> Result<Figures> {
        let contender = match turn.who {
            Who::Hook => &self.hook,
            Who::Spool => &self.spooling,
            Who::Naive => &self.naive,
            Who::ParseOnly => &self.parse_only,
            Who::InServer => return self.copy().await,
        };
        measure(contender, &turn.load, self.postmaster, seconds).await
    }

    async fn copy(&self) -> Result<Figures> {
        let database = &self.hook.database;
        in_server::prepare(database, COPIED).await?;
        let before = Usage::read(None, self.postmaster, database, "copy").await?;
        let (events, seconds) = in_server::copy(database).await?;
        let used = Usage::read(None, self.postmaster, database, "copy").await?.since(before);
        Ok(Figures { events_per_second: events / seconds, ..Figures::of(used, events) })
    }
}
