//! `sobot_tokens`: the token of Sobot's API, which all processes share, because each fetch voids the one before.
//!
//! The row is the lock: whoever renews the token holds it from before the fetch until the new token stands in it. A fetch
//! takes some seconds at most (the client's patience), and the lock ends with its connection.

use chrono::{DateTime, Utc};
use sqlx::{Connection, Executor};

use super::error::StoreError;
use super::pool::Store;
use crate::clock;
use crate::config::Secret;
use crate::outbound::sobot::{Fetching, Pending, Shelved, SobotError, TokenShelf};

/// While somebody fetches, others wait for the row; a fetch with its repetitions takes less.
const LOCK_LIMIT: &str = "set local statement_timeout = '60s'; set local lock_timeout = '60s'";

/// The shelf of one `appid` in the database.
#[derive(Debug, Clone)]
pub struct SharedToken {
    store: Store,
    appid: String,
}

/// A row as it stands.
struct Row {
    number: i64,
    token: Option<String>,
    fetched_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

impl Row {
    fn shelved(&self) -> Option<Shelved> {
        let token = Secret::from(self.token.as_deref()?);
        Some(Shelved { token, fetched_at: self.fetched_at?, expires_at: self.expires_at?, number: self.number })
    }
}

impl Store {
    /// The token of this `appid`.
    #[must_use]
    pub fn shared_token(&self, appid: &str) -> SharedToken {
        SharedToken { store: self.clone(), appid: appid.to_owned() }
    }
}

impl SharedToken {
    async fn held(&self) -> Result<Option<Shelved>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "select number, token, fetched_at, expires_at from sobot_tokens where appid = $1",
            self.appid
        );
        Ok(row.fetch_optional(&self.store.pool).await?.and_then(|row| row.shelved()))
    }

    async fn renew(&self, stale: i64, fetch: Fetching<'_>) -> Result<Shelved, SobotError> {
        // A connection of its own: it waits for Sobot while it holds the lock.
        let mut connection = self.store.connect().await.map_err(shelf)?;
        let mut transaction = connection.begin().await.map_err(database)?;
        transaction.execute(LOCK_LIMIT).await.map_err(database)?;
        let make =
            sqlx::query!("insert into sobot_tokens (appid, number) values ($1, 0) on conflict do nothing", self.appid);
        make.execute(&mut *transaction).await.map_err(database)?;
        let row = sqlx::query_as!(
            Row,
            "select number, token, fetched_at, expires_at from sobot_tokens where appid = $1 for update",
            self.appid
        );
        let row = row.fetch_one(&mut *transaction).await.map_err(database)?;
        if let Some(held) = row.shelved().filter(|held| held.replaces(stale, clock::now())) {
            return Ok(held);
        }
        let fetched = Shelved::after(row.number, fetch.await?);
        let keep = sqlx::query!(
            "update sobot_tokens set number = $2, token = $3, fetched_at = $4, expires_at = $5 where appid = $1",
            self.appid,
            fetched.number,
            fetched.token.expose(),
            fetched.fetched_at,
            fetched.expires_at
        );
        keep.execute(&mut *transaction).await.map_err(database)?;
        transaction.commit().await.map_err(database)?;
        Ok(fetched)
    }
}

impl TokenShelf for SharedToken {
    fn read(&self) -> Pending<'_, Option<Shelved>> {
        Box::pin(async { self.held().await.map_err(shelf) })
    }

    fn refresh<'a>(&'a self, stale: i64, fetch: Fetching<'a>) -> Pending<'a, Shelved> {
        Box::pin(self.renew(stale, fetch))
    }
}

fn database(error: sqlx::Error) -> SobotError {
    shelf(StoreError::from(error))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn shelf(error: StoreError) -> SobotError {
    SobotError::Shelf(error.to_string())
}
