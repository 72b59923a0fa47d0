//! One request on its way through intake.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::dialect::webhook;
use crate::event::Event;
use crate::store::Quarantined;

/// What an event takes in memory beside the body that it shares.
const EVENT_BYTES: usize = 512;

/// One request's content.
#[derive(Debug)]
pub struct Submission {
    /// All bytes of the request.
    pub body: Bytes,
    /// When they had arrived.
    pub received_at: DateTime<Utc>,
    /// What they hold.
    pub content: Parsed,
}

/// What a body holds.
#[derive(Debug)]
pub enum Parsed {
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
    /// It is no JSON, and the quarantine holds as much as it may.
    #[error("the quarantine is full")]
    QuarantineFull,
    /// Neither PostgreSQL nor the spool could take it.
    #[error("neither the database nor the spool takes it")]
    Away,
}

/// A request's share of the memory that all requests together may take, until it is dropped.
#[derive(Debug)]
pub struct Room(pub(super) OwnedSemaphorePermit);

/// A request that waits for its commit.
pub struct Job {
    pub submission: Submission,
    pub done: oneshot::Sender<Result<(), Refusal>>,
    pub _room: Room,
}

impl Submission {
    /// Reads a body.
    #[must_use]
    pub fn read(body: Bytes, received_at: DateTime<Utc>) -> Self {
        let content = match webhook::parse(&body, received_at) {
            Ok(events) => Parsed::Events(events),
            Err(error) => Parsed::Unreadable(error.to_string()),
        };
        Self { body, received_at, content }
    }

    /// The body as a row of the quarantine.
    #[must_use]
    pub fn quarantined<'a>(&'a self, reason: &'a str) -> Quarantined<'a> {
        Quarantined { received_at: self.received_at, reason, raw: &self.body }
    }

    /// How many events it counts as: bytes that are no JSON are one.
    pub fn events(&self) -> usize {
        match &self.content {
            Parsed::Events(events) => events.len(),
            Parsed::Unreadable(_) => 1,
        }
    }

    /// What its events take beside the body.
    pub fn events_bytes(&self) -> usize {
        self.events() * EVENT_BYTES
    }
}
