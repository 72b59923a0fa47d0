//! The load: wrk with the bodies of `load.lua`.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sobot_hook::clock;

/// What is posted, by how many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// As `load.lua` calls it.
    pub kind: &'static str,
    /// In one body.
    pub events_per_post: u32,
    /// How many users the events are about.
    pub users: u32,
    /// How far apart their ids are.
    pub apart: u32,
    /// Each posts again when it is answered.
    pub connections: u32,
    /// How long each connection rests on average before it posts again.
    pub pause: Duration,
}

/// What the callers saw.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub events: f64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// No two runs post the same event, but for duplicates, which are the same in all runs.
static RUNS: AtomicUsize = AtomicUsize::new(0);
static FIRST_RUN_MS: LazyLock<i64> = LazyLock::new(|| clock::now().timestamp_millis());

impl Load {
    /// Posts for some seconds.
    ///
    /// # Errors
    /// wrk cannot be run, or any answer was not 200.
    pub fn post(&self, webhook: &str, seconds: u32) -> Result<Answered> {
        let (run, start_ms) = match self.kind {
            "duplicate" => ("same".to_owned(), *FIRST_RUN_MS),
            _ => (RUNS.fetch_add(1, Ordering::Relaxed).to_string(), clock::now().timestamp_millis()),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/contest/load.lua");
        let output = Command::new("wrk")
            .args(["--threads", "1", "--timeout", "30s"])
            .args(["--connections", &self.connections.to_string(), "--duration", &format!("{seconds}s")])
            .arg("--script")
            .arg(script)
            .args([webhook, "--", self.kind, &run, &start_ms.to_string(), &self.users.to_string()])
            .args([self.apart.to_string(), self.pause.as_millis().to_string()])
            .output()
            .context("wrk cannot be run; ./dev bench installs it")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let result = said.lines().find_map(|line| line.strip_prefix("RESULT "));
        let result = result.with_context(|| format!("wrk says: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
        let numbers: Vec<f64> = result.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let &[posts, micros, p50, p99, failed] = numbers.as_slice() else { anyhow::bail!("wrk says: {said}") };
        ensure!(failed == 0.0 && posts > 0.0, "{failed} of {posts} posts were not answered with 200");
        Ok(Answered {
            events: posts * f64::from(self.events_per_post),
            seconds: micros / 1e6,
            p50_ms: p50 / 1e3,
            p99_ms: p99 / 1e3,
        })
    }
}
