//! The acknowledgement as a proved promise: clients post, and everything that can fail does.
//!
//! **The ordinary chaos** (`acts`): a seeded script kills the service (also while PostgreSQL is away), ends PostgreSQL at
//! once, cuts the wire to it, fills the spool's quota and sends SIGTERM, one act after the other.
//!
//! **The fuzz of the seams** (`seams`): several faults at once, each where two parts meet: locks that others hold, frozen
//! sockets and processes, triggers that raise, rights that are revoked, a full disk, a clock that jumps, and the acts above.
//!
//! Meanwhile sixteen clients post random bodies and repetitions. At the end (`balance`) every acknowledged event must be in the
//! journal, none twice, the state must be what the journal says, and the counts of the last process must add up.
//!
//! `./dev chaos [--seams] --minutes N --seed S` runs either for longer. The same seed gives the same bodies and the same script;
//! only how the faults of the one meet the posts of the other depends on the machine.

mod acts;
mod balance;
mod bodies;
mod clients;
mod hook;
mod seams;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use stage::Stage;
use support::database::{Server, create};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// Each of the two is to have the machine for itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// Small enough to be full now and then.
const SPOOL_BYTES: &str = "4000000";

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// For how long, the seed, and both as a title.
fn run(minutes: f64) -> (Duration, u64, String) {
    let (minutes, seed) = (setting("CHAOS_MINUTES", minutes), setting("CHAOS_SEED", 1));
    let time = Duration::from_secs_f64(minutes * 60.0);
    (time, seed, format!("seed {seed}, {} s", time.as_secs()))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_whatever_fails() {
    let _turn = TURN.lock().await;
    let (time, seed, title) = run(0.25);
    let mut rng = Rng::with_seed(seed);
    let environment =
        [("SOBOT_HOOK__SPOOL__MAX_BYTES", SPOOL_BYTES), ("SOBOT_HOOK__HTTP__BODY_LIMIT_BYTES", "1000000")];
    let server = spawn_blocking(Server::start).await.unwrap();
    let direct = create(&server).await;
    let mut stage = Stage::set(server, direct, "sobot_hook", &environment).await;
    stage.hook.start().await;
    let clients = clients::start(&stage.seen, &stage.hook.target(), &mut rng, Duration::ZERO);
    let end = Instant::now() + time;
    let mut acts: BTreeMap<&str, u64> = BTreeMap::new();
    for round in 0.. {
        if Instant::now() > end {
            break;
        }
        let act = acts::SCRIPT.get(round).copied().unwrap_or_else(|| rng.choice(acts::SCRIPT).unwrap());
        *acts.entry(act).or_default() += 1;
        acts::perform(act, &mut stage, &mut rng).await;
    }
    stage.seen.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    println!("{acts:?}");
    balance::check(&stage, &title).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn intake_goes_on_whatever_the_seams_do() {
    let _turn = TURN.lock().await;
    let (time, seed, title) = run(0.4);
    Box::pin(seams::fuzz(time, Rng::with_seed(seed), &title)).await;
}
