//! The schema: the migrations that are compiled in, and how far a database has come.

use std::collections::HashSet;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::error::StoreError;
use super::pool::{CONNECT_TIMEOUT, Store};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Why the schema is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// PostgreSQL cannot be asked now.
    #[error("PostgreSQL is away: {0}")]
    Away(String),
    /// The database is from a newer version of this program.
    #[error("the database's schema is from a newer version of this program; run that one")]
    Newer,
    /// A migration failed, or the role may not.
    #[error("cannot bring the database's schema up to date: {0}")]
    Failed(MigrateError),
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        match &error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) if is_absence(cause) => {
                Self::Away(cause.to_string())
            }
            MigrateError::VersionMissing(_) => Self::Newer,
            _ => Self::Failed(error),
        }
    }
}

fn is_absence(error: &sqlx::Error) -> bool {
    match error {
        // Connection, transaction state (such as a read-only standby), wrong password, no such database,
        // conflict, resources, operator: all may be mended without this program.
        sqlx::Error::Database(error) => ["08", "25", "28", "3D", "40", "53", "57"]
            .iter()
            .any(|class| error.code().is_some_and(|code| code.starts_with(class))),
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => true,
        _ => false,
    }
}

impl Store {
    /// Brings the schema up to this program's version. Several processes may do so at once.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn migrate(&self) -> Result<(), MigrationError> {
        // The pool keeps the reason for an absence to itself.
        self.ping().await.map_err(|error| MigrationError::Away(error.to_string()))?;
        // A connection of its own, closed at the end: a failed migration leaves its lock on it.
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        let own = options.connect_lazy_with((*self.pool.connect_options()).clone());
        let migrated = MIGRATIONS.run(&own).await;
        own.close().await;
        Ok(migrated?)
    }

    /// Whether PostgreSQL can be reached now.
    ///
    /// # Errors
    /// It cannot; the reason is the connection's own, which the pool keeps to itself.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.pool.connect_options())).await;
        let connection =
            connected.map_err(|_| StoreError::Away(format!("no connection within {CONNECT_TIMEOUT:?}")))??;
        Ok(connection.close().await?)
    }

    /// How many of this program's migrations the database lacks.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        let applied = sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success")
            .fetch_all(&self.pool)
            .await;
        let is_missing = |error: &dyn DatabaseError| error.code().as_deref() == Some("42P01");
        let applied: HashSet<i64> = match applied {
            // Before the first migration there is no such table.
            Err(sqlx::Error::Database(error)) if is_missing(error.as_ref()) => HashSet::new(),
            versions => versions?.into_iter().collect(),
        };
        Ok(MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version)).count())
    }
}
