//! Locks that another session holds.

use std::time::Duration;

use fastrand::Rng;
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::sleep;

use super::fault::{Fault, Place};
use super::tables::{Analyst, NOT_DONE};
use super::windows::Windows;

/// Every table that a batch, a look at the schema or a migration touches.
const TABLES: [&str; 9] = [
    "events",
    "messages",
    "conversations",
    "subscriptions",
    "uploads",
    "first_receipts",
    "quarantine",
    "_sqlx_migrations",
    "installed_functions",
];

/// Writers wait; readers wait, too.
const MODES: [&str; 2] = ["exclusive", "access exclusive"];

pub async fn hold_table(analyst: &Analyst, time: Duration, rng: &mut Rng, windows: &Windows) {
    let (table, mode) = (rng.choice(TABLES).unwrap(), rng.choice(MODES).unwrap());
    let what = format!("{}: {table}, {mode}", Fault::TableLocked.name());
    let statement = format!("begin; lock table {table} in {mode} mode");
    windows.during(Place::Tables, &what, hold(analyst, &statement, time)).await;
}

/// The lock under which functions are installed (`src/store/functions.rs`).
const INSTALL_LOCK: i64 = 0x0066_756e_6374;

/// The functions are gone, as from a backup that was restored without them, and another process is about to install them. The
/// service does so when the lock is free.
pub async fn hold_migration(analyst: &Analyst, time: Duration, windows: &Windows) {
    // The lock ends with the session.
    let statement = format!(
        "begin;
        select pg_advisory_lock({INSTALL_LOCK});
        do $$
        declare
            function text;
        begin
            for function in
                select oid::regprocedure::text from pg_proc where proname in (select name from installed_functions)
            loop
                execute 'drop function ' || function;
            end loop;
            delete from installed_functions where name not in (select typname from pg_type);
        end $$;
        commit"
    );
    windows.during(Place::Tables, Fault::MigrationLocked.name(), hold(analyst, &statement, time)).await;
}

/// A crash of PostgreSQL ends it early. Nobody waits for the answer to the end: the server lets go when it learns of it.
async fn hold(analyst: &Analyst, statement: &str, time: Duration) {
    let held = async {
        let mut connection = analyst.connect().await?;
        connection.execute(AssertSqlSafe(statement.to_owned())).await?;
        sleep(time).await;
        Ok::<_, sqlx::Error>(())
    };
    if held.await.is_err() {
        println!("{NOT_DONE}");
    }
}
