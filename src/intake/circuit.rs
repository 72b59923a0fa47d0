//! Whether PostgreSQL is known to be away. Then no request waits for it: everything goes to the spool at
//! once, and only the drain asks whether it is back.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::StoreError;

/// Closed while PostgreSQL takes what it is given.
#[derive(Debug, Default)]
pub struct Circuit {
    is_open: AtomicBool,
}

impl Circuit {
    /// True while PostgreSQL is known to be away.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// PostgreSQL has failed.
    pub fn open(&self, reason: &StoreError) {
        if !self.is_open.swap(true, Ordering::AcqRel) {
            tracing::error!(%reason, "PostgreSQL does not take events; they go to the spool");
        }
    }

    /// PostgreSQL has taken something again.
    pub fn close(&self) {
        if self.is_open.swap(false, Ordering::AcqRel) {
            tracing::info!("PostgreSQL takes events again");
        }
    }
}
