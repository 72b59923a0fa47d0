//! Putting requests into PostgreSQL: together when all goes well, and down to single rows when one of them is
//! refused.

use std::time::Instant;

use super::job::{Parsed, Submission};
use crate::event::{Event, Kind};
use crate::store::{Batch, Quarantined, Session, StoreError};
use crate::telemetry::metrics::{self, Outcome};

/// A lost connection or a conflict is tried again at once: the connection of a session may have gone stale while PostgreSQL
/// restarted, and others may be in the way more than once.
const TRIES: usize = 8;

/// Beyond this a larger transaction gains nothing, and its callers wait longer.
pub const BATCH_EVENTS: usize = 1_000;

/// What to do when PostgreSQL is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenSlow {
    /// Somebody waits for an answer, and there is the spool.
    GiveUp,
    /// With less at a time a slow PostgreSQL gets it all in the end.
    TryLess,
}

/// What could not be stored.
pub struct Unstored {
    /// Why.
    pub reason: StoreError,
    /// For each request, of how many events it still holds the only copy.
    pub events: Vec<usize>,
}

/// The smallest thing that is stored or fails by itself, with the index of its request.
#[derive(Clone, Copy)]
enum Unit<'a> {
    Event(usize, &'a Event),
    Quarantined(usize, Kind, Quarantined<'a>),
}

impl Unit<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Event(_, event) => event.kind,
            Self::Quarantined(_, kind, _) => *kind,
        }
    }

    fn request(&self) -> usize {
        match self {
            Self::Event(request, _) | Self::Quarantined(request, _, _) => *request,
        }
    }
}

/// So many refused events of one body, and its others are not tried any more: the whole body is in quarantine.
const MAX_REFUSALS: usize = 10;

/// Commits all requests, in ever smaller transactions when PostgreSQL refuses some row, down to the culprit,
/// whose whole body goes into quarantine, once.
pub async fn store_all(session: &mut Session, requests: &[&Submission], when_slow: WhenSlow) -> Result<(), Unstored> {
    let mut refusals = vec![0; requests.len()];
    let mut pending = units(requests);
    while let Some(mut units) = pending.pop() {
        match commit(session, &units).await {
            Ok(()) => {}
            // Whoever waits for an answer does not wait for ever smaller tries.
            Err(StoreError::Slow) if when_slow == WhenSlow::GiveUp => {
                return Err(unstored(StoreError::Slow, requests, &pending, &units));
            }
            Err(StoreError::Data(_) | StoreError::Slow) if units.len() > 1 => {
                let rest = units.split_off(units.len() / 2);
                pending.extend([rest, units]);
            }
            Err(StoreError::Data(refusal)) if let Unit::Event(request, event) = units[0] => {
                let kind = event.kind.as_str();
                tracing::error!(reason = refusal, kind, "PostgreSQL refused an event; its body goes into quarantine");
                refusals[request] += 1;
                if refusals[request] == 1 {
                    let reason = "PostgreSQL refused an event of this body";
                    pending.push(vec![Unit::Quarantined(request, event.kind, requests[request].quarantined(reason))]);
                } else {
                    metrics::event(kind, Outcome::Quarantined, 1);
                }
                if refusals[request] == MAX_REFUSALS {
                    give_up(request, &mut pending);
                }
            }
            Err(reason) => return Err(unstored(reason, requests, &pending, &units)),
        }
        pending.retain(|units| !units.is_empty());
    }
    Ok(())
}

fn unstored(reason: StoreError, requests: &[&Submission], pending: &[Vec<Unit<'_>>], failed: &[Unit<'_>]) -> Unstored {
    let mut events = vec![0; requests.len()];
    for unit in pending.iter().flatten().chain(failed) {
        events[unit.request()] += 1;
    }
    Unstored { reason, events }
}

/// Leaves the rest of a request to its row in quarantine.
fn give_up(request: usize, pending: &mut [Vec<Unit<'_>>]) {
    let is_left = |unit: &Unit<'_>| matches!(unit, Unit::Event(of, _) if *of == request);
    for unit in pending.iter().flatten().filter(|unit| is_left(unit)) {
        metrics::event(unit.kind().as_str(), Outcome::Quarantined, 1);
    }
    for units in pending {
        units.retain(|unit| !is_left(unit));
    }
}

/// All units, in transactions of at most [`BATCH_EVENTS`].
fn units<'a>(requests: &[&'a Submission]) -> Vec<Vec<Unit<'a>>> {
    let mut units = Vec::new();
    for (index, submission) in requests.iter().enumerate() {
        match &submission.content {
            Parsed::Events(events) => units.extend(events.iter().map(|event| Unit::Event(index, event))),
            Parsed::Unreadable(reason) => {
                units.push(Unit::Quarantined(index, Kind::Other, submission.quarantined(reason)));
            }
        }
    }
    // The last one is taken first.
    units.chunks(BATCH_EVENTS).rev().map(<[_]>::to_vec).collect()
}

/// One transaction, tried again where that may help.
async fn commit(session: &mut Session, units: &[Unit<'_>]) -> Result<(), StoreError> {
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
        match session.commit(&batch).await {
            Err(StoreError::Conflict(_) | StoreError::Lost(_) | StoreError::NoMonth) if tries < TRIES => tries += 1,
            // It is the affair of some row: find it.
            Err(StoreError::NoMonth) => return Err(StoreError::Data(StoreError::NoMonth.to_string())),
            outcome => break outcome?,
        }
    };
    metrics::committed(units.len(), started.elapsed());
    for (event, is_new) in batch.events.iter().zip(committed.is_new) {
        let outcome = if is_new { Outcome::Stored } else { Outcome::Duplicate };
        metrics::event(event.kind.as_str(), outcome, 1);
        if let Some(page) = &event.page_id {
            metrics::page_seen(page);
        }
    }
    for unit in units {
        if let Unit::Quarantined(_, kind, _) = unit {
            metrics::event(kind.as_str(), Outcome::Quarantined, 1);
        }
    }
    Ok(())
}
