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
use crate::store::{Schema, Session, Store, StoreError};
use crate::telemetry::metrics::{self, Origin};

/// Bodies a transaction.
const BATCH_ENTRIES: usize = 500;

/// How often an absent PostgreSQL is asked, and an empty spool looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// How often PostgreSQL is looked at while it takes events, so that its absence is known before a request finds it out.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// What could not be stored is tried again after so long.
const PAUSE_BEFORE_LEFT: Duration = Duration::from_secs(5);

/// A migration has so long, and twice as long each time that it was not enough.
const MIGRATION_LIMIT: Duration = Duration::from_secs(30);
const MAX_MIGRATION_LIMIT: Duration = Duration::from_hours(4);

/// What drains the spool.
#[derive(Debug)]
pub struct Drain {
    store: Store,
    session: Session,
    spool: Spool,
    circuit: Arc<Circuit>,
    looked_at: Option<Instant>,
    migration_limit: Duration,
    /// What lies before this entry could not be stored at this turn.
    after: i64,
    /// Bodies stored since the spool was last empty.
    drained: usize,
    /// Why PostgreSQL does not take something, as logged last.
    complaint: String,
}

impl Drain {
    pub fn new(store: Store, spool: Spool, circuit: Arc<Circuit>) -> Self {
        let session = store.session();
        let (migration_limit, complaint) = (MIGRATION_LIMIT, String::new());
        Self { store, session, spool, circuit, looked_at: None, migration_limit, after: 0, drained: 0, complaint }
    }

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
        let drained = match self.look().await {
            Ok(()) => self.drain_batch().await,
            Err(reason) => Err(reason),
        };
        match drained {
            Ok(pause) => {
                self.circuit.close();
                pause
            }
            Err(reason) => {
                self.circuit.open(&reason);
                self.complain(&reason);
                PAUSE
            }
        }
    }

    /// Says why PostgreSQL does not take what waits, once a reason.
    fn complain(&mut self, reason: &StoreError) {
        let reason = reason.to_string();
        if self.complaint != reason {
            tracing::warn!(reason, "what waits in the spool cannot be stored yet");
            self.complaint = reason;
        }
    }

    /// PostgreSQL may have gone, come up empty, or only now for the first time.
    async fn look(&mut self) -> Result<(), StoreError> {
        let is_fresh = self.looked_at.is_some_and(|looked_at| looked_at.elapsed() < LOOK_INTERVAL);
        if is_fresh && !self.circuit.is_open() {
            return Ok(());
        }
        let schema = self.session.look().await?;
        if !matches!(schema, Schema::Current | Schema::Ahead) {
            if let Schema::Behind(pending) = schema {
                self.circuit.await_migrations(pending);
            }
            let started = Instant::now();
            let migrated = self.store.migrate(self.migration_limit).await;
            if started.elapsed() >= self.migration_limit {
                self.migration_limit = (2 * self.migration_limit).min(MAX_MIGRATION_LIMIT);
            }
            migrated?;
        }
        self.looked_at = Some(Instant::now());
        Ok(())
    }

    /// Puts a batch into PostgreSQL and tells how long to rest.
    ///
    /// # Errors
    /// PostgreSQL takes nothing at the moment.
    async fn drain_batch(&mut self) -> Result<Duration, StoreError> {
        let started = Instant::now();
        // An unreadable spool shows in readiness; here there is nothing to drain from.
        let mut entries = self.spool.oldest(self.after, BATCH_ENTRIES, BATCH_BYTES).await.unwrap_or_default();
        if entries.is_empty() {
            return Ok(self.begin_again());
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
        let outcome = store_all(&mut self.session, &requests, WhenSlow::TryLess).await;
        metrics::event("any", metrics::Outcome::Spooled, outcome.left.iter().sum());
        let last = entries.last().map_or(0, |entry| entry.id);
        // What is stored of a body whose rest is not will be a duplicate the next time.
        let left = outcome.left.iter();
        let done: Vec<Entry> =
            entries.into_iter().zip(left).filter(|(_, left)| **left == 0).map(|(entry, _)| entry).collect();
        if let Err(error) = self.spool.remove(&done).await {
            tracing::error!(%error, "stored bodies could not be removed from the spool; they will be stored again");
            return Ok(PAUSE);
        }
        self.drained += done.len();
        if let Some(reason) = outcome.reason {
            self.complain(&reason);
            // What stands behind it is tried all the same, unless nobody was there to try it on.
            if !matches!(reason, StoreError::Away(_) | StoreError::Lost(_) | StoreError::Unusable(_)) {
                self.after = last;
            }
            if outcome.is_away {
                return Err(reason);
            }
        }
        // As long a rest as the work took leaves half of PostgreSQL to live traffic.
        Ok(started.elapsed())
    }

    /// The end of a turn: nothing waits behind the last entry that was tried.
    fn begin_again(&mut self) -> Duration {
        if std::mem::take(&mut self.after) > 0 {
            return PAUSE_BEFORE_LEFT;
        }
        if self.drained > 0 {
            tracing::info!(bodies = self.drained, "the spool is drained");
            self.drained = 0;
        }
        self.complaint.clear();
        PAUSE
    }
}

fn submission(entry: &Entry) -> Submission {
    let mut submission = Submission::read(entry.body.clone(), entry.received_at);
    if !entry.is_intact {
        submission.content = Parsed::Unreadable("damaged in the spool: the check sum differs".to_owned());
    }
    submission
}
