//! Poolers between us and PostgreSQL, such as `PgBouncer`.
//!
//! One that gives each transaction another session (transaction or statement mode) hands on to strangers what we leave in a
//! session: settings, prepared statements, locks. We need sessions, so such a pooler is found before we leave anything there,
//! and then nothing is said to it. A pooler in session mode is like a server.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error::StoreError;
use super::tls;
use super::way::Way;

const ADVICE: &str = "a pooler that gives each transaction another session stands before PostgreSQL; connect directly, or \
    in session mode (PgBouncer: pool_mode = session)";

/// One more than a pooler may have processes that share its port without sharing its sessions: two.
const CONNECTIONS: usize = 3;

/// So often each of them asks. Other clients of the pooler may take its session, but hardly each time the same one.
const ROUNDS: usize = 3;

/// In each round it asks twice in a row: a pooler that hands sessions out in turns gives it another one then.
const IN_A_ROW: usize = 2;

/// It takes some thirty round trips. A server that is so far away that they take longer is believed to have no pooler: not
/// to store anything would be worse.
pub const LIMIT: Duration = Duration::from_secs(3);

/// Looks once, and again after each failure: the pooler may have been set up anew.
#[derive(Debug, Default)]
pub struct Guard {
    /// How many failures there had been when sessions were last found to be kept.
    found_kept_at: Mutex<Option<u64>>,
}

impl Guard {
    /// Waits until it is known that a connection keeps its session. Whoever waits sets the time limit.
    ///
    /// # Errors
    /// It does not; or PostgreSQL is away.
    pub async fn pass(&self, way: &Way) -> Result<(), StoreError> {
        let mut found_kept_at = self.found_kept_at.lock().await;
        let failures = way.failures();
        if *found_kept_at != Some(failures) {
            // The first one finds out about TLS.
            let first = tls::connect(way).await?;
            match timeout(LIMIT, are_sessions_shared(way, first)).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => return Err(StoreError::Unusable(ADVICE.to_owned())),
                Ok(Err(error)) => return Err(error),
                Err(_) => tracing::warn!("PostgreSQL is too far away to find out whether a pooler stands before it"),
            }
            *found_kept_at = Some(failures);
        }
        Ok(())
    }
}

/// Whether connections that are open at the same time meet the same session, or one connection another session from
/// statement to statement. Plain statements prepare nothing, so this leaves nothing behind.
async fn are_sessions_shared(way: &Way, first: PgConnection) -> Result<bool, StoreError> {
    let mut connections = vec![first];
    connections.extend(try_join_all((1..CONNECTIONS).map(|_| tls::connect(way))).await?);
    let mut pairs = BTreeSet::new();
    for _ in 0..ROUNDS {
        for (number, connection) in connections.iter_mut().enumerate() {
            for _ in 0..IN_A_ROW {
                let session: i32 = connection.fetch_one("select pg_backend_pid()").await?.try_get(0)?;
                pairs.insert((number, session));
            }
        }
    }
    try_join_all(connections.into_iter().map(PgConnection::close)).await?;
    let sessions: BTreeSet<i32> = pairs.iter().map(|(_, session)| *session).collect();
    Ok(pairs.len() > CONNECTIONS || sessions.len() < CONNECTIONS)
}
