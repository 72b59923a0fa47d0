//! Who sends: one process at a time, by a lock that ends with its connection.

use sqlx::{Connection, PgConnection};

use crate::store::error::StoreError;
use crate::store::pool::Store;

/// Any constant will do.
const LOCK: i64 = 0x006f_7574_626f;

/// The right to send. Dropped, it is another's.
#[derive(Debug)]
pub struct Lead {
    connection: PgConnection,
}

impl Store {
    /// The right to send, unless another process has it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn lead_outbox(&self) -> Result<Option<Lead>, StoreError> {
        let mut connection = self.connect().await?;
        let taken = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "is_taken!""#, LOCK);
        if taken.fetch_one(&mut connection).await? {
            // Whoever led before has ended, as a rule; or only its connection has, and a request is still under way.
            let release = sqlx::query!(
                "update outbox
                 set claimed_until = least(claimed_until, now() + interval '20 seconds')
                 where status = 'unknown' and claimed_until is not null"
            );
            release.execute(&mut connection).await?;
            return Ok(Some(Lead { connection }));
        }
        connection.close().await?;
        Ok(None)
    }
}

impl Lead {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Lets another process lead.
    ///
    /// # Errors
    /// PostgreSQL is away, and the right is another's anyway.
    pub async fn give_up(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}
