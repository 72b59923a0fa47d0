//! From parsed requests to committed rows: many requests share one transaction, and each of them learns
//! when its own events are safe.
//!
//! Guarantees: [`Intake::submit`] answers `Ok` only after the commit of everything in the request; a
//! caller that goes away does not stop its write; after [`Intake::close`] what was queued is still
//! written. Limits: [`QUEUE_REQUESTS`] requests and [`QUEUE_BYTES`] bytes wait at most, a transaction
//! takes [`writer::BATCH_EVENTS`] events (or one request, if that has more).
//!
//! There is no linger timer: a writer takes whatever waits, commits, and takes the next. A lone request
//! pays one commit; in a flood the requests that arrive during one commit share the next one.

mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::messenger::Event;
use crate::store::Store;

/// Requests that wait for a writer.
pub const QUEUE_REQUESTS: usize = 4_096;

/// Memory of what waits or is being written: 32 MiB.
pub const QUEUE_BYTES: usize = 32 << 20;

/// What an event takes in memory beside the body that it shares.
const EVENT_BYTES: usize = 512;

/// Two writers: while one waits for its commit to reach the disk, the other one fills the next.
const WRITERS: usize = 2;

/// One request's content.
#[derive(Debug)]
pub struct Submission {
    /// All bytes of the request.
    pub body: Bytes,
    /// When they had arrived.
    pub received_at: DateTime<Utc>,
    /// What they hold.
    pub content: Content,
}

/// What a body holds.
#[derive(Debug)]
pub enum Content {
    /// Events.
    Events(Vec<Event>),
    /// No JSON: for the quarantine, with the reason.
    Unreadable(String),
}

/// Why a request was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// As much waits as may wait.
    #[error("the queue is full")]
    Full,
    /// Nothing new is taken any more.
    #[error("shutting down")]
    Closed,
    /// PostgreSQL could not take it.
    #[error("the database is away")]
    Away,
}

/// One waiting request.
struct Job {
    submission: Submission,
    done: oneshot::Sender<Result<(), Refusal>>,
    _room: OwnedSemaphorePermit,
}

/// Takes requests and has them written.
#[derive(Debug)]
pub struct Intake {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    room: Arc<Semaphore>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl Intake {
    /// Starts the writers.
    #[must_use]
    pub fn start(store: &Store) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_REQUESTS);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let writers = (0..WRITERS).map(|_| tokio::spawn(writer::run(store.clone(), Arc::clone(&waiting)))).collect();
        Self {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            writers: Mutex::new(writers),
        }
    }

    /// Queues a request and waits until everything in it is committed.
    ///
    /// # Errors
    /// Not everything is committed; the request may be repeated as it is.
    pub async fn submit(&self, submission: Submission) -> Result<(), Refusal> {
        let (done, outcome) = oneshot::channel();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Refusal::Closed)?;
        let cost = submission.memory_bytes().min(QUEUE_BYTES);
        let cost = u32::try_from(cost).map_err(|_| Refusal::Full)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(cost).map_err(|_| Refusal::Full)?;
        queue.try_send(Job { submission, done, _room: room }).map_err(|_| Refusal::Full)?;
        drop(queue);
        outcome.await.unwrap_or(Err(Refusal::Away))
    }

    /// How many requests wait for a writer.
    pub fn waiting(&self) -> usize {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Takes nothing more and waits until the queue is written.
    pub async fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writers = std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
        for writer in writers {
            if let Err(error) = writer.await {
                tracing::error!(panicked = error.is_panic(), "a writer ended before its time");
            }
        }
    }
}

impl Submission {
    /// How many events it counts as: bytes that are no JSON are one.
    pub fn events(&self) -> usize {
        match &self.content {
            Content::Events(events) => events.len(),
            Content::Unreadable(_) => 1,
        }
    }

    fn memory_bytes(&self) -> usize {
        self.body.len() + self.events() * EVENT_BYTES
    }
}
