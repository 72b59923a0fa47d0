//! The way to the server: its address, which may change, and how often it has failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use sqlx::postgres::PgConnectOptions;

/// Shared by all connections of a store.
#[derive(Debug)]
pub struct Way {
    options: RwLock<PgConnectOptions>,
    /// How often a connection of a session has failed, or all were led elsewhere.
    failures: AtomicU64,
}

impl Way {
    pub fn new(options: PgConnectOptions) -> Self {
        Self { options: RwLock::new(options), failures: AtomicU64::new(0) }
    }

    pub fn options(&self) -> PgConnectOptions {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_options(&self, options: PgConnectOptions) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = options;
    }

    pub fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
