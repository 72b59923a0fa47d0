//! The way to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};
use tokio::time::timeout;

use super::error::StoreError;
use super::quarantine_limit::Limit;
use super::tls;

/// How long a writer waits for a connection before PostgreSQL counts as away: well inside the time that
/// a request may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the service waits for PostgreSQL to end a statement.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Of the connections that are allowed, the sessions of two writers and of the drain.
const SESSIONS: u32 = 3;

/// What a closed connection has left behind must not hold its locks for long; a wait for a lock must not look like refused
/// data; and a commit is on disk. A role, a database or the server may say `synchronous_commit = off`: then it is `local`
/// here. What is stronger stays. It is set in any case, so that a server that reads its configuration again changes nothing.
const SETTINGS: &str = "
    set statement_timeout = '3s';
    set lock_timeout = 0;
    select set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'local'), false)";

/// The database: a pool for questions and commands, and sessions for writers.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pool: PgPool,
    /// How often a connection of a session has failed.
    failures: Arc<AtomicU64>,
    pub(super) quarantine: Arc<Limit>,
}

impl Store {
    /// Prepares at most `max_connections` connections to `url`, opening none yet. `patience`: how long a question waits
    /// for one.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn connect_lazily(url: &str, max_connections: u32, patience: Duration) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.saturating_sub(SESSIONS).max(1))
            .acquire_timeout(patience)
            .after_connect(|connection, _| Box::pin(async { connection.execute(SETTINGS).await.map(drop) }))
            .connect_lazy_with(options(url)?);
        Ok(Self { pool, failures: Arc::default(), quarantine: Arc::default() })
    }

    /// A new connection with the settings of a writer.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        // Refused is away: here it is not the connection in use that is lost.
        let away = |error: StoreError| match error {
            StoreError::Lost(reason) => StoreError::Away(reason),
            other => other,
        };
        let connect = async {
            let mut connection = tls::connect(&self.pool).await?;
            connection.execute(SETTINGS).await?;
            Ok::<_, StoreError>(connection)
        };
        let connected = timeout(CONNECT_TIMEOUT, connect).await;
        let connected = connected.map_err(|_| StoreError::Away(format!("no connection within {CONNECT_TIMEOUT:?}")))?;
        connected.map_err(away)
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Goes to this database from now on.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn lead_to(&self, url: &str) -> Result<(), sqlx::Error> {
        self.pool.set_connect_options(options(url)?);
        self.count_failure();
        Ok(())
    }

    /// Closes the pool after the statements under way, but waits no longer than is decent.
    pub async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::warn!("PostgreSQL did not end its connections in time");
        }
    }
}

fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.application_name("sobot-hook").disable_statement_logging())
}
