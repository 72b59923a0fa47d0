//! The queue, and the writers that empty it.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::circuit::{Circuit, DatabaseState};
use super::drain::Drain;
use super::job::{Job, Parsed, Refusal, Room, Submission};
use super::writer::Writer;
use crate::spool::Spool;
use crate::store::Store;
use crate::telemetry::metrics::{self, Origin, Outcome};

/// Requests that wait for a writer.
pub const QUEUE_REQUESTS: usize = 4_096;

/// Bodies that are being read, wait or are being written, and their events: 32 MiB. In all their forms (bytes, index,
/// statement) that is some 150 MiB at worst.
pub const QUEUE_BYTES: usize = 32 << 20;

/// Two writers: while one waits for its commit to reach the disk, the other one fills the next.
const WRITERS: usize = 2;

/// Takes requests and has them written.
#[derive(Debug)]
pub struct Intake {
    store: Store,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    room: Arc<Semaphore>,
    circuit: Arc<Circuit>,
    stop_drain: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Intake {
    /// Starts the writers, and once PostgreSQL may be `reached` the drain, which closes the circuit when it has got through.
    #[must_use]
    pub fn start(store: &Store, spool: &Spool, circuit: Arc<Circuit>, reached: oneshot::Receiver<()>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_REQUESTS);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let under_way = watch::Sender::new(0);
        let (stop_drain, mut stop) = watch::channel(false);
        let drain = Drain::new(store.clone(), spool.clone(), Arc::clone(&circuit));
        let mut tasks = vec![tokio::spawn(async move {
            tokio::select! {
                // Unsent, everything is about to end.
                _ = reached => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            drain.run(stop).await;
        })];
        let refused = Arc::default();
        for _ in 0..WRITERS {
            let (spool, circuit, refused) = (spool.clone(), Arc::clone(&circuit), Arc::clone(&refused));
            let writer = Writer { session: store.session(), spool, circuit, refused };
            tasks.push(tokio::spawn(writer.run(Arc::clone(&waiting), under_way.clone())));
        }
        Self {
            store: store.clone(),
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            circuit,
            stop_drain,
            tasks: Mutex::new(tasks),
        }
    }

    /// Takes room for a body, before it is read.
    ///
    /// # Errors
    /// There is none.
    pub fn reserve(&self, bytes: usize) -> Result<Room, Refusal> {
        let bytes = u32::try_from(bytes.min(QUEUE_BYTES)).map_err(|_| Refusal::Full)?;
        Arc::clone(&self.room).try_acquire_many_owned(bytes).map(Room).map_err(|_| Refusal::Full)
    }

    /// Queues a request and waits until everything in it is committed.
    ///
    /// # Errors
    /// Not everything is committed; the request may be repeated as it is, unless it is no JSON and not to be kept.
    pub async fn submit(&self, submission: Submission, mut room: Room) -> Result<(), Refusal> {
        // Before it is counted: whoever goes away meanwhile has not come.
        if let Parsed::Unreadable(_) = submission.content
            && !self.store.reserve_quarantine(submission.body.len()).await
        {
            metrics::received(Origin::Webhook, submission.events());
            metrics::event("any", Outcome::Refused, submission.events());
            return Err(Refusal::QuarantineFull);
        }
        let (done, outcome) = oneshot::channel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Refusal::Closed)?;
        let events = submission.events();
        metrics::received(Origin::Webhook, events);
        let queued = self.reserve(submission.events_bytes()).and_then(|more| {
            room.0.merge(more.0);
            queue.try_send(Job { submission, done, _room: room }).map_err(|_| Refusal::Full)
        });
        if let Err(refusal) = queued {
            metrics::event("any", Outcome::Refused, events);
            return Err(refusal);
        }
        drop(queue);
        outcome.await.unwrap_or(Err(Refusal::Away))
    }

    /// How many requests wait for a writer.
    pub fn waiting(&self) -> usize {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// What is known of PostgreSQL.
    pub fn database(&self) -> DatabaseState {
        self.circuit.state()
    }

    /// By how much PostgreSQL's clock is ahead of the service's, once PostgreSQL has been looked at.
    pub fn clock_skew(&self) -> Option<TimeDelta> {
        self.store.clock_skew()
    }

    /// Takes nothing more and waits until the queue is written. What waits in the spool stays there.
    pub async fn close(&self) {
        self.stop_drain.send_replace(true);
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(panicked = error.is_panic(), "a writer ended before its time");
            }
        }
    }
}
