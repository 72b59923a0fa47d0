//! A writer: gathers what waits, puts it into PostgreSQL or else into the spool, tells everyone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::circuit::Circuit;
use super::job::{Job, Refusal, Submission};
use super::storing::{BATCH_EVENTS, WhenSlow, store_all};
use crate::spool::{Spool, SpoolError};
use crate::store::Session;
use crate::telemetry::metrics::{self, Outcome};
use crate::telemetry::repeated::Repeated;

/// Bytes of bodies a transaction: 4 MiB, and one body more. A statement of them takes several times as much, in
/// this process and in PostgreSQL's.
pub const BATCH_BYTES: usize = 4 << 20;

/// A healthy transaction takes a few milliseconds. For one that takes longer nobody should wait.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Where a writer puts things.
#[derive(Debug)]
pub struct Writer {
    pub session: Session,
    pub spool: Spool,
    pub circuit: Arc<Circuit>,
    /// Requests that neither PostgreSQL nor the spool took, of all writers.
    pub refused: Arc<Mutex<Repeated>>,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub async fn run(mut self, queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Job>>>, under_way: watch::Sender<usize>) {
        loop {
            // Only one writer gathers; the others are writing, or wait for their turn here.
            let mut queue = queue.lock().await;
            let jobs = gather(&mut queue, &mut under_way.subscribe()).await;
            if jobs.is_empty() {
                return;
            }
            let requests = jobs.len();
            under_way.send_modify(|under_way| *under_way += requests);
            drop(queue);
            self.write(jobs).await;
            under_way.send_modify(|under_way| *under_way -= requests);
        }
    }

    async fn write(&mut self, jobs: Vec<Job>) {
        let unstored = self.store(&jobs).await;
        let is_stored = unstored.iter().all(|events| *events == 0);
        if is_stored {
            self.tell_the_end_of_refusals();
        }
        let spooled = if is_stored { Vec::new() } else { self.spool(&jobs, &unstored).await };
        let mut spooled = spooled.into_iter();
        for (job, events) in jobs.into_iter().zip(unstored) {
            let outcome = if events == 0 { Ok(()) } else { spooled.next().unwrap_or(Err(Refusal::Away)) };
            // A caller that has gone away needs no answer.
            let _ = job.done.send(outcome);
        }
    }

    fn refused(&self) -> MutexGuard<'_, Repeated> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_the_end_of_refusals(&self) {
        if let Some(requests) = self.refused().ended() {
            tracing::info!(requests, "requests are taken again; so many were refused");
        }
    }

    /// Of how many events each request still holds the only copy.
    async fn store(&mut self, jobs: &[Job]) -> Vec<usize> {
        let requests: Vec<&Submission> = jobs.iter().map(|job| &job.submission).collect();
        if self.circuit.is_open() {
            return requests.iter().map(|request| request.events()).collect();
        }
        let outcome = store_all(&mut self.session, &requests, WhenSlow::GiveUp).await;
        if let Some(reason) = outcome.reason.filter(|_| outcome.is_away) {
            self.circuit.open(&reason);
        }
        outcome.left
    }

    /// Spools the whole body of each request that is not stored whole: what is stored of it will be a duplicate.
    async fn spool(&self, jobs: &[Job], unstored: &[usize]) -> Vec<Result<(), Refusal>> {
        let requests: Vec<_> = jobs.iter().zip(unstored).filter(|(_, events)| **events > 0).collect();
        let bodies = requests.iter().map(|(job, _)| (job.submission.received_at, job.submission.body.clone()));
        let answers = self.spool.append(bodies.collect()).await;
        let refused = answers.iter().filter(|answer| answer.is_err()).count() as u64;
        if let Some(Err(reason)) = answers.iter().find(|answer| answer.is_err())
            && let Some(requests) = self.refused().happened(refused, Instant::now().into_std())
        {
            tracing::error!(%reason, requests, "neither PostgreSQL nor the spool takes events; requests are refused");
        }
        if refused == 0 {
            self.tell_the_end_of_refusals();
        }
        let settle = |((_, events), answer): (&(&Job, &usize), Result<(), SpoolError>)| {
            let outcome = if answer.is_ok() { Outcome::Spooled } else { Outcome::Refused };
            metrics::event("any", outcome, **events);
            answer.map_err(|_| Refusal::Away)
        };
        requests.iter().zip(answers).map(settle).collect()
    }
}

/// Waits for a request and takes what arrives besides, until it is as much as is under way; nothing once the queue is
/// closed and empty.
///
/// A transaction has a price beside that of its events. Two that are equally large are the cheapest way to keep
/// two busy; without this rule the second writer would run after each single request that arrives during a large
/// transaction of the first. Whoever is alone waits for nobody: then nothing is under way.
///
/// When nothing waits any more, it lets the scheduler take one turn, which brings the requests that
/// are being read at this moment. Callers that have just been answered post again at about the same time; without
/// this, the first of them would get a transaction of its own, and all others wait for it.
async fn gather(queue: &mut mpsc::Receiver<Job>, under_way: &mut watch::Receiver<usize>) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    let (mut events, mut bytes) = (0, 0);
    let mut next = queue.recv().await;
    let deadline = Instant::now() + LONGEST_WAIT;
    while let Some(job) = next {
        events += job.submission.events();
        bytes += job.submission.body.len();
        jobs.push(job);
        if events >= BATCH_EVENTS || bytes >= BATCH_BYTES {
            break;
        }
        next = tokio::select! {
            biased;
            job = queue.recv() => job,
            () = are_at_most(under_way, jobs.len(), deadline) => None,
        };
        if next.is_none() {
            tokio::task::yield_now().await;
            next = queue.try_recv().ok();
        }
    }
    jobs
}

async fn are_at_most(under_way: &mut watch::Receiver<usize>, requests: usize, deadline: Instant) {
    // Either outcome says that there is nothing more to wait for.
    let _ = timeout_at(deadline, under_way.wait_for(|under_way| *under_way <= requests)).await;
}
