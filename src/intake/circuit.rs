//! Whether PostgreSQL takes events. While it does not, no request waits for it: everything goes to the spool at once, and
//! only the drain asks whether it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::StoreError;

/// What is known of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseState {
    /// Nobody has got through to it yet.
    Starting,
    /// So many migrations are missing; they are under way, or wait for another process.
    Behind(usize),
    Ok,
    Away,
    /// It is of no use until somebody does what this says.
    Unusable(String),
}

/// Closed while PostgreSQL takes what it is given.
#[derive(Debug)]
pub struct Circuit {
    is_open: AtomicBool,
    state: Mutex<DatabaseState>,
}

impl Default for Circuit {
    /// Open until the drain has got through.
    fn default() -> Self {
        Self { is_open: AtomicBool::new(true), state: Mutex::new(DatabaseState::Starting) }
    }
}

impl Circuit {
    /// True while PostgreSQL is not to be asked.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub fn state(&self) -> DatabaseState {
        self.lock().clone()
    }

    /// PostgreSQL has failed.
    pub fn open(&self, reason: &StoreError) {
        let now = match reason {
            StoreError::Unusable(advice) => DatabaseState::Unusable(advice.clone()),
            _ => DatabaseState::Away,
        };
        let mut state = self.lock();
        if *state != now {
            tracing::error!(%reason, "PostgreSQL does not take events; they go to the spool");
            *state = now;
        }
        self.is_open.store(true, Ordering::Release);
    }

    /// PostgreSQL is there, but so many migrations behind.
    pub fn await_migrations(&self, pending: usize) {
        *self.lock() = DatabaseState::Behind(pending);
        self.is_open.store(true, Ordering::Release);
    }

    /// PostgreSQL takes events.
    pub fn close(&self) {
        let mut state = self.lock();
        if *state != DatabaseState::Ok {
            tracing::info!("PostgreSQL takes events");
            *state = DatabaseState::Ok;
        }
        self.is_open.store(false, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, DatabaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
