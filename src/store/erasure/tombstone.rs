//! What is written before anything is deleted.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, Postgres, Transaction};
use tokio::time::sleep;

use super::hashes::Key;
use crate::event::Person;
use crate::ids::PageId;
use crate::store::error::StoreError;

/// Writers queue behind whoever waits for their lock: so it is waited for shortly, and often.
const LOCK: &str = "set local lock_timeout = '1s'; lock table events in share row exclusive mode";
const LOCK_TRIES: usize = 60;
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// Writes down that somebody is erased, and waits until every transaction that could not know it has ended. Returns the key
/// of the hashes.
pub async fn lay(connection: &mut PgConnection, person: &Person) -> Result<Key, StoreError> {
    let mut transaction = connection.begin().await?;
    let key = raise(&mut transaction).await?;
    sqlx::query!(
        "
        insert into erased_users as erased (hash, erased_until)
        values ($1, now())
        on conflict (hash) do update
        set erased_until = greatest(erased.erased_until, excluded.erased_until)
        ",
        &key.person(person)[..]
    )
    .execute(&mut *transaction)
    .await?;
    // What waits to be sent to them is sent no more.
    sqlx::query!(
        "delete from outbox where user_id = $1 and ($2::text is null or page_id = $2) and status = 'waiting'",
        person.user_id.as_str(),
        person.page_id.as_ref().map(PageId::as_str)
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    await_writers(connection).await?;
    Ok(key)
}

/// Has every session read the hashes again: raises the generation, and returns the key.
pub async fn raise(connection: &mut PgConnection) -> Result<Key, StoreError> {
    let raised = sqlx::query_scalar!("update erasure_key set generation = generation + 1 returning key");
    Ok(raised.fetch_one(connection).await?.into())
}

/// Its mere success tells that nobody is writing who had begun before.
async fn await_writers(connection: &mut PgConnection) -> Result<(), StoreError> {
    Ok(alone(connection).await?.rollback().await?)
}

/// A transaction during which nobody else writes to the journal. Writers wait for it, so it must be short.
pub async fn alone(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, StoreError> {
    for _ in 1..LOCK_TRIES {
        let mut transaction = connection.begin().await?;
        let is_free = match transaction.execute(LOCK).await.map_err(StoreError::from) {
            Ok(_) => true,
            Err(StoreError::Held) => false,
            Err(error) => return Err(error),
        };
        transaction.rollback().await?;
        if is_free {
            break;
        }
        sleep(LOCK_PAUSE).await;
    }
    // Just now it was free.
    let mut transaction = connection.begin().await?;
    transaction.execute(LOCK).await?;
    Ok(transaction)
}
