//! The schema: the migrations that are compiled in, the functions that belong to them, and how far a database has come.

use std::collections::HashMap;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};

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
    /// Something is missing, and this role may not make it.
    #[error(
        "the database's schema is not up to date and this role may not change it: run `sobot-hook migrate` as the role \
         that owns it"
    )]
    NotOwner,
    /// The schema is as it should be, but not for this role.
    #[error("this role may not read or call what it needs: grant it what docs/setup.md lists under \"Two roles\"")]
    NotGranted,
    /// A migration failed.
    #[error("cannot bring the database's schema up to date: {0}")]
    Failed(MigrateError),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        if has_code(&error, NOT_ALLOWED) { Self::NotGranted } else { Self::Away(StoreError::from(error).to_string()) }
    }
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

/// `insufficient_privilege`: SQLSTATE of a role that may not.
const NOT_ALLOWED: &str = "42501";

/// `undefined_table`
const NO_TABLE: &str = "42P01";

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(code))
}

impl Store {
    /// Brings the schema up to this program's version, if it is not. Several processes may do so at once.
    ///
    /// # Errors
    /// [`MigrationError`].
    pub async fn migrate(&self) -> Result<(), MigrationError> {
        // The pool keeps the reason for an absence to itself.
        self.ping().await.map_err(|error| MigrationError::Away(error.to_string()))?;
        if self.is_current().await? {
            return Ok(());
        }
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

    /// Asks before it changes anything: a role that only calls and reads finds here that it need not, or that it cannot.
    async fn is_current(&self) -> Result<bool, MigrationError> {
        let mut connection = self.connect().await.map_err(|error| MigrationError::Away(error.to_string()))?;
        let outcome = is_current(&mut connection).await;
        // Whatever was found holds without a farewell.
        let _ = connection.close().await;
        outcome
    }

    /// How many of this program's migrations the database lacks; its functions count as one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let applied = applied(&mut connection).await?;
        let pending = MIGRATIONS.iter().filter(|migration| !applied.contains_key(&migration.version)).count();
        if pending > 0 {
            return Ok(pending + 1);
        }
        Ok(usize::from(!functions::are_installed(&mut connection).await?))
    }
}

/// The versions of the migrations that the database has, with their checksums.
async fn applied(connection: &mut PgConnection) -> sqlx::Result<HashMap<i64, Vec<u8>>> {
    let applied = sqlx::query_as("select version, checksum from _sqlx_migrations where success");
    match applied.fetch_all(connection).await {
        // Before the first migration there is no such table.
        Err(error) if has_code(&error, NO_TABLE) => Ok(HashMap::new()),
        versions => Ok(versions?.into_iter().collect()),
    }
}

async fn is_current(connection: &mut PgConnection) -> Result<bool, MigrationError> {
    let applied = applied(connection).await?;
    if applied.keys().any(|version| !MIGRATIONS.version_exists(*version)) {
        return Err(MigrationError::Newer);
    }
    let is_applied =
        |migration: &Migration| applied.get(&migration.version).is_some_and(|sum| **sum == *migration.checksum);
    let is_migrated = MIGRATIONS.iter().all(is_applied);
    if is_migrated && functions::are_installed(connection).await? {
        return if functions::may_be_called(connection).await? { Ok(true) } else { Err(MigrationError::NotGranted) };
    }
    if may_migrate(connection).await? { Ok(false) } else { Err(MigrationError::NotOwner) }
}

/// Whether the present role may make tables here, and owns those that are there.
async fn may_migrate(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let statement = "
        select coalesce(has_schema_privilege(current_schema(), 'create'), false)
            and not exists (
                select
                from pg_class
                where relname = '_sqlx_migrations'
                  and relnamespace = current_schema()::regnamespace
                  and not pg_has_role(relowner, 'usage')
            )";
    sqlx::query_scalar(statement).fetch_one(connection).await
}

async fn install(pool: &PgPool) -> sqlx::Result<()> {
    functions::install(&mut *pool.acquire().await?).await
}
