//! A writer: gathers what waits, commits it, tells everyone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, mpsc};

use super::job::{Content, Job, Refusal};
use crate::messenger::{Event, Kind};
use crate::store::{Batch, Quarantined, Store, StoreError};
use crate::telemetry::metrics::{self, Outcome};

/// Beyond this a larger transaction gains nothing, and its callers wait longer.
pub const BATCH_EVENTS: usize = 1_000;

/// A lost connection or a conflict is tried again at once. The pool holds fewer connections than this
/// that can have gone stale while PostgreSQL restarted.
const TRIES: usize = 8;

/// Writes until the queue is closed and empty.
pub async fn run(store: Store, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
    loop {
        // Only one writer waits; the others are committing, or wait for their turn here.
        let jobs = gather(&mut *queue.lock().await).await;
        if jobs.is_empty() {
            return;
        }
        write(&store, jobs).await;
    }
}

/// Waits for a request and takes what has arrived besides; nothing once the queue is closed and empty.
async fn gather(queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut jobs: Vec<Job> = queue.recv().await.into_iter().collect();
    let mut events: usize = jobs.iter().map(|job| job.submission.events()).sum();
    while events < BATCH_EVENTS {
        let Ok(job) = queue.try_recv() else { break };
        events += job.submission.events();
        jobs.push(job);
    }
    jobs
}

/// The smallest thing that is stored or fails by itself, with the index of its job.
#[derive(Clone, Copy)]
enum Unit<'a> {
    Event(usize, &'a Event),
    Quarantined(usize, Kind, Quarantined<'a>),
}

impl Unit<'_> {
    fn job(&self) -> usize {
        match self {
            Self::Event(job, _) | Self::Quarantined(job, _, _) => *job,
        }
    }
}

async fn write(store: &Store, jobs: Vec<Job>) {
    let mut units = Vec::new();
    for (index, Job { submission, .. }) in jobs.iter().enumerate() {
        match &submission.content {
            Content::Events(events) => units.extend(events.iter().map(|event| Unit::Event(index, event))),
            Content::Unreadable(reason) => {
                let row = Quarantined { received_at: submission.received_at, reason, raw: &submission.body };
                units.push(Unit::Quarantined(index, Kind::Other, row));
            }
        }
    }
    let unstored = write_units(store, &jobs, units).await;
    for (index, job) in jobs.into_iter().enumerate() {
        let outcome = if unstored.contains(&index) { Err(Refusal::Away) } else { Ok(()) };
        // A caller that has gone away needs no answer.
        let _ = job.done.send(outcome);
    }
}

/// Commits all units, in ever smaller transactions when PostgreSQL refuses some row, down to the culprit,
/// which goes into quarantine. Returns the jobs of which something could not be stored.
async fn write_units(store: &Store, jobs: &[Job], units: Vec<Unit<'_>>) -> HashSet<usize> {
    let mut unstored = HashSet::new();
    let mut pending = vec![units];
    while let Some(mut units) = pending.pop() {
        match commit(store, &units).await {
            Ok(()) => {}
            Err(StoreError::Data(_)) if units.len() > 1 => {
                let rest = units.split_off(units.len() / 2);
                pending.extend([rest, units]);
            }
            Err(StoreError::Data(reason)) => match units[0] {
                Unit::Event(job, event) => {
                    tracing::error!(%reason, kind = event.kind.as_str(), "PostgreSQL refused an event; its body goes into quarantine");
                    let Job { submission, .. } = &jobs[job];
                    let row = Quarantined {
                        received_at: submission.received_at,
                        reason: "PostgreSQL refused an event of this body",
                        raw: &submission.body,
                    };
                    pending.push(vec![Unit::Quarantined(job, event.kind, row)]);
                }
                Unit::Quarantined(job, _, _) => {
                    tracing::error!(%reason, "PostgreSQL refused a body for the quarantine");
                    unstored.insert(job);
                }
            },
            Err(error) => {
                tracing::error!(%error, events = units.len(), "could not store a batch");
                unstored.extend(pending.iter().flatten().chain(&units).map(Unit::job));
                break;
            }
        }
    }
    unstored
}

/// One transaction, tried again where that may help.
async fn commit(store: &Store, units: &[Unit<'_>]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    for unit in units {
        match unit {
            Unit::Event(_, event) => batch.events.push(event),
            Unit::Quarantined(_, _, row) => batch.quarantined.push(*row),
        }
    }
    let started = Instant::now();
    let mut tries = 1;
    let committed = loop {
        match store.commit(&batch).await {
            Err(StoreError::Conflict(_) | StoreError::Lost(_)) if tries < TRIES => tries += 1,
            outcome => break outcome?,
        }
    };
    metrics::committed(units.len(), started.elapsed());
    for (event, is_new) in batch.events.iter().zip(committed.is_new) {
        let outcome = if is_new { Outcome::Stored } else { Outcome::Duplicate };
        metrics::event(event.kind.as_str(), outcome);
        if let Some(page) = &event.page_id {
            metrics::page_seen(page);
        }
    }
    for unit in units {
        if let Unit::Quarantined(_, kind, _) = unit {
            metrics::event(kind.as_str(), Outcome::Quarantined);
        }
    }
    Ok(())
}
