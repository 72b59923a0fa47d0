//! The fuzz of the seams: bouts of several faults at once, each at a place of its own, until the time is over.
//!
//! After each bout the service must find its way back by itself: PostgreSQL takes events, and nothing waits in the spool.
//! While it goes on, a prober posts ten times a second over fresh connections (`prober`), and no stretch without a 200 may be
//! longer than the faults that excuse it plus ten seconds (`windows`). That is a promise with a bound, not a benchmark.

mod clock;
mod disk;
mod fault;
mod lock;
mod prober;
mod processes;
mod server;
mod service;
mod table_disk;
mod tables;
mod trigger;
mod windows;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use crate::stage::Stage;
use crate::support::database::{Server, create};
use crate::{balance, clients};
use clock::Clock;
use disk::SmallDisk;
use fault::{Deck, Fault, Place, Plan};
use prober::Prober;
use server::Processes;
use table_disk::TableDisk;
use tables::Analyst;
use tokio::task::spawn_blocking;
use windows::Windows;

/// Owner of the tables as in production, and no superuser, so that its rights can be revoked and its connections run out.
const ROLE: &str = "keeper";

/// A client rests up to so long between two posts: what waits during the longest fault must fit on the small disk.
const REST: Duration = Duration::from_millis(40);

/// What the faults act on, each place by itself.
struct Seams {
    // Unmounted before the stage removes the directory.
    disk: Option<SmallDisk>,
    stage: Stage,
    // Unmounted after the stage has stopped the server.
    table_disk: Option<TableDisk>,
    analyst: Analyst,
    clock: Option<Clock>,
}

impl Seams {
    async fn set() -> Self {
        let server = spawn_blocking(Server::start).await.unwrap();
        let table_disk = TableDisk::mount(&server).await;
        let direct = match &table_disk {
            Some(disk) => disk.create(&server).await,
            None => create(&server).await,
        };
        let mut stage = Stage::set(server, direct, ROLE, &[]).await;
        let analyst = Analyst::of(&stage.direct);
        analyst.give_away_to(ROLE).await;
        let disk = SmallDisk::mount(&stage.hook.data_dir);
        let clock = Clock::of(&mut stage.hook.environment);
        stage.hook.start().await;
        Self { disk, stage, table_disk, analyst, clock }
    }

    /// What can happen here. What is left out is said, also where the output of tests that pass is not shown.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Fault::ALL.to_vec();
        if self.disk.is_none() || self.table_disk.is_none() {
            left_out("full disks: only root can mount small ones");
            faults.retain(|fault| !matches!(fault, Fault::DiskFull | Fault::TableDiskFull));
        }
        if self.clock.is_none() {
            left_out("the clock that jumps: libfaketime is not installed; ./dev installs it");
            faults.retain(|fault| *fault != Fault::ClockJumps);
        }
        faults
    }

    /// Lets all the planned faults happen, and waits until they are over.
    async fn suffer(&mut self, plans: &[Plan], windows: &Windows) {
        let plan = |place| plans.iter().find(|plan| plan.fault.place() == place).cloned();
        let Self { disk, stage, table_disk, analyst, clock } = self;
        let server = Processes { server: &stage.server, direct: &stage.direct, table_disk: table_disk.as_ref() };
        tokio::join!(
            service::suffer(plan(Place::Service), &mut stage.hook, windows),
            server::suffer(plan(Place::Server), &server, windows),
            wire::suffer(plan(Place::Wire), &stage.proxy, windows),
            tables::suffer(plan(Place::Tables), analyst, windows),
            disk::suffer(plan(Place::Disk), disk.as_ref(), windows),
            clock::suffer(plan(Place::Clock), clock.as_ref(), windows),
        );
    }
}

fn left_out(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}");
}

pub async fn fuzz(time: Duration, mut rng: Rng, title: &str) {
    let mut seams = Seams::set().await;
    seams.stage.settle().await;
    let windows = Arc::new(Windows::default());
    let seen = Arc::clone(&seams.stage.seen);
    let target = seams.stage.hook.target();
    let clients = clients::start(&seen, &target, &mut rng, REST);
    let prober = Prober::start(&seen, &target, rng.fork());
    let mut deck = Deck::of(seams.faults());
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let end = Instant::now() + time;
    for bout in 1.. {
        if Instant::now() > end {
            break;
        }
        let plans = deck.deal(&mut rng);
        let names: Vec<&str> = plans.iter().map(|plan| plan.fault.name()).collect();
        windows.say(&format!("bout {bout}: {}", names.join(" + ")));
        Box::pin(seams.suffer(&plans, &windows)).await;
        let over = Instant::now();
        seams.stage.settle().await;
        windows.say(&format!("  all is stored {:.1} s later", over.elapsed().as_secs_f64()));
        for name in names {
            *faults.entry(name).or_default() += 1;
        }
    }
    seen.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let stretches = prober.stop().await;
    println!("{title}: faults {faults:?}");
    clock::forget(seams.stage.hook.service().pid());
    balance::check(&seams.stage, title).await;
    windows.check(&stretches, title);
}
