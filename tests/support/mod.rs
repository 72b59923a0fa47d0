//! What the tests stand on: a real PostgreSQL a test binary, a database of its own a test, and the real
//! program as a process.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod database;
pub mod disk;
pub mod own;
pub mod peer;
pub mod pooler;
pub mod proxy;
pub mod service;
pub mod sobot;
pub mod wire;

use std::time::Duration;

/// Longer than anything a test waits for takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
