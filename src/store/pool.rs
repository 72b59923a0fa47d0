//! The way to the database.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};
use tokio::time::{sleep, timeout};

use super::clock_skew::ClockSkew;
use super::error::StoreError;
use super::pooler::Guard;
use super::quarantine_limit::Limit;
use super::tls;
use super::way::Way;

/// How long a writer waits for a connection before PostgreSQL counts as away: well inside the time that
/// a request may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the service waits for PostgreSQL to end a statement.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at a pooler.
const PAUSE: Duration = Duration::from_millis(200);

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
    way: Arc<Way>,
    guard: Arc<Guard>,
    pub(super) quarantine: Arc<Limit>,
    pub(super) clock_skew: Arc<ClockSkew>,
}

impl Store {
    /// Prepares at most `max_connections` connections to `url`, opening none yet. `patience`: how long a question waits
    /// for one.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn connect_lazily(url: &str, max_connections: u32, patience: Duration) -> Result<Self, sqlx::Error> {
        let options = options(url)?;
        let (way, guard) = (Arc::new(Way::new(options.clone())), Arc::<Guard>::default());
        let (own_way, own_guard) = (Arc::clone(&way), Arc::clone(&guard));
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.saturating_sub(SESSIONS).max(1))
            .acquire_timeout(patience)
            .after_connect(move |connection, _| {
                let (way, guard) = (Arc::clone(&own_way), Arc::clone(&own_guard));
                Box::pin(async move {
                    // Quietly, where the pool would log each try; its time limit ends this.
                    while guard.pass_anew(&way).await.is_err() {
                        sleep(PAUSE).await;
                    }
                    connection.execute(SETTINGS).await.map(drop)
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, way, guard, quarantine: Arc::default(), clock_skew: Arc::default() })
    }

    /// A new connection with the settings of a writer.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connect = async {
            self.guard.pass(&self.way).await?;
            let mut connection = tls::connect(&self.way).await?;
            // What has been learned about TLS holds for the pool, too.
            self.pool.set_connect_options(self.way.options());
            connection.execute(SETTINGS).await?;
            Ok::<_, StoreError>(connection)
        };
        let connected = timeout(CONNECT_TIMEOUT, connect).await;
        let connected = connected.map_err(|_| StoreError::Away(format!("no connection within {CONNECT_TIMEOUT:?}")))?;
        connected.map_err(away)
    }

    /// Waits, at most as long as this, until it is known that a connection keeps its session.
    pub(super) async fn pass_guard(&self, patience: Duration) -> Result<(), StoreError> {
        let passed = timeout(patience, self.guard.pass(&self.way)).await;
        passed.map_err(|_| StoreError::Away(format!("no connection within {patience:?}")))?.map_err(away)
    }

    pub(super) fn count_failure(&self) {
        self.way.count_failure();
    }

    pub(super) fn failures(&self) -> u64 {
        self.way.failures()
    }

    /// By how much PostgreSQL's clock was ahead of the service's at the last look; negative if it was behind, none before
    /// the first look.
    #[must_use]
    pub fn clock_skew(&self) -> Option<TimeDelta> {
        self.clock_skew.known()
    }

    /// Goes to this database from now on.
    ///
    /// # Errors
    /// `url` is no PostgreSQL URL.
    pub fn lead_to(&self, url: &str) -> Result<(), sqlx::Error> {
        let options = options(url)?;
        self.way.set_options(options.clone());
        self.pool.set_connect_options(options);
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

/// Refused is away: here it is not the connection in use that is lost.
fn away(error: StoreError) -> StoreError {
    match error {
        StoreError::Lost(reason) => StoreError::Away(reason),
        other => other,
    }
}

fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    // Poolers refuse settings that they do not know.
    let options = url.parse::<PgConnectOptions>()?.extra_float_digits(None);
    Ok(options.application_name("sobot-hook").disable_statement_logging())
}
