//! The schema: the migrations that are compiled in, the functions that belong to them, and how far a database has come.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Executor, PgConnection};
use tokio::time::timeout;

use super::clock_skew::ClockSkew;
use super::error::{StoreError, is_forbidden};
use super::functions;
use super::pool::{CONNECT_TIMEOUT, Store};
use super::pooler;
use super::session::Session;
use crate::clock;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Whoever else migrates is waited for so long; then it is tried again, or given up.
const LOCK_TIMEOUT: &str = "set lock_timeout = '5s'";

/// How long the questions about the schema may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(2);

/// How long it may take to see that no pooler shares our session. No request waits for it.
const GUARD_LIMIT: Duration = pooler::LIMIT.saturating_add(CONNECT_TIMEOUT);

const NOT_OWNER: &str = "the database's schema is not up to date and this role may not change it; run sobot-hook migrate \
    as the role that owns it";

const NOT_GRANTED: &str = "this role may not read or call what it needs; grant it what docs/setup.md lists under \
    \"Two roles\"";

/// How far a database is behind this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Current,
    /// A newer version has been here; what this one calls is still there.
    Ahead,
    /// So many migrations are missing; the functions count as one.
    Behind(usize),
    /// A newer version has been here, and left nothing that this one could call.
    Newer,
}

impl Session {
    /// Looks whether PostgreSQL answers, what time it has, and how far the schema is; before the first connection and after
    /// a failure also whether a connection keeps its session. Whoever finds it behind may migrate it.
    ///
    /// # Errors
    /// PostgreSQL is away, or of no use to us.
    pub async fn look(&mut self) -> Result<Schema, StoreError> {
        self.store.pass_guard(GUARD_LIMIT).await?;
        let mut own = self.take().await?;
        let looked = timeout(QUESTION_LIMIT, look(&mut own.connection, &self.store.clock_skew)).await;
        let schema = looked.unwrap_or_else(|_| Err(StoreError::Away("it does not answer".to_owned())));
        match &schema {
            Ok(_) => self.keep(own),
            Err(StoreError::Away(_) | StoreError::Lost(_)) => self.distrust(own),
            // Dropped, so as not to be in the way of whoever mends this.
            Err(_) => {}
        }
        schema
    }
}

async fn look(connection: &mut PgConnection, clock_skew: &ClockSkew) -> Result<Schema, StoreError> {
    let asked_at = clock::now();
    let statement = "select current_setting('server_encoding'), clock_timestamp()";
    let (encoding, told): (String, DateTime<Utc>) = sqlx::query_as(statement).fetch_one(&mut *connection).await?;
    clock_skew.learn(asked_at, told, clock::now());
    if encoding != "UTF8" {
        return Err(StoreError::Unusable(format!(
            "the database has the encoding {encoding}, which does not hold every text; make one with \
             createdb --encoding=UTF8 --template=template0"
        )));
    }
    let schema = how_far(connection).await.map_err(|error| {
        if is_forbidden(&error) { StoreError::Unusable(NOT_GRANTED.to_owned()) } else { error.into() }
    })?;
    let (is_allowed, advice) = match schema {
        Schema::Current | Schema::Ahead => (functions::may_be_called(connection).await?, NOT_GRANTED),
        Schema::Behind(_) => (may_migrate(connection).await?, NOT_OWNER),
        Schema::Newer => return Ok(schema),
    };
    if is_allowed { Ok(schema) } else { Err(StoreError::Unusable(advice.to_owned())) }
}

async fn how_far(connection: &mut PgConnection) -> sqlx::Result<Schema> {
    let is_there: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    let applied: HashSet<i64> = if is_there {
        let applied = sqlx::query_scalar("select version from _sqlx_migrations where success");
        applied.fetch_all(&mut *connection).await?.into_iter().collect()
    } else {
        HashSet::new()
    };
    let is_newer = applied.iter().any(|version| MIGRATIONS.iter().all(|known| known.version != *version));
    let missing = MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version)).count();
    if missing > 0 {
        return Ok(Schema::Behind(missing + 1));
    }
    Ok(match (is_newer, functions::are_installed(connection).await?) {
        (false, true) => Schema::Current,
        (false, false) => Schema::Behind(1),
        (true, true) => Schema::Ahead,
        (true, false) => Schema::Newer,
    })
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

impl Store {
    /// Refuses a schema that is not this program's own: whoever rewrites rows must know all their columns.
    ///
    /// # Errors
    /// It is older or newer; PostgreSQL is away.
    pub async fn require_current(&self) -> Result<(), StoreError> {
        match self.session().look().await? {
            Schema::Current => Ok(()),
            Schema::Ahead | Schema::Newer => Err(newer()),
            Schema::Behind(_) => Err(StoreError::Unusable(
                "the database's schema is missing or not up to date; run sobot-hook migrate".to_owned(),
            )),
        }
    }

    /// Brings the schema up to this program's version, within `limit`. Several processes may do so at once.
    ///
    /// # Errors
    /// PostgreSQL is away; another process is migrating; the role may not; the schema is from a newer version.
    pub async fn migrate(&self, limit: Duration) -> Result<(), StoreError> {
        match self.session().look().await? {
            Schema::Current => return Ok(()),
            Schema::Ahead | Schema::Newer => return Err(newer()),
            Schema::Behind(_) => {}
        }
        // A connection of its own, without a time limit for statements, closed at the end: a failed migration leaves its
        // lock on it.
        let options = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(|connection, _| Box::pin(async { connection.execute(LOCK_TIMEOUT).await.map(drop) }));
        let own = options.connect_lazy_with((*self.pool.connect_options()).clone());
        let migrated = timeout(limit, run(&own)).await;
        // What has not come to its end by now does not hold anybody up.
        tokio::spawn(async move { own.close().await });
        migrated.map_err(|_| StoreError::Away(format!("the migration did not end within {limit:?}")))?
    }
}

async fn run(own: &PgPool) -> Result<(), StoreError> {
    let migrated = MIGRATIONS.run(own).await;
    let done = match migrated {
        Ok(()) => install(own).await,
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(error),
        Err(MigrateError::VersionMissing(_)) => return Err(newer()),
        Err(MigrateError::Dirty(version) | MigrateError::VersionMismatch(version)) => {
            return Err(StoreError::Unusable(format!(
                "migration {version} of the database is not the one of this program; restore a backup, or use another \
                 database"
            )));
        }
        Err(_) => return Err(StoreError::Unusable("the migrations cannot be read".to_owned())),
    };
    done.map_err(|error| {
        if is_forbidden(&error) {
            return StoreError::Unusable(NOT_OWNER.to_owned());
        }
        match StoreError::from(error) {
            StoreError::Held => StoreError::Away("another process is migrating, or holds a table".to_owned()),
            StoreError::Refused(reason) => {
                StoreError::Unusable(format!("the schema cannot be brought up to date ({reason})"))
            }
            other => other,
        }
    })
}

async fn install(own: &PgPool) -> sqlx::Result<()> {
    functions::install(&mut *own.acquire().await?).await
}

fn newer() -> StoreError {
    StoreError::Unusable("the database's schema is from a newer version of this program; run that one".to_owned())
}
