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
    last: Mutex<Option<Finding>>,
}

/// What lets connections pass.
#[derive(Debug, Clone, Copy)]
struct Finding {
    /// How many failures there had been before.
    failures: u64,
    /// Nothing was found out: the server is believed to have no pooler before it.
    is_too_far: bool,
}

impl Guard {
    /// Waits until it is known that a connection keeps its session. Whoever waits sets the time limit.
    ///
    /// # Errors
    /// It does not; or PostgreSQL is away.
    pub async fn pass(&self, way: &Way) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        if last.is_none_or(|finding| finding.failures != way.failures()) {
            look(&mut last, way).await?;
        }
        Ok(())
    }

    /// As [`Guard::pass`], for those that replace lost connections without counting a failure, as a pool does.
    ///
    /// # Errors
    /// As [`Guard::pass`].
    pub async fn pass_anew(&self, way: &Way) -> Result<(), StoreError> {
        let mut last = self.last.lock().await;
        if last.is_none_or(|finding| finding.failures != way.failures() || !finding.is_too_far) {
            look(&mut last, way).await?;
        }
        Ok(())
    }
}

async fn look(last: &mut Option<Finding>, way: &Way) -> Result<(), StoreError> {
    let failures = way.failures();
    // The first one finds out about TLS.
    let first = tls::connect(way).await?;
    let are_shared = timeout(LIMIT, are_sessions_shared(way, first)).await.ok().transpose()?;
    if are_shared == Some(true) {
        *last = None;
        return Err(StoreError::Unusable(ADVICE.to_owned()));
    }
    let is_too_far = are_shared.is_none();
    if is_too_far {
        tracing::warn!("PostgreSQL is too far away to find out whether a pooler stands before it");
    }
    *last = Some(Finding { failures, is_too_far });
    Ok(())
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
