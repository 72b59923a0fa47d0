//! Putting requests into PostgreSQL: together when all goes well, and down to single rows when one of them is
//! refused.

use std::time::{Duration, Instant};

use super::job::{Parsed, Submission};
use super::specimen::specimen;
use crate::clock;
use crate::event::{Event, Kind};
use crate::store::{Batch, Fate, Quarantined, Session, StoreError};
use crate::telemetry::metrics;

/// A lost connection or a conflict is tried again at once: the connection of a session may have gone stale while PostgreSQL
/// restarted, and others may be in the way more than once.
const TRIES: usize = 8;

/// So long somebody waits while refused rows are looked for among the others. Each of them costs several transactions; what is
/// left then goes to the spool, and the drain takes its time. Two batches of that fit into the time of a request.
const SEARCH_LIMIT: Duration = Duration::from_secs(2);

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

/// What became of requests.
pub struct Outcome {
    /// For each request, of how many events it still holds the only copy.
    pub left: Vec<usize>,
    /// Why, if any are left.
    pub reason: Option<StoreError>,
    /// PostgreSQL takes nothing at all at the moment.
    pub is_away: bool,
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

/// So many refused events of a kind that PostgreSQL does not take, and its others wait untried.
const MAX_REFUSED: usize = 8;

/// Commits all requests, in ever smaller transactions when PostgreSQL refuses some row, down to the culprit. If an ordinary
/// event of its kind is taken, the culprit is to blame, and its whole body goes into quarantine, once. If not, the server is,
/// and what it refuses is left. Either way the others go on.
pub async fn store_all(session: &mut Session, requests: &[&Submission], when_slow: WhenSlow) -> Outcome {
    let mut storing = Storing {
        session,
        requests,
        refusals: vec![0; requests.len()],
        left: vec![0; requests.len()],
        takes: [None; Kind::ALL.len()],
        refused: [0; Kind::ALL.len()],
        reason: None,
    };
    let is_away = storing.run(when_slow).await;
    Outcome { left: storing.left, reason: storing.reason, is_away }
}

struct Storing<'a> {
    session: &'a mut Session,
    requests: &'a [&'a Submission],
    /// Refused events of each request.
    refusals: Vec<usize>,
    left: Vec<usize>,
    /// Whether PostgreSQL takes ordinary events of each kind, as far as is known.
    takes: [Option<bool>; Kind::ALL.len()],
    /// How many of each were left because it does not.
    refused: [usize; Kind::ALL.len()],
    reason: Option<StoreError>,
}

impl<'a> Storing<'a> {
    /// Stores what can be stored, and tells whether PostgreSQL is away.
    async fn run(&mut self, when_slow: WhenSlow) -> bool {
        let mut pending = units(self.requests);
        let mut searching_since = None;
        while let Some(mut units) = pending.pop() {
            self.leave_refused_kinds(&mut units);
            if units.is_empty() {
                continue;
            }
            let is_long = searching_since.is_some_and(|since: Instant| since.elapsed() >= SEARCH_LIMIT);
            if is_long && when_slow == WhenSlow::GiveUp {
                self.leave(units.iter().chain(pending.iter().flatten()), StoreError::Slow);
                return true;
            }
            let committed = commit(self.session, &units).await;
            if let Err(StoreError::Refused(_) | StoreError::Held) = committed {
                searching_since.get_or_insert_with(Instant::now);
            }
            match committed {
                Ok(()) => self.note_taken(&units),
                Err(StoreError::Refused(reason)) if units.len() == 1 => {
                    if let Err(error) = self.judge(units[0], reason, &mut pending).await {
                        self.leave(units.iter().chain(pending.iter().flatten()), error);
                        return true;
                    }
                }
                Err(StoreError::Refused(_) | StoreError::Held) if units.len() > 1 => halve(units, &mut pending),
                Err(StoreError::Slow | StoreError::Conflict(_))
                    if when_slow == WhenSlow::TryLess && units.len() > 1 =>
                {
                    halve(units, &mut pending);
                }
                // It waits by itself; the others go on.
                Err(error @ StoreError::Held) => self.leave(&units, error),
                Err(error @ (StoreError::Slow | StoreError::Conflict(_))) if when_slow == WhenSlow::TryLess => {
                    self.leave(&units, error);
                }
                Err(error) => {
                    self.leave(units.iter().chain(pending.iter().flatten()), error);
                    return true;
                }
            }
        }
        self.reason.is_some() && !self.takes_anything().await
    }

    /// Decides what a unit that is refused alone is refused for.
    ///
    /// # Errors
    /// Nobody knows: PostgreSQL has gone away.
    async fn judge(
        &mut self,
        unit: Unit<'a>,
        reason: String,
        pending: &mut Vec<Vec<Unit<'a>>>,
    ) -> Result<(), StoreError> {
        let Unit::Event(request, event) = unit else {
            self.leave(&[unit], StoreError::Refused(reason));
            return Ok(());
        };
        if !self.takes_kind(event.kind).await? {
            self.refused[event.kind as usize] += 1;
            self.leave(&[unit], StoreError::Refused(reason));
            return Ok(());
        }
        let kind = event.kind.as_str();
        tracing::error!(reason, kind, "PostgreSQL refused an event; its body goes into quarantine");
        self.refusals[request] += 1;
        if self.refusals[request] == 1 {
            let reason = "PostgreSQL refused an event of this body";
            let row = self.requests[request].quarantined(reason);
            pending.push(vec![Unit::Quarantined(request, event.kind, row)]);
        } else {
            metrics::event(kind, metrics::Outcome::Quarantined, 1);
        }
        if self.refusals[request] == MAX_REFUSALS {
            give_up(request, pending);
        }
        Ok(())
    }

    /// Whether PostgreSQL takes ordinary events of this kind.
    async fn takes_kind(&mut self, kind: Kind) -> Result<bool, StoreError> {
        if let Some(takes) = self.takes[kind as usize] {
            return Ok(takes);
        }
        let specimen = specimen(kind, clock::now());
        let batch = Batch { events: specimen.iter().collect(), quarantined: Vec::new() };
        let takes = match self.session.rehearse(&batch).await {
            Ok(()) => true,
            Err(error @ (StoreError::Away(_) | StoreError::Lost(_) | StoreError::Unusable(_))) => return Err(error),
            Err(_) => false,
        };
        self.takes[kind as usize] = Some(takes);
        Ok(takes)
    }

    async fn takes_anything(&mut self) -> bool {
        for kind in Kind::ALL {
            if let Ok(true) = self.takes_kind(kind).await {
                return true;
            }
        }
        false
    }

    fn note_taken(&mut self, units: &[Unit<'_>]) {
        for unit in units {
            if let Unit::Event(_, event) = unit {
                self.takes[event.kind as usize] = Some(true);
            }
        }
    }

    /// Tries no more of a kind of which enough have been refused and none was taken.
    fn leave_refused_kinds(&mut self, units: &mut Vec<Unit<'a>>) {
        let (takes, refused) = (self.takes, self.refused);
        let is_hopeless = |kind: Kind| takes[kind as usize] == Some(false) && refused[kind as usize] >= MAX_REFUSED;
        for unit in units.extract_if(.., |unit| matches!(unit, Unit::Event(_, event) if is_hopeless(event.kind))) {
            self.left[unit.request()] += 1;
        }
    }

    fn leave<'u>(&mut self, units: impl IntoIterator<Item = &'u Unit<'a>>, reason: StoreError)
    where
        'a: 'u,
    {
        for unit in units {
            self.left[unit.request()] += 1;
        }
        self.reason = Some(reason);
    }
}

fn halve<'a>(mut units: Vec<Unit<'a>>, pending: &mut Vec<Vec<Unit<'a>>>) {
    let rest = units.split_off(units.len() / 2);
    pending.extend([rest, units]);
}

/// Leaves the rest of a request to its row in quarantine.
fn give_up(request: usize, pending: &mut [Vec<Unit<'_>>]) {
    let is_left = |unit: &Unit<'_>| matches!(unit, Unit::Event(of, _) if *of == request);
    for unit in pending.iter().flatten().filter(|unit| is_left(unit)) {
        metrics::event(unit.kind().as_str(), metrics::Outcome::Quarantined, 1);
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
            Err(StoreError::Conflict(_) | StoreError::Lost(_) | StoreError::NoMonth | StoreError::Outdated)
                if tries < TRIES =>
            {
                tries += 1;
            }
            // It is the affair of some row: find it.
            Err(StoreError::NoMonth) => return Err(StoreError::Refused(StoreError::NoMonth.to_string())),
            outcome => break outcome?,
        }
    };
    metrics::committed(units.len(), started.elapsed());
    for (event, fate) in batch.events.iter().zip(committed.fates) {
        let outcome = match fate {
            Fate::Stored => metrics::Outcome::Stored,
            Fate::Known => metrics::Outcome::Duplicate,
            Fate::Erased => metrics::Outcome::Erased,
        };
        metrics::event(event.kind.as_str(), outcome, 1);
        if let Some(page) = &event.page_id {
            metrics::page_seen(page);
        }
    }
    for unit in units {
        if let Unit::Quarantined(_, kind, _) = unit {
            metrics::event(kind.as_str(), metrics::Outcome::Quarantined, 1);
        }
    }
    Ok(())
}
