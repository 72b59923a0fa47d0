//! How full the quarantine is, kept in memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Mutex;

use crate::telemetry::metrics;

/// The quarantine's size and bound.
#[derive(Debug)]
pub struct Limit {
    max_bytes: AtomicU64,
    bytes: AtomicU64,
    /// Bodies refused since the last measurement.
    refused: AtomicU64,
    /// Whether it has been told.
    is_full: AtomicBool,
    /// Room was looked for in vain, and is not looked for before then.
    pub resting_until: Mutex<Option<Instant>>,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            max_bytes: AtomicU64::new(u64::MAX),
            bytes: AtomicU64::default(),
            refused: AtomicU64::default(),
            is_full: AtomicBool::default(),
            resting_until: Mutex::default(),
        }
    }
}

impl Limit {
    /// Bounds it.
    pub fn set(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// It has been measured.
    pub fn measured(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        metrics::quarantine(bytes);
    }

    /// The size that leaves room for `wanted` bytes.
    pub fn leaving(&self, wanted: u64) -> u64 {
        self.max_bytes.load(Ordering::Relaxed).saturating_sub(wanted)
    }

    /// Takes room, if there is so much.
    pub fn take(&self, wanted: u64) -> bool {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        let taken = |bytes: u64| bytes.checked_add(wanted).filter(|bytes| *bytes <= max_bytes);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// What must go so that there is room for `wanted` bytes, and for a while.
    pub fn excess(&self, wanted: u64) -> u64 {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        match self.bytes.load(Ordering::Relaxed).saturating_add(wanted).saturating_sub(max_bytes) {
            0 => 0,
            excess => excess + max_bytes / 16,
        }
    }

    /// A body is not kept.
    pub fn refuse(&self) {
        metrics::quarantine_refused();
        self.refused.fetch_add(1, Ordering::Relaxed);
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the quarantine is full (retention.quarantine_max_bytes): bodies that are no JSON are not kept"
            );
        }
    }

    /// Once a minute: how many it were, or that it is over.
    pub fn tell_refused(&self) {
        let bodies = self.refused.swap(0, Ordering::Relaxed);
        if bodies > 0 {
            tracing::warn!(bodies, "not kept: the quarantine is full");
        } else if self.is_full.swap(false, Ordering::Relaxed) {
            tracing::info!("the quarantine refuses nothing any more");
        }
    }
}
