//! The queue, and the writers that empty it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::job::{Job, Refusal, Submission};
use super::writer;
use crate::store::Store;

/// Requests that wait for a writer.
pub const QUEUE_REQUESTS: usize = 4_096;

/// Memory of what waits or is being written: 32 MiB.
pub const QUEUE_BYTES: usize = 32 << 20;

/// Two writers: while one waits for its commit to reach the disk, the other one fills the next.
const WRITERS: usize = 2;

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
