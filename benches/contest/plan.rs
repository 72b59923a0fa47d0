//! Which contender takes which load, in turns.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::contender::Contender;
use crate::in_server;
use crate::load::Load;
use crate::measure::{measure, postmaster, season};
use crate::report::{Figures, Report};
use crate::support::database::{self, Server};
use crate::usage::Usage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Hook,
    Spool,
    Naive,
    ParseOnly,
    InServer,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "sobot-hook",
            Self::Spool => "sobot-hook, spool",
            Self::Naive => "naive",
            Self::ParseOnly => "parse only",
            Self::InServer => "insert … select",
        }
    }
}

/// A turn: who takes what.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub workload: &'static str,
    pub who: Who,
    pub load: Load,
}

/// Customers write. Each of them some five times a turn, so that most conversations are known.
const ONE: Load =
    Load { kind: "message", events_per_post: 1, users: 10_000, apart: 1, connections: 64, pause: Duration::ZERO };
const TWENTY: Load = Load { kind: "message_twenty", events_per_post: 20, ..ONE };
const RECEIPTS: Load = Load { kind: "receipt", ..ONE };

pub const ONE_BY_1: &str = "one a post, 1 connection";
pub const ONE_BY_64: &str = "one a post, 64";
pub const ONE_BY_256: &str = "one a post, 256";
pub const TWENTY_BY_64: &str = "twenty a post, 64";
pub const RECEIPTS_SPREAD: &str = "receipts, 10,000 users";
pub const RECEIPTS_HOT: &str = "receipts, 100 users";
pub const DUPLICATES: &str = "duplicates";
pub const HALF: &str = "half of the saturating load";

const TURNS: [Turn; 16] = [
    turn(ONE_BY_64, Who::Hook, ONE),
    turn(ONE_BY_64, Who::Naive, ONE),
    turn(ONE_BY_64, Who::ParseOnly, ONE),
    turn(ONE_BY_64, Who::InServer, ONE),
    turn(TWENTY_BY_64, Who::Hook, TWENTY),
    turn(TWENTY_BY_64, Who::Naive, TWENTY),
    turn(TWENTY_BY_64, Who::ParseOnly, TWENTY),
    turn(ONE_BY_256, Who::Hook, Load { connections: 256, ..ONE }),
    turn(ONE_BY_256, Who::Naive, Load { connections: 256, ..ONE }),
    turn(ONE_BY_1, Who::Hook, Load { connections: 1, ..ONE }),
    turn(HALF, Who::Hook, Load { connections: 256, ..ONE }),
    turn(RECEIPTS_SPREAD, Who::Hook, RECEIPTS),
    turn(RECEIPTS_HOT, Who::Hook, Load { users: 100, ..RECEIPTS }),
    turn("opt-ins", Who::Hook, Load { kind: "optin", ..ONE }),
    turn(DUPLICATES, Who::Hook, Load { kind: "duplicate", ..ONE }),
    turn("PostgreSQL away", Who::Spool, ONE),
];

const fn turn(workload: &'static str, who: Who, load: Load) -> Turn {
    Turn { workload, who, load }
}

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
pub struct Stage {
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
