//! Asks ten times a second whether intake goes on: an event each time, over a connection of its own.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::windows::Span;
use crate::bodies::body;
use crate::clients::{CLIENTS, Seen, Target, http, post};

const INTERVAL: Duration = Duration::from_millis(100);

pub struct Prober {
    /// When it began, each 200, and when it ended.
    answers: Arc<Mutex<Vec<Instant>>>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Starts it; it goes on until the clients are to stop.
    pub fn start(seen: &Arc<Seen>, target: &Target, rng: Rng) -> Self {
        let answers = Arc::new(Mutex::new(vec![Instant::now()]));
        let task = tokio::spawn(probe(Arc::clone(seen), Arc::clone(target), rng, Arc::clone(&answers)));
        Self { answers, task }
    }

    /// Waits for the last answers, and tells the stretches between two 200s.
    pub async fn stop(self) -> Vec<Span> {
        self.task.await.unwrap();
        let mut answers = std::mem::take(&mut *self.answers.lock().unwrap());
        answers.sort();
        answers.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

/// No probe waits for another one.
async fn probe(seen: Arc<Seen>, target: Target, mut rng: Rng, answers: Arc<Mutex<Vec<Instant>>>) {
    let http = http().pool_max_idle_per_host(0).build().unwrap();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut probes = JoinSet::new();
    for number in 0.. {
        ticks.tick().await;
        if seen.stop.load(Ordering::Relaxed) {
            break;
        }
        while probes.try_join_next().map(Result::unwrap).is_some() {}
        let (body, marks) = body(&mut rng, CLIENTS, number);
        let (seen, target, http, answers) =
            (Arc::clone(&seen), Arc::clone(&target), http.clone(), Arc::clone(&answers));
        probes.spawn(async move {
            seen.posts.fetch_add(1, Ordering::Relaxed);
            let status = post(&http, &target, body).await;
            if seen.answered(&status, &marks, false) {
                answers.lock().unwrap().push(Instant::now());
            }
        });
    }
    let end = Instant::now();
    while probes.join_next().await.map(Result::unwrap).is_some() {}
    answers.lock().unwrap().push(end);
}
