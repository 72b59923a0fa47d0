//! A connection that one writer owns. A pool would ask it before each use whether it still lives: a round trip more for each
//! transaction.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::erasure::Erasures;
use super::error::StoreError;
use super::journal::Months;
use super::pool::Store;

/// A connection that has been idle for longer may have been cut by something between us and PostgreSQL.
const IDLE_TIME: Duration = Duration::from_mins(1);

/// The connection of one writer, opened when it is needed.
#[derive(Debug)]
pub struct Session {
    pub(super) store: Store,
    pub(super) months: Months,
    pub(super) erasures: Erasures,
    idle: Option<Own>,
}

/// A session's own connection.
#[derive(Debug)]
pub(super) struct Own {
    pub connection: PgConnection,
    used_at: Instant,
    /// How many failures the store had seen when it was opened.
    failures: u64,
}

impl Store {
    /// A session without a connection yet.
    #[must_use]
    pub fn session(&self) -> Session {
        Session { store: self.clone(), months: Months::default(), erasures: Erasures::default(), idle: None }
    }
}

impl Session {
    /// Hands the connection out, or a new one when it is old, or when that of any session has failed since. Whoever does
    /// not know what it still waits for drops it.
    pub(super) async fn take(&mut self) -> Result<Own, StoreError> {
        let failures = self.store.failures();
        match self.idle.take() {
            Some(own) if own.used_at.elapsed() < IDLE_TIME && own.failures == failures => Ok(own),
            _ => Ok(Own { connection: self.store.connect().await?, used_at: Instant::now(), failures }),
        }
    }

    /// Keeps the connection for the next transaction.
    pub(super) fn keep(&mut self, own: Own) {
        self.idle = Some(Own { used_at: Instant::now(), ..own });
    }

    /// Does with the connection what the outcome of its transaction asks for.
    pub(super) fn finish<T>(&mut self, own: Own, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            Err(StoreError::Away(_) | StoreError::Lost(_)) => {
                self.distrust(own);
                return outcome;
            }
            Err(StoreError::NoMonth) => self.months.forget(),
            Ok(_) | Err(_) => {}
        }
        self.keep(own);
        outcome
    }

    /// Drops a connection that has failed, and has every session begin anew: all may lead to a server that is no longer the
    /// right one, or know types that have been made anew.
    pub(super) fn distrust(&mut self, own: Own) {
        drop(own);
        self.store.count_failure();
    }
}
