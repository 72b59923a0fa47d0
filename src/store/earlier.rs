//! An event without a time whose earlier copy comes later: it waited in the spool or in quarantine while the other was
//! stored. Its time is that of its first receipt, so it moves there, and nothing shows in which order its copies came.
//!
//! The journal's row is taken back, and the earlier copy takes its place. What it told counts in two ways. Where the
//! earliest word counts, telling it again is enough. Where the latest counts, something may rest on the later time, and a
//! merge never goes back: so that is put back by hand, and all that the user's events have told since the earlier time is
//! told again, from the journal.
//!
//! That reads what the journal has between the two times, all users', which may be much. Where it takes too long, or where
//! retention has dropped part of it, the later time stands.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::earlier_row::EarlierRow;
use super::error::StoreError;
use super::functions;
use super::journal::{self, Settled};
use crate::event::Event;

/// For each statement, of which only the one that reads the journal takes long: half of what a transaction may take.
const LIMIT: &str = "set local statement_timeout = '1s'";

/// What has been moved.
#[derive(Debug, Default)]
pub struct Moved {
    /// Indexes of the batch: the journal knew these events, and is to have them under another time.
    pub indexes: Vec<usize>,
    /// What is to be told again.
    pub told: Vec<Event>,
}

/// Moves what was received earlier than is known to that time. It needs a transaction, at whose end the journal has the
/// batch.
pub async fn move_back(connection: &mut PgConnection, settled: &mut Settled<'_>) -> Result<Moved, StoreError> {
    let horizon: Option<DateTime<Utc>> = match settled.earlier.as_slice() {
        [] => return Ok(Moved::default()),
        _ => sqlx::query_scalar!("select begins_at from journal_horizon").fetch_optional(&mut *connection).await?,
    };
    settled.earlier.retain(|earlier| horizon.is_none_or(|horizon| horizon <= earlier.received_at));
    let mut savepoint = connection.begin().await?;
    match move_all(&mut savepoint, settled).await {
        Ok(moved) => {
            savepoint.commit().await?;
            for earlier in std::mem::take(&mut settled.earlier) {
                settled.move_back(earlier);
            }
            Ok(moved)
        }
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014") => {
            savepoint.rollback().await?;
            tracing::warn!("an event without a time keeps the later one: too much has come since its first receipt");
            Ok(Moved::default())
        }
        Err(error) => Err(error.into()),
    }
}

async fn move_all(connection: &mut PgConnection, settled: &Settled<'_>) -> sqlx::Result<Moved> {
    connection.execute(LIMIT).await?;
    let mut moved = Moved::default();
    let mut taken = Vec::new();
    for earlier in &settled.earlier {
        let row = EarlierRow::new(&settled.events[earlier.index], *earlier);
        if call(connection, &functions::TAKE_BACK, row).await? {
            moved.indexes.push(earlier.index);
            taken.push(row);
        }
    }
    // One time for all: what rests on the later time of one may be another's, which is told again at its own earlier time.
    let Some(received_at) = taken.iter().map(|row| row.received_at).min() else { return Ok(moved) };
    let mut rested = false;
    for row in &taken {
        rested |= call(connection, &functions::PUT_BACK, EarlierRow { received_at, ..*row }).await?;
    }
    for row in taken.iter().filter(|_| rested) {
        moved.told.extend(told_between(connection, row).await?);
    }
    Ok(moved)
}

async fn call(connection: &mut PgConnection, statement: &str, row: EarlierRow<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar(AssertSqlSafe(statement)).bind(vec![row]).fetch_one(connection).await
}

/// What the user's other events have told from the earlier time to the later one.
async fn told_between(connection: &mut PgConnection, row: &EarlierRow<'_>) -> sqlx::Result<Vec<Event>> {
    let statement = format!(
        "select {} {} and occurred_at between $1 and $2 and user_id = $3 and page_id = $4",
        journal::RECALLED,
        journal::from_folded()
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(row.received_at).bind(row.stored_at);
    let rows = rows.bind(row.user_id).bind(row.page_id).fetch_all(connection).await?;
    rows.iter().filter_map(|row| journal::recall(row).transpose()).collect()
}
