//! How much the quarantine may hold. Whoever knows the URL can post what is no JSON as fast as the line allows, and must not
//! fill the disk with it.
//!
//! The size is kept in memory (`quarantine_limit`): measured once a minute, raised by each body in between. So asking costs a
//! request nothing. Several services on one database learn of each other's bodies within that minute. When it is full, the
//! oldest bodies that have been replayed make room; when there are none, new ones are refused.
//!
//! What PostgreSQL has refused of an acknowledged body is kept in any case.

use std::time::{Duration, Instant};

use sqlx::{Executor, PgConnection};
use tokio::time::timeout;

use crate::store::error::StoreError;
use crate::store::pool::Store;

/// What a row takes beside its bytes: its head, its reason, its places in two indexes.
const ROW_BYTES: i32 = 128;

/// A request waits no longer for room to be made.
const PATIENCE: Duration = Duration::from_secs(1);

/// When there was nothing to make room with, nobody looks again for so many times what looking took: a flood then costs
/// PostgreSQL a twentieth of one connection.
const REST: u32 = 20;

impl Store {
    /// Bounds the quarantine to so many bytes.
    pub fn limit_quarantine(&self, max_bytes: u64) {
        self.quarantine.set(max_bytes);
    }

    /// Takes room for a body that is no JSON. If there is none, and none can be made, the body must not be kept.
    pub async fn reserve_quarantine(&self, body_bytes: usize) -> bool {
        let wanted = body_bytes as u64 + u64::from(ROW_BYTES.unsigned_abs());
        let has_room = self.quarantine.take(wanted)
            || timeout(PATIENCE, self.make_quarantine_room(wanted)).await.is_ok_and(|is_made| is_made);
        if !has_room {
            self.quarantine.refuse();
        }
        has_room
    }

    async fn make_quarantine_room(&self, wanted: u64) -> bool {
        let mut resting_until = self.quarantine.resting_until.lock().await;
        if self.quarantine.take(wanted) {
            return true;
        }
        let started = Instant::now();
        if resting_until.is_some_and(|until| started < until) {
            return false;
        }
        // Written first: this may be given up halfway.
        *resting_until = Some(started + REST * PATIENCE);
        let made = self.trim_quarantine(wanted, "set local statement_timeout = '1s'").await;
        let has_room = made.is_ok() && self.quarantine.take(wanted);
        *resting_until = (!has_room).then(|| Instant::now() + REST * started.elapsed());
        has_room
    }

    /// Measures the quarantine, makes room if it is too large, and tells what was refused since the last time.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn watch_quarantine(&self) -> Result<(), StoreError> {
        self.quarantine.tell_refused();
        // Nobody waits for an answer.
        self.trim_quarantine(0, "set local statement_timeout = 0").await
    }

    async fn trim_quarantine(&self, wanted: u64, settings: &'static str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        transaction.execute(settings).await?;
        self.measure(&mut transaction, wanted).await?;
        let excess = self.quarantine.excess(wanted);
        if excess > 0 {
            drop_replayed(&mut transaction, excess).await?;
            self.measure(&mut transaction, wanted).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// What the table takes on disk costs nothing to ask. Only when that leaves no room for `wanted` bytes, rows are counted:
    /// what has been deleted leaves room in the table, and takes none.
    async fn measure(&self, connection: &mut PgConnection, wanted: u64) -> Result<(), StoreError> {
        let enough = self.quarantine.leaving(wanted);
        let bytes = sqlx::query_scalar!(
            r#"
            select case
                when pg_total_relation_size('quarantine') <= $1 then pg_total_relation_size('quarantine')
                else (select coalesce(sum(length(raw) + $2), 0)::bigint from quarantine)
            end as "bytes!"
            "#,
            i64::try_from(enough).unwrap_or(i64::MAX),
            ROW_BYTES,
        );
        let bytes = bytes.fetch_one(connection).await?.unsigned_abs();
        self.quarantine.measured(bytes);
        Ok(())
    }
}

/// Drops the oldest replayed bodies, until so many bytes are free or there are none.
async fn drop_replayed(connection: &mut PgConnection, bytes: u64) -> Result<(), StoreError> {
    let dropped = sqlx::query!(
        r#"
        delete from quarantine
        using (
            select id, sum(length(raw) + $2) over (order by id) - (length(raw) + $2) as bytes_before
            from quarantine
            where replayed_at is not null
        ) as oldest
        where quarantine.id = oldest.id and bytes_before < $1
        "#,
        i64::try_from(bytes).unwrap_or(i64::MAX),
        ROW_BYTES,
    );
    let bodies = dropped.execute(connection).await?.rows_affected();
    if bodies > 0 {
        tracing::info!(bodies, "dropped the oldest replayed bodies: the quarantine is full");
    }
    Ok(())
}
