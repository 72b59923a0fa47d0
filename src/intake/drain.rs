//! The drain: puts what waits in the spool into PostgreSQL, oldest first, the same way as a request; and, while
//! PostgreSQL is away, asks whether it is back.
//!
//! A body leaves the spool only after the commit of all it holds. Killed in between, the drain stores it again,
//! which changes nothing. A body that PostgreSQL refuses goes into quarantine like any other, and the rest go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::circuit::Circuit;
use super::job::{Parsed, Submission};
use super::storing::{BATCH_EVENTS, WhenSlow, store_all};
use super::writer::BATCH_BYTES;
use crate::spool::{Entry, Spool};
use crate::store::{MigrationError, Session, Store, StoreError};
use crate::telemetry::metrics::{self, Origin};

/// Bodies a transaction.
const BATCH_ENTRIES: usize = 500;

/// How often an absent PostgreSQL is asked, and an empty spool looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// What drains the spool.
#[derive(Debug)]
pub struct Drain {
    pub store: Store,
    pub session: Session,
    pub spool: Spool,
    pub circuit: Arc<Circuit>,
    /// Why PostgreSQL takes nothing, as logged last.
    pub complaint: String,
}

impl Drain {
    /// Drains until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = tokio::select! {
                pause = self.step() => pause,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Drains one batch and tells how long to rest.
    async fn step(&mut self) -> Duration {
        if self.circuit.is_open()
            && let Err(reason) = self.greet().await
        {
            self.complain(&reason);
            return PAUSE;
        }
        let started = Instant::now();
        let drained = self.drain_batch().await;
        match &drained {
            Ok(_) => {
                self.complaint.clear();
                self.circuit.close();
            }
            Err(reason) => {
                self.circuit.open(reason);
                self.complain(&reason.to_string());
            }
        }
        // As long a rest as the work took leaves half of PostgreSQL to live traffic.
        if drained.is_ok_and(|bodies| bodies > 0) { started.elapsed() } else { PAUSE }
    }

    /// Says why PostgreSQL does not take what waits, once a reason.
    fn complain(&mut self, reason: &str) {
        if self.complaint != reason {
            tracing::warn!(reason, "what waits in the spool cannot be stored yet");
            reason.clone_into(&mut self.complaint);
        }
    }

    /// PostgreSQL may have come up empty, or only now for the first time.
    async fn greet(&self) -> Result<(), String> {
        self.store.ping().await.map_err(|error| error.to_string())?;
        match self.store.migrate().await {
            // A newer version has been here meanwhile. What this one calls is still there.
            Ok(()) | Err(MigrationError::Newer) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// How many bodies were put into PostgreSQL.
    async fn drain_batch(&mut self) -> Result<usize, StoreError> {
        // An unreadable spool shows in readiness; here there is nothing to drain from.
        let mut entries = self.spool.oldest(BATCH_ENTRIES, BATCH_BYTES).await.unwrap_or_default();
        if entries.is_empty() {
            return Ok(0);
        }
        // As many as make a transaction; the others wait for the next turn.
        let mut submissions: Vec<Submission> = Vec::new();
        let mut events = 0;
        for entry in &entries {
            if events >= BATCH_EVENTS {
                break;
            }
            let submission = submission(entry);
            events += submission.events();
            submissions.push(submission);
        }
        entries.truncate(submissions.len());
        metrics::received(Origin::Spool, events);
        let requests: Vec<&Submission> = submissions.iter().collect();
        let stored = store_all(&mut self.session, &requests, WhenSlow::TryLess).await;
        // What is stored of a body whose rest is not will be a duplicate the next time.
        let is_stored = |index: usize| stored.as_ref().err().is_none_or(|unstored| unstored.events[index] == 0);
        let (done, kept): (Vec<_>, Vec<_>) = entries.into_iter().enumerate().partition(|(index, _)| is_stored(*index));
        let done: Vec<Entry> = done.into_iter().map(|(_, entry)| entry).collect();
        if let Err(unstored) = &stored {
            let left = kept.iter().map(|(index, _)| unstored.events[*index]).sum();
            metrics::event("any", metrics::Outcome::Spooled, left);
        }
        if !done.is_empty()
            && let Err(error) = self.spool.remove(&done).await
        {
            tracing::error!(%error, "stored bodies could not be removed from the spool; they will be stored again");
            return Ok(0);
        }
        stored.map_err(|unstored| unstored.reason)?;
        Ok(done.len())
    }
}

fn submission(entry: &Entry) -> Submission {
    let mut submission = Submission::read(entry.body.clone(), entry.received_at);
    if !entry.is_intact {
        submission.content = Parsed::Unreadable("damaged in the spool: the check sum differs".to_owned());
    }
    submission
}
