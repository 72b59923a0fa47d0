//! The ordinary chaos: one act after the other, each with everything it takes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::stage::{Stage, crash, resume};

/// The acts of the first minute; a longer run goes on with random ones.
pub const SCRIPT: [&str; 8] = [
    "kill -9",
    "PostgreSQL stopped",
    "SIGTERM",
    "kill -9 while PostgreSQL is away",
    "wire cut",
    "kill -9",
    "spool filled",
    "PostgreSQL stopped",
];

pub async fn perform(act: &'static str, stage: &mut Stage, rng: &mut Rng) {
    let pause = Duration::from_millis(rng.u64(500..3_000));
    match act {
        "kill -9" => {
            stage.hook.kill();
            stage.hook.start().await;
        }
        "PostgreSQL stopped" => away(stage, pause, false).await,
        "kill -9 while PostgreSQL is away" => away(stage, pause, true).await,
        "wire cut" => {
            stage.proxy.cut();
            sleep(pause).await;
            stage.proxy.mend();
        }
        "spool filled" => {
            let refused = stage.seen.refused.load(Ordering::Relaxed);
            crash(&stage.server).await;
            let patience = Instant::now() + Duration::from_secs(20);
            while stage.seen.refused.load(Ordering::Relaxed) == refused && Instant::now() < patience {
                sleep(Duration::from_millis(50)).await;
            }
            resume(&stage.server).await;
        }
        "SIGTERM" => {
            stage.hook.terminate().await;
            stage.hook.start().await;
        }
        _ => unreachable!("{act}"),
    }
    sleep(Duration::from_millis(rng.u64(500..2_500))).await;
}

async fn away(stage: &mut Stage, time: Duration, with_kill: bool) {
    crash(&stage.server).await;
    stage.seen.is_away.store(true, Ordering::SeqCst);
    sleep(time / 2).await;
    if with_kill {
        stage.hook.kill();
        stage.hook.start().await;
    }
    sleep(time / 2).await;
    stage.seen.is_away.store(false, Ordering::SeqCst);
    resume(&stage.server).await;
}
