//! Whether PostgreSQL takes events. While it does not, no request waits for it: everything goes to the spool at once, and
//! only the drain asks whether it is back.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

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
    state: watch::Sender<DatabaseState>,
}

impl Default for Circuit {
    /// Open until the drain has got through.
    fn default() -> Self {
        Self { is_open: AtomicBool::new(true), state: watch::Sender::new(DatabaseState::Starting) }
    }
}

impl Circuit {
    /// True while PostgreSQL is not to be asked.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub fn state(&self) -> DatabaseState {
        self.state.borrow().clone()
    }

    /// Waits until PostgreSQL takes events.
    pub async fn until_closed(&self) {
        // The sender is this very circuit's.
        let _ = self.state.subscribe().wait_for(|state| *state == DatabaseState::Ok).await;
    }

    /// PostgreSQL has failed.
    pub fn open(&self, reason: &StoreError) {
        let now = match reason {
            StoreError::Unusable(advice) => DatabaseState::Unusable(advice.clone()),
            _ => DatabaseState::Away,
        };
        self.is_open.store(true, Ordering::Release);
        if self.state.send_replace(now.clone()) != now {
            tracing::error!(%reason, "PostgreSQL does not take events; they go to the spool");
        }
    }

    /// PostgreSQL is there, but so many migrations behind.
    pub fn await_migrations(&self, pending: usize) {
        self.is_open.store(true, Ordering::Release);
        self.state.send_replace(DatabaseState::Behind(pending));
    }

    /// PostgreSQL takes events.
    pub fn close(&self) {
        self.is_open.store(false, Ordering::Release);
        if self.state.send_replace(DatabaseState::Ok) != DatabaseState::Ok {
            tracing::info!("PostgreSQL takes events");
        }
    }
}
