//! State computed anew from the journal, beside the tables that hold it.
//!
//! One transaction with one snapshot (repeatable read): temporary tables of the same names stand before the
//! real ones, so that the very statements that fold live events fill them; then both are compared. Memory is
//! that of one batch; PostgreSQL holds the rest.
//!
//! Where retention has dropped months, the temporary tables begin as a copy of the state: then the journal
//! can add what is missing, but nothing that only dropped months explain is called wrong or taken away.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Executor, Postgres, Row, Transaction};
use tokio::time::timeout;

use super::error::StoreError;
use super::journal;
use super::pool::Store;
use super::state_rows::StateRows;
use super::state_table::StateTable;
use super::tables::TABLES;
use crate::state::State;

/// Journal rows a batch.
const BATCH_ROWS: usize = 2_000;

/// Whoever holds a table of the state for longer is in the way of a rebuild.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '30s'";

/// A batch that takes longer has lost its server.
const BATCH_LIMIT: Duration = Duration::from_mins(5);

/// The whole tables are compared or replaced within this time.
const TABLES_LIMIT: Duration = Duration::from_hours(4);

/// What is to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only looks; nobody waits.
    Check,
    /// Replaces the state; until the end, writers wait (and spool).
    Replace,
}

/// A row whose state is not what the journal says.
#[derive(Debug)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's key, as `column=value`.
    pub key: String,
    /// Which columns differ, as `column: state → journal`; texts and tokens are not shown.
    pub columns: String,
}

/// A rebuild under way. Dropped before its end it changes nothing.
#[derive(Debug)]
pub struct Rebuild {
    transaction: Transaction<'static, Postgres>,
    schema: String,
    /// Rows of the journal that are to be read.
    pub total: u64,
}

impl Store {
    /// Takes the snapshot, and for [`Scope::Replace`] the locks.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_rebuild(&self, scope: Scope) -> Result<Rebuild, StoreError> {
        let mut transaction = self.pool.begin().await?;
        transaction.execute("set transaction isolation level repeatable read; set local statement_timeout = 0").await?;
        if scope == Scope::Replace {
            transaction.execute(LOCK_TIMEOUT).await?;
            // Before the snapshot, so that it holds all that was folded. Readers do not wait.
            transaction
                .execute("lock table messages, conversations, subscriptions, uploads in share row exclusive mode")
                .await?;
        }
        let schema: String =
            sqlx::query_scalar("select quote_ident(current_schema())").fetch_one(&mut *transaction).await?;
        let is_cut: bool =
            sqlx::query_scalar("select exists (select from journal_horizon)").fetch_one(&mut *transaction).await?;
        for StateTable { name, .. } in TABLES {
            let make = format!("create temporary table {name} (like {schema}.{name} including all) on commit drop");
            transaction.execute(AssertSqlSafe(make)).await?;
            if is_cut {
                let copy = format!("insert into pg_temp.{name} select * from {schema}.{name}");
                transaction.execute(AssertSqlSafe(copy)).await?;
            }
        }
        // A plan that this session has made earlier knows the real tables.
        transaction.execute("discard plans").await?;
        transaction
            .execute("create trigger merge_upload before insert on pg_temp.uploads for each row execute function merge_upload()")
            .await?;
        let folded = journal::from_folded();
        let total: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) {folded}"))).fetch_one(&mut *transaction).await?;
        let cursor = format!(
            "declare journal no scroll cursor for
             select {} {folded}",
            journal::RECALLED
        );
        transaction.execute(AssertSqlSafe(cursor)).await?;
        Ok(Rebuild { transaction, schema, total: total.unsigned_abs() })
    }
}

impl Rebuild {
    /// Folds the next rows of the journal and tells how many; none at its end, when all can be compared.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn fold_next(&mut self) -> Result<usize, StoreError> {
        timeout(BATCH_LIMIT, self.fold_batch()).await.unwrap_or(Err(StoreError::Slow))
    }

    async fn fold_batch(&mut self) -> Result<usize, StoreError> {
        let fetch = format!("fetch {BATCH_ROWS} from journal");
        let rows = sqlx::query(AssertSqlSafe(fetch)).fetch_all(&mut *self.transaction).await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.extend(journal::recall(row)?);
        }
        if rows.is_empty() {
            // So that the comparison is planned for as many rows as there are.
            for StateTable { name, .. } in TABLES {
                self.transaction.execute(AssertSqlSafe(format!("analyze pg_temp.{name}"))).await?;
            }
        }
        let state: State<'_> = events.iter().collect();
        StateRows::of(&state).merge(&mut self.transaction).await?;
        Ok(rows.len())
    }

    /// Counts the rows that differ, after all of the journal is folded.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn count(&mut self) -> Result<u64, StoreError> {
        timeout(TABLES_LIMIT, self.count_differences()).await.unwrap_or(Err(StoreError::Slow))
    }

    async fn count_differences(&mut self) -> Result<u64, StoreError> {
        let mut count = 0;
        for table in TABLES {
            let statement = format!("select count(*) {}", table.differing(&self.schema));
            let differing: i64 = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *self.transaction).await?;
            count += differing.unsigned_abs();
        }
        Ok(count)
    }

    /// The same, and hands over each difference as it is found.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn compare(&mut self, report: impl FnMut(Difference)) -> Result<u64, StoreError> {
        timeout(TABLES_LIMIT, self.report_differences(report)).await.unwrap_or(Err(StoreError::Slow))
    }

    async fn report_differences(&mut self, mut report: impl FnMut(Difference)) -> Result<u64, StoreError> {
        let mut count = 0;
        for table in TABLES {
            let statement = table.comparison(&self.schema);
            let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(&mut *self.transaction);
            while let Some(row) = rows.try_next().await? {
                report(Difference { table: table.name, key: row.try_get(0)?, columns: row.try_get(1)? });
                count += 1;
            }
        }
        Ok(count)
    }

    /// Makes the state what the journal says, all at once.
    ///
    /// # Errors
    /// PostgreSQL is away; nothing has changed.
    pub async fn replace(self) -> Result<(), StoreError> {
        timeout(TABLES_LIMIT, self.replace_all()).await.unwrap_or(Err(StoreError::Slow))
    }

    async fn replace_all(mut self) -> Result<(), StoreError> {
        for table in TABLES {
            for statement in table.replacement(&self.schema) {
                self.transaction.execute(AssertSqlSafe(statement)).await?;
            }
        }
        Ok(self.transaction.commit().await?)
    }
}

impl StateTable {
    /// The columns to compare, of the state or of what was told, as one row.
    fn compared(&self, side: &str) -> String {
        if self.decided.is_empty() {
            return format!("row({side}.*)");
        }
        let columns: Vec<_> = self.decided.iter().map(|column| format!("{side}.{column}")).collect();
        format!("row({})", columns.join(", "))
    }

    fn comparison(&self, schema: &str) -> String {
        let shown = self.shown.iter().map(|column| format!("'{column}=' || coalesce(held.{column}, told.{column})"));
        let shown = shown.collect::<Vec<_>>().join(" || ' ' || ");
        let private = match self.private {
            [] => "false".to_owned(),
            private => format!("key = any (array['{}'])", private.join("', '")),
        };
        let (held, told) = (self.compared("held"), self.compared("told"));
        let only = match self.decided {
            [] => String::new(),
            decided => format!("and key = any (array['{}'])", decided.join("', '")),
        };
        format!(
            "select {shown},
                    case
                        when {held} is null then 'missing in the state'
                        when {told} is null then 'not in the journal'
                        else (select string_agg(
                            key || case when {private} then ' differs' else
                                ': ' || coalesce(to_jsonb(held) ->> key, 'nothing') || ' → ' || coalesce(to_jsonb(told) ->> key, 'nothing') end,
                            ', ')
                        from jsonb_object_keys(to_jsonb(held)) as key
                        where to_jsonb(held) -> key is distinct from to_jsonb(told) -> key {only})
                    end
             {}",
            self.differing(schema)
        )
    }

    fn differing(&self, schema: &str) -> String {
        let (name, key) = (self.name, self.key.join(", "));
        let (held, told) = (self.compared("held"), self.compared("told"));
        format!(
            "from {schema}.{name} as held full join pg_temp.{name} as told using ({key})
             where {held} is distinct from {told}"
        )
    }

    fn replacement(&self, schema: &str) -> Vec<String> {
        let Self { name, key, decided, .. } = self;
        let is_same =
            key.iter().map(|column| format!("told.{column} = held.{column}")).collect::<Vec<_>>().join(" and ");
        let add = format!("insert into {schema}.{name} select * from pg_temp.{name} on conflict do nothing");
        if decided.is_empty() {
            let (held, told) = (self.compared("held"), self.compared("told"));
            return vec![
                format!(
                    "delete from {schema}.{name} as held where not exists (
                         select from pg_temp.{name} as told where {is_same} and {held} is not distinct from {told})"
                ),
                add,
            ];
        }
        let (columns, told) = (decided.join(", "), self.compared("told"));
        let held = self.compared("held");
        vec![
            // Rows that only the other side knows lose what the journal does not tell, and stay.
            format!(
                "update {schema}.{name} as held set ({columns}) = (
                     select {columns} from pg_temp.{name} as told where {is_same})
                 where {held} is distinct from (select {told} from pg_temp.{name} as told where {is_same})"
            ),
            format!(
                "insert into {schema}.{name} select told.* from pg_temp.{name} as told
                     where not exists (select from {schema}.{name} as held where {is_same})"
            ),
            format!("delete from {schema}.{name} where requested_at is null and completed_at is null"),
        ]
    }
}
