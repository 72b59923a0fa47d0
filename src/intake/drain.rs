//! The drain: puts what waits in the spool into PostgreSQL, oldest first, the same way as a request; and, while
//! PostgreSQL is away, asks whether it is back.
//!
//! A body leaves the spool only after the commit of all it holds. Killed in between, the drain stores it again,
//! which changes nothing. A body that PostgreSQL refuses goes into quarantine like any other, and the rest go on.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::job::{Content, Submission};
use super::storing::{BATCH_EVENTS, Haste, store_all};
use super::writer::{BATCH_BYTES, Writer};
use crate::spool::Entry;
use crate::store::{MigrationError, StoreError};
use crate::telemetry::metrics::{self, Source};

/// Bodies a transaction.
const BATCH_ENTRIES: usize = 500;

/// How often an absent PostgreSQL is asked, and an empty spool looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// Drains until `stop` turns true.
pub async fn run(writer: Writer, mut stop: watch::Receiver<bool>) {
    let mut absence = String::new();
    loop {
        let pause = tokio::select! {
            pause = step(&writer, &mut absence) => pause,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Drains one batch and tells how long to rest. `absence`: why PostgreSQL is away, as logged last.
async fn step(writer: &Writer, absence: &mut String) -> Duration {
    if writer.circuit.is_open()
        && let Err(reason) = greet(writer).await
    {
        complain(&reason, absence);
        return PAUSE;
    }
    let started = Instant::now();
    let drained = drain_batch(writer).await;
    match &drained {
        Ok(_) => {
            absence.clear();
            writer.circuit.close();
        }
        Err(reason) => {
            writer.circuit.open(reason);
            complain(&reason.to_string(), absence);
        }
    }
    // As long a rest as the work took leaves half of PostgreSQL to live traffic.
    if drained.is_ok_and(|bodies| bodies > 0) { started.elapsed() } else { PAUSE }
}

/// Says why PostgreSQL does not take what waits, once a reason.
fn complain(reason: &str, absence: &mut String) {
    if absence != reason {
        tracing::warn!(reason, "what waits in the spool cannot be stored yet");
        reason.clone_into(absence);
    }
}

/// PostgreSQL may have come up empty, or only now for the first time.
async fn greet(writer: &Writer) -> Result<(), String> {
    writer.store.ping().await.map_err(|error| error.to_string())?;
    match writer.store.migrate().await {
        // A newer version has been here meanwhile. What this one calls is still there.
        Ok(()) | Err(MigrationError::Newer) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// How many bodies were put into PostgreSQL.
async fn drain_batch(writer: &Writer) -> Result<usize, StoreError> {
    // An unreadable spool shows in readiness; here there is nothing to drain from.
    let mut entries = writer.spool.oldest(BATCH_ENTRIES, BATCH_BYTES).await.unwrap_or_default();
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
    metrics::received(Source::Spool, events);
    let requests: Vec<&Submission> = submissions.iter().collect();
    let stored = store_all(&writer.store, &requests, Haste::None).await;
    // What is stored of a body whose rest is not will be a duplicate the next time.
    let is_stored = |index: usize| stored.as_ref().err().is_none_or(|unstored| unstored.events[index] == 0);
    let (done, kept): (Vec<_>, Vec<_>) = entries.into_iter().enumerate().partition(|(index, _)| is_stored(*index));
    let done: Vec<Entry> = done.into_iter().map(|(_, entry)| entry).collect();
    if let Err(unstored) = &stored {
        let left = kept.iter().map(|(index, _)| unstored.events[*index]).sum();
        metrics::event("any", metrics::Outcome::Spooled, left);
    }
    if !done.is_empty()
        && let Err(error) = writer.spool.remove(&done).await
    {
        tracing::error!(%error, "stored bodies could not be removed from the spool; they will be stored again");
        return Ok(0);
    }
    stored.map_err(|unstored| unstored.reason)?;
    Ok(done.len())
}

fn submission(entry: &Entry) -> Submission {
    let mut submission = Submission::read(entry.body.clone(), entry.received_at);
    if !entry.is_intact {
        submission.content = Content::Unreadable("damaged in the spool: the check sum differs".to_owned());
    }
    submission
}
