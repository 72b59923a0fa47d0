//! The way to the database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};
use tokio::time::{sleep, timeout};

use super::error::StoreError;
use super::pooler::{self, Guard};

/// How long a writer waits for a connection before PostgreSQL counts as away: well inside the time that
/// a request may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the service waits for PostgreSQL to end a statement.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at a pooler.
const PAUSE: Duration = Duration::from_millis(200);

/// Of the connections that are allowed, the sessions of two writers and of the drain.
const SESSIONS: u32 = 3;

/// What a closed connection has left behind must not hold its locks for long; and a wait for a lock must not look like
/// refused data.
const SETTINGS: &str = "set statement_timeout = '3s'; set lock_timeout = 0";

/// The database: a pool for questions and commands, and sessions for writers.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pool: PgPool,
    guard: Arc<Guard>,
}

impl Store {
    /// Prepares at most `max_connections` connections to `url`, opening none yet. `patience`: how long a question waits
    /// for one.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn connect_lazily(url: &str, max_connections: u32, patience: Duration) -> Result<Self, sqlx::Error> {
        // Poolers refuse settings that they do not know.
        let options = url.parse::<PgConnectOptions>()?.extra_float_digits(None);
        let options = options.application_name("sobot-hook").disable_statement_logging();
        let guard: Arc<Guard> = Arc::default();
        let (own_guard, own_options) = (Arc::clone(&guard), options.clone());
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.saturating_sub(SESSIONS).max(1))
            .acquire_timeout(patience)
            .after_connect(move |connection, _| {
                let (guard, options) = (Arc::clone(&own_guard), own_options.clone());
                Box::pin(async move {
                    // Quietly, where the pool would log each try; its time limit ends this.
                    while guard.pass(&options, CONNECT_TIMEOUT).await.is_err() {
                        sleep(PAUSE).await;
                    }
                    connection.execute(SETTINGS).await.map(drop)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, guard })
    }

    /// A new connection with the settings of a writer.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let options = self.pool.connect_options();
        self.guard.pass(&options, CONNECT_TIMEOUT).await?;
        let connect = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            connection.execute(SETTINGS).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        let connected = timeout(CONNECT_TIMEOUT, connect).await;
        Ok(connected.map_err(|_| StoreError::Away(format!("no connection within {CONNECT_TIMEOUT:?}")))??)
    }

    pub(super) fn count_failure(&self) {
        self.guard.count_failure();
    }

    pub(super) fn failures(&self) -> u64 {
        self.guard.failures()
    }

    /// Whether PostgreSQL can be reached now.
    ///
    /// # Errors
    /// It cannot; the reason is the connection's own, which the pool keeps to itself.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.guard.forget().await;
        Ok(self.connect().await?.close().await?)
    }

    /// What to do if a pooler stands before PostgreSQL that we cannot work with. None also if nobody is there.
    pub async fn pooler_advice(&self) -> Option<&'static str> {
        let options = self.pool.connect_options();
        let shared = pooler::are_sessions_shared(&options);
        matches!(timeout(CONNECT_TIMEOUT, shared).await, Ok(Ok(true))).then_some(pooler::ADVICE)
    }

    /// Closes the pool after the statements under way, but waits no longer than is decent.
    pub async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::warn!("PostgreSQL did not end its connections in time");
        }
    }
}
