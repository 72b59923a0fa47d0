//! Those who post, and what they saw.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::bodies::{body, garbage};

pub const CLIENTS: u64 = 16;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the clients saw.
#[derive(Default)]
pub struct Seen {
    pub posts: AtomicU64,
    pub refused: AtomicU64,
    pub broken: AtomicU64,
    pub acknowledged_while_away: AtomicU64,
    pub is_away: AtomicBool,
    pub stop: AtomicBool,
    pub acknowledged: Mutex<HashSet<String>>,
    pub quarantined: AtomicU64,
}

impl Seen {
    /// The answer to a body that holds these events.
    pub fn answered(&self, status: &reqwest::Result<u16>, marks: &[String], is_garbage: bool) -> bool {
        match status {
            Ok(200) => self.acknowledged.lock().unwrap().extend(marks.iter().cloned()),
            Ok(400) if is_garbage => _ = self.quarantined.fetch_add(1, Ordering::Relaxed),
            Ok(503) => _ = self.refused.fetch_add(1, Ordering::Relaxed),
            Ok(status) => panic!("{status} for {marks:?}"),
            Err(_) => _ = self.broken.fetch_add(1, Ordering::Relaxed),
        }
        matches!(status, Ok(200 | 400))
    }
}

/// Where the service listens: it changes with each start.
pub type Target = Arc<Mutex<String>>;

/// Posts a body and tells the answer's status.
pub async fn post(http: &reqwest::Client, target: &Target, body: String) -> reqwest::Result<u16> {
    let url = target.lock().unwrap().clone();
    Ok(http.post(url).body(body).send().await?.status().as_u16())
}

pub fn http() -> reqwest::ClientBuilder {
    sobot_hook::outbound::client::builder().timeout(PATIENCE).no_proxy()
}

/// Starts the clients, each of which rests at most so long after a post.
pub fn start(seen: &Arc<Seen>, target: &Target, rng: &mut Rng, rest: Duration) -> Vec<JoinHandle<()>> {
    let http = http().build().unwrap();
    let client = |number| client(Arc::clone(seen), Arc::clone(target), http.clone(), rng.fork(), number, rest);
    (0..CLIENTS).map(client).map(tokio::spawn).collect()
}

async fn client(seen: Arc<Seen>, target: Target, http: reqwest::Client, mut rng: Rng, client: u64, rest: Duration) {
    let mut sent: Vec<(String, Vec<String>)> = Vec::new();
    for number in 0.. {
        if seen.stop.load(Ordering::Relaxed) {
            return;
        }
        let is_garbage = rng.u8(..50) == 0;
        let (body, marks) = match rng.u8(..5) {
            _ if is_garbage => (garbage(client, number), Vec::new()),
            0 if !sent.is_empty() => sent[rng.usize(..sent.len())].clone(),
            _ => body(&mut rng, client, number),
        };
        seen.posts.fetch_add(1, Ordering::Relaxed);
        let away_before = seen.is_away.load(Ordering::SeqCst);
        let status = post(&http, &target, body.clone()).await;
        let is_taken = matches!(status, Ok(200));
        if is_taken && away_before && seen.is_away.load(Ordering::SeqCst) {
            seen.acknowledged_while_away.fetch_add(1, Ordering::Relaxed);
        }
        if !seen.answered(&status, &marks, is_garbage) {
            sleep(Duration::from_millis(20)).await;
        } else if is_taken && sent.len() < 1_000 {
            sent.push((body, marks));
        }
        if !rest.is_zero() {
            sleep(rest.mul_f64(rng.f64())).await;
        }
    }
}
