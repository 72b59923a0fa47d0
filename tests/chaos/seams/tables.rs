//! What others do in the database: an analyst with a transaction left open, a trigger, a role's rights.

use std::time::Duration;

use fastrand::Rng;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::sleep;

use super::fault::{Fault, Place, Plan};
use super::windows::Windows;
use super::{ROLE, lock, trigger};
use crate::support::until;

/// Said where another fault was faster.
pub const NOT_DONE: &str = "            PostgreSQL did not take the next one";

/// Somebody who may do everything in the database, over connections of their own.
pub struct Analyst {
    url: String,
}

impl Analyst {
    pub fn of(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Makes a role that owns the database and may make tables in it.
    pub async fn give_away_to(&self, role: &str) {
        let statement = format!(
            "do $$ begin
                 create role {role} login;
                 execute format('alter database %I owner to {role}', current_database());
                 grant create on schema public to {role};
             end $$"
        );
        self.run(&statement).await.unwrap();
    }

    /// For as long as PostgreSQL takes: what was given up here would be done when it goes on.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = PgConnection::connect(&self.url).await?;
        connection.execute("set lock_timeout = '2s'").await?;
        Ok(connection)
    }

    async fn run(&self, statement: &str) -> sqlx::Result<()> {
        let mut connection = self.connect().await?;
        connection.execute(AssertSqlSafe(statement.to_owned())).await?;
        connection.close().await
    }

    /// Does something for a while. PostgreSQL may fail meanwhile, so it is undone in any case, as soon as that succeeds.
    pub async fn do_and_undo(&self, done: &str, time: Duration, undone: &str) {
        match self.run(done).await {
            Ok(()) => sleep(time).await,
            Err(_) => println!("{NOT_DONE}"),
        }
        until("it is undone", async || self.run(undone).await.is_ok()).await;
    }
}

pub async fn suffer(plan: Option<Plan>, analyst: &Analyst, windows: &Windows) {
    let Some(Plan { fault, after, lasts, mut rng }) = plan else { return };
    sleep(after).await;
    match fault {
        Fault::TableLocked => lock::hold_table(analyst, lasts, &mut rng, windows).await,
        Fault::MigrationLocked => lock::hold_migration(analyst, lasts, windows).await,
        Fault::RightsRevoked => revoke(analyst, lasts, &mut rng, windows).await,
        _ => trigger::raise(fault, analyst, lasts, &mut rng, windows).await,
    }
}

/// Also of `_sqlx_migrations`, without which nobody knows how far the schema is.
const TABLES: [&str; 6] = ["events", "messages", "conversations", "quarantine", "first_receipts", "_sqlx_migrations"];

async fn revoke(analyst: &Analyst, time: Duration, rng: &mut Rng, windows: &Windows) {
    let table = rng.choice(TABLES).unwrap();
    let (revoke, grant) = (format!("revoke all on {table} from {ROLE}"), format!("grant all on {table} to {ROLE}"));
    let what = format!("{} on {table}", Fault::RightsRevoked.name());
    windows.during(Place::Tables, &what, analyst.do_and_undo(&revoke, time, &grant)).await;
}
