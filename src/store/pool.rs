//! The connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgPool, Postgres};
use tokio::time::timeout;

use super::months::Months;

/// How long a writer waits for a connection before PostgreSQL counts as away: well inside the time that
/// a request may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the service waits for PostgreSQL to end a statement.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that has been idle for longer may have been cut by something between us and PostgreSQL.
const IDLE_TIME: Duration = Duration::from_mins(1);

/// A connection, and since when nobody has used it.
type Idle = (Instant, PoolConnection<Postgres>);

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pool: PgPool,
    /// Of the writers, between two transactions. The pool asks a connection that comes back whether it still lives: a
    /// round trip more for each transaction.
    idle: Arc<Mutex<Vec<Idle>>>,
    pub(super) months: Months,
}

impl Store {
    /// Prepares connections to `url`, opening none yet. `patience`: how long to wait for one.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn connect_lazily(url: &str, max_connections: u32, patience: Duration) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(patience)
            // A dead connection shows itself in the transaction, which is tried again; a ping would cost a
            // round trip in each.
            .test_before_acquire(false)
            // What a closed connection has left behind must not hold its locks for long; and a wait for a lock must
            // not look like refused data.
            .after_connect(|connection, _| {
                Box::pin(async {
                    connection.execute("set statement_timeout = '3s'; set lock_timeout = 0").await.map(drop)
                })
            })
            .connect_lazy_with(options.application_name("sobot-hook").disable_statement_logging());
        Ok(Self { pool, idle: Arc::default(), months: Months::default() })
    }

    /// A connection for one transaction of a writer.
    pub(super) async fn borrow(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some((since, connection)) if since.elapsed() < IDLE_TIME => Ok(connection),
            // The pool looks after the old one.
            _ => self.pool.acquire().await,
        }
    }

    /// Takes a connection back whose transaction has been committed.
    pub(super) fn give_back(&self, connection: PoolConnection<Postgres>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), connection));
    }

    /// Trusts none of them any more.
    pub(super) fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Closes every connection, after the statements under way, but waits no longer than is decent.
    pub async fn close(&self) {
        self.forget_idle();
        if timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::warn!("PostgreSQL did not end its connections in time");
        }
    }
}
