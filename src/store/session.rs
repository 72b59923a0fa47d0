//! A connection that one writer owns. A pool would ask it before each use whether it still lives: a round trip more for each
//! transaction.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::error::StoreError;
use super::journal::Months;
use super::pool::Store;

/// A connection that has been idle for longer may have been cut by something between us and PostgreSQL.
const IDLE_TIME: Duration = Duration::from_mins(1);

/// The connection of one writer, opened when it is needed.
#[derive(Debug)]
pub struct Session {
    store: Store,
    pub(super) months: Months,
    /// With the time when it was last used.
    idle: Option<(PgConnection, Instant)>,
}

impl Store {
    /// A session without a connection yet.
    #[must_use]
    pub fn session(&self) -> Session {
        Session { store: self.clone(), months: Months::default(), idle: None }
    }
}

impl Session {
    /// Hands the connection out. Whoever does not know what it still waits for, or whether it leads to the right server,
    /// drops it instead of keeping it: then the next one is new.
    pub(super) async fn take(&mut self) -> Result<PgConnection, StoreError> {
        match self.idle.take() {
            Some((connection, used_at)) if used_at.elapsed() < IDLE_TIME => Ok(connection),
            _ => self.store.connect().await,
        }
    }

    /// Keeps a connection for the next transaction.
    pub(super) fn keep(&mut self, connection: PgConnection) {
        self.idle = Some((connection, Instant::now()));
    }
}
