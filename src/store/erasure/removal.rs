//! Deleting what is known of a person, table by table. Each step is a transaction; killed in between, the same steps again
//! do the rest.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::timeout;

use super::erased::{Erased, end};
use super::events;
use super::hashes::Key;
use super::tombstone;
use crate::event::Person;
use crate::ids::EventKey;
use crate::store::error::StoreError;
use crate::store::pool::Store;
use crate::store::tables::TABLES;

/// A month of twenty million events is read in a minute or two.
const STEP_LIMIT: Duration = Duration::from_hours(1);

/// What is deleted waits so long for whoever holds a row or a table.
pub(super) const SETTINGS: &str = "set statement_timeout = 0; set lock_timeout = '1min'";

/// Bodies of the quarantine that are read at a time.
const QUARANTINE_BODIES: i64 = 50;

/// An erasure under way.
#[derive(Debug)]
pub struct Erasure {
    connection: PgConnection,
    person: Person,
    key: Key,
    is_dry_run: bool,
    begun_at: DateTime<Utc>,
}

impl Store {
    /// Writes down that a person is erased: from now on nothing that happened before comes back. A dry run only counts, and
    /// writes nothing.
    ///
    /// # Errors
    /// PostgreSQL is away; the role may not; somebody writes to the journal for longer than two minutes.
    pub async fn begin_erasure(&self, person: Person, is_dry_run: bool) -> Result<Erasure, StoreError> {
        let mut connection = self.connect().await?;
        connection.execute(SETTINGS).await?;
        let begun_at = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut connection).await?;
        let key = if is_dry_run { Key::default() } else { limited(tombstone::lay(&mut connection, &person)).await? };
        Ok(Erasure { connection, person, key, is_dry_run, begun_at })
    }
}

impl Erasure {
    /// The tables of the journal: its months, and those that retention has taken out of it and not dropped yet.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn months(&mut self) -> Result<Vec<String>, StoreError> {
        months(&mut self.connection).await
    }

    /// Erases the person from a table of the journal.
    ///
    /// # Errors
    /// PostgreSQL is away, or the role may not.
    pub async fn erase_month(&mut self, month: &str) -> Result<Erased, StoreError> {
        let Self { connection, person, key, is_dry_run, .. } = self;
        limited(events::erase(connection, month, person, (!*is_dry_run).then_some(key))).await
    }

    /// Erases what state, and the memory of first receipts, know of the person. Returns each table with its rows.
    ///
    /// # Errors
    /// PostgreSQL is away, or the role may not.
    pub async fn erase_state(&mut self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        limited(self.erase_tables()).await
    }

    async fn erase_tables(&mut self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        let mut transaction = if self.is_dry_run {
            self.connection.begin().await?
        } else {
            let mut transaction = tombstone::alone(&mut self.connection).await?;
            events::erase_latest(&mut transaction, &self.person, &self.key, self.begun_at).await?;
            transaction
        };
        let mut tables = Vec::new();
        let of_users = TABLES.iter().filter(|table| table.key.contains(&"user_id")).map(|table| table.name);
        for table in of_users.chain(["outbox", "backfills", "gaps"]) {
            let delete = format!("delete from {table} where user_id = $1 and ($2::text is null or page_id = $2)");
            let delete =
                sqlx::query(AssertSqlSafe(delete)).bind(self.person.user_id.as_str()).bind(events::page(&self.person));
            tables.push((table, delete.execute(&mut *transaction).await?.rows_affected()));
        }
        if self.person.page_id.is_none() {
            let user_id = self.person.user_id.as_str();
            let delete = sqlx::query!("delete from first_receipts where user_id = $1 returning event_key", user_id);
            let keys = delete.fetch_all(&mut *transaction).await?;
            tables.push(("first_receipts", keys.len() as u64));
            let keys =
                keys.into_iter().filter_map(|row| row.event_key.try_into().ok().map(EventKey)).collect::<Vec<_>>();
            if !self.is_dry_run {
                events::remember(&mut transaction, user_id, &self.key, &keys).await?;
            }
        }
        end(transaction, self.is_dry_run).await?;
        Ok(tables)
    }

    /// Gives each body in quarantine the form that `rewrite` makes of it; an empty one is deleted.
    ///
    /// # Errors
    /// PostgreSQL is away, or the role may not.
    pub async fn rewrite_quarantine(
        &mut self,
        rewrite: impl Fn(&Bytes, DateTime<Utc>) -> Bytes,
    ) -> Result<Erased, StoreError> {
        let mut erased = Erased::default();
        let mut after = 0;
        loop {
            let step = limited(self.rewrite_bodies(after, &rewrite, &mut erased)).await?;
            match step {
                Some(last) => after = last,
                None => return Ok(erased),
            }
        }
    }

    async fn rewrite_bodies(
        &mut self,
        after: i64,
        rewrite: &impl Fn(&Bytes, DateTime<Utc>) -> Bytes,
        erased: &mut Erased,
    ) -> Result<Option<i64>, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let bodies = sqlx::query!(
            "select id, received_at, raw from quarantine where id > $1 order by id limit $2",
            after,
            QUARANTINE_BODIES
        );
        let bodies = bodies.fetch_all(&mut *transaction).await?;
        let last = bodies.last().map(|body| body.id);
        for body in bodies {
            let raw = Bytes::from(body.raw);
            let left = rewrite(&raw, body.received_at);
            if left.is_empty() {
                sqlx::query!("delete from quarantine where id = $1", body.id).execute(&mut *transaction).await?;
                erased.deleted += 1;
            } else if left != raw {
                let update = sqlx::query!("update quarantine set raw = $2 where id = $1", body.id, &left[..]);
                update.execute(&mut *transaction).await?;
                erased.changed += 1;
            }
        }
        end(transaction, self.is_dry_run).await?;
        Ok(last)
    }

    /// Tables that look like months of the journal and belong to somebody else, who has detached them: they are not touched.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn foreign_months(&mut self) -> Result<Vec<String>, StoreError> {
        let months = sqlx::query_scalar!(
            r#"
            select relname::text as "month!"
            from pg_class
            where relnamespace = current_schema()::regnamespace
              and relkind = 'r'
              and relname ~ '^events_[0-9]{4}_[0-9]{2}$'
              and not exists (select from pg_inherits where inhrelid = pg_class.oid)
              and relname not in (select name from detached_months where fate = 'drop')
            order by 1
            "#
        );
        Ok(months.fetch_all(&mut self.connection).await?)
    }
}

/// The tables of the journal: its months, and those that retention has taken out of it and not dropped yet.
pub(super) async fn months(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let months = sqlx::query_scalar!(
        r#"
        select quote_ident(relname) as "month!"
        from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        where inhparent = 'events'::regclass
        union
        select quote_ident(name)
        from detached_months
        where fate = 'drop' and to_regclass(name) is not null
        order by 1
        "#
    );
    Ok(months.fetch_all(connection).await?)
}

/// A step within its time.
pub(super) async fn limited<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(STEP_LIMIT, step).await.unwrap_or(Err(StoreError::Slow))
}
