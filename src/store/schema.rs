//! The schema: the migrations that are compiled in, the functions that belong to them, and how far a database has come.

use std::collections::HashSet;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};

use super::error::StoreError;
use super::functions;
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
        // A connection of its own, without a time limit for statements, closed at the end: a failed migration leaves its
        // lock on it.
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        let own = options.connect_lazy_with((*self.pool.connect_options()).clone());
        let migrated = match MIGRATIONS.run(&own).await {
            Ok(()) => install(&own).await.map_err(MigrateError::Execute),
            failed => failed,
        };
        own.close().await;
        Ok(migrated?)
    }

    /// How many of this program's migrations the database lacks; its functions count as one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let applied = sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success")
            .fetch_all(&mut *connection)
            .await;
        let is_missing = |error: &dyn DatabaseError| error.code().as_deref() == Some("42P01");
        let applied: HashSet<i64> = match applied {
            // Before the first migration there is no such table.
            Err(sqlx::Error::Database(error)) if is_missing(error.as_ref()) => HashSet::new(),
            versions => versions?.into_iter().collect(),
        };
        let pending = MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version)).count();
        if pending > 0 {
            return Ok(pending + 1);
        }
        Ok(usize::from(!functions::are_installed(&mut connection).await?))
    }
}

async fn install(pool: &PgPool) -> sqlx::Result<()> {
    functions::install(&mut *pool.acquire().await?).await
}
