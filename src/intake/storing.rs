//! Putting requests into PostgreSQL: together when all goes well, and down to single rows when one of them is
//! refused.

use std::time::Instant;

use super::job::{Content, Submission};
use crate::messenger::{Event, Kind};
use crate::store::{Batch, Quarantined, Store, StoreError};
use crate::telemetry::metrics::{self, Outcome};

/// A lost connection or a conflict is tried again at once. The pool holds fewer connections than this
/// that can have gone stale while PostgreSQL restarted.
const TRIES: usize = 8;

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
pub async fn store_all(store: &Store, requests: &[&Submission]) -> Result<(), Unstored> {
    let mut refusals = vec![0; requests.len()];
    let mut pending = vec![units(requests)];
    while let Some(mut units) = pending.pop() {
        match commit(store, &units).await {
            Ok(()) => {}
            Err(StoreError::Data(_)) if units.len() > 1 => {
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
            Err(reason) => {
                let mut events = vec![0; requests.len()];
                for unit in pending.iter().flatten().chain(&units) {
                    events[unit.request()] += 1;
                }
                return Err(Unstored { reason, events });
            }
        }
        pending.retain(|units| !units.is_empty());
    }
    Ok(())
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

fn units<'a>(requests: &[&'a Submission]) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for (index, submission) in requests.iter().enumerate() {
        match &submission.content {
            Content::Events(events) => units.extend(events.iter().map(|event| Unit::Event(index, event))),
            Content::Unreadable(reason) => {
                units.push(Unit::Quarantined(index, Kind::Other, submission.quarantined(reason)));
            }
        }
    }
    units
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
            // A conflict that stays is some row's own (its month is being dropped, say): find it.
            Err(StoreError::Conflict(reason)) => return Err(StoreError::Data(reason)),
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
