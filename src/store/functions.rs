//! The functions by which rows are stored, and the composite types that they take: made from the rows of this folder and
//! the SQL beside them, and installed by `migrate`.
//!
//! Their names end in a hash of all their text, so that a changed column or merge gets new names by itself, and a running
//! service of the version before goes on calling what it knows. What this release and the one before have installed stays;
//! what is older is dropped. The table `installed_functions` says which hash belongs to which release.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::journal::{self, EventRow};
use super::quarantine::{self, Quarantined};
use super::row::RowType;
use super::state::TABLES;
use super::state_table::StateTable;

const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Serialises installations; any number does that is always the same one.
const LOCK: i64 = 0x0066_756e_6374;

const EVENT: RowType = RowType::of::<EventRow<'_>>();
const QUARANTINED: RowType = RowType::of::<Quarantined<'_>>();

/// 12 hexadecimal digits of the SHA-256 over the text of all types and functions.
static HASH: LazyLock<String> = LazyLock::new(|| hex::encode(&Sha256::digest(definitions("").join("\n"))[..6]));

/// The statement that stores a batch: rows of the journal, of each state table in order, and of the quarantine. It answers
/// with the positions (from 1) of the events that the journal had already.
pub static STORE: LazyLock<String> = LazyLock::new(|| format!("select {}($1, $2, $3, $4, $5, $6)", installed("store")));

/// The name that a function or type of this program has in the database.
pub fn installed(name: &str) -> String {
    format!("{name}_{}", *HASH)
}

/// The name of the function that merges rows into a table.
pub fn merge(table: &StateTable) -> String {
    installed(&format!("merge_{}", table.name))
}

/// The statements that make everything, with `suffix` behind each name.
fn definitions(suffix: &str) -> Vec<String> {
    let types = [&EVENT, &QUARANTINED].into_iter().chain(TABLES.iter().map(|table| &table.row));
    let mut statements: Vec<_> = types.map(|row| composite(row, suffix)).collect();
    let mut function = |name: &str, arguments: &str, returns: &str, body: &str| {
        statements.push(format!(
            "create function {name}{suffix}({arguments}) returns {returns} language plpgsql as $function$\n\
             {body}\n$function$"
        ));
    };
    let rows = |row: &RowType| format!("rows {}{suffix}[]", row.name);
    let run = |statement: &str| format!("begin\n{statement};\nend");
    function("journal", &rows(&EVENT), "bigint[]", journal::INSERT);
    for table in &TABLES {
        function(&format!("merge_{}", table.name), &rows(&table.row), "void", &run(table.merge));
    }
    function("quarantine", &rows(&QUARANTINED), "void", &run(quarantine::INSERT));
    let (arguments, body) = store(suffix);
    function("store", &arguments, "bigint[]", &body);
    statements
}

fn composite(row: &RowType, suffix: &str) -> String {
    let columns: Vec<_> = (row.columns)().into_iter().map(|(name, column)| format!("{name} {column}")).collect();
    format!("create type {}{suffix} as ({})", row.name, columns.join(", "))
}

/// Arguments and body of the function that stores a batch: the journal first, then what it tells, if anything is new.
///
/// What repeated events tell is merged again when new ones stand beside them: it changes nothing, since every merge is
/// idempotent, and asking for each row whether it is new would cost every batch.
fn store(suffix: &str) -> (String, String) {
    let mut arguments = format!("new_events {}{suffix}[]", EVENT.name);
    let mut merges = String::new();
    for StateTable { name, row, .. } in &TABLES {
        // Writing to a string cannot fail.
        let _ = write!(arguments, ", new_{name} {}{suffix}[]", row.name);
        let _ =
            write!(merges, "\nif cardinality(new_{name}) > 0 then perform merge_{name}{suffix}(new_{name}); end if;");
    }
    let _ = write!(arguments, ", new_quarantine {}{suffix}[]", QUARANTINED.name);
    let body = format!(
        "declare\nknown bigint[] := journal{suffix}(new_events);\n\
         begin\nif cardinality(known) < cardinality(new_events) then{merges}\nend if;\n\
         if cardinality(new_quarantine) > 0 then perform quarantine{suffix}(new_quarantine); end if;\n\
         return known;\nend"
    );
    (arguments, body)
}

/// Whether this release has installed its functions.
pub async fn are_installed(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let of_release = "select exists (select from installed_functions where hash = $1 and release = $2)";
    sqlx::query_scalar(of_release).bind(HASH.as_str()).bind(RELEASE).fetch_one(connection).await
}

/// Installs this release's functions if they are not there, and drops those of releases before the last.
pub async fn install(connection: &mut PgConnection) -> sqlx::Result<()> {
    if are_installed(connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // Another process may have been here, or another release had the same ones.
    let has_hash = "select exists (select from installed_functions where hash = $1)";
    let has_hash: bool = sqlx::query_scalar(has_hash).bind(HASH.as_str()).fetch_one(&mut *transaction).await?;
    if !has_hash {
        for statement in definitions(&installed("")) {
            transaction.execute(AssertSqlSafe(statement)).await?;
        }
        check(&mut transaction).await?;
    }
    let add = "insert into installed_functions (hash, release) values ($1, $2) on conflict do nothing";
    sqlx::query(add).bind(HASH.as_str()).bind(RELEASE).execute(&mut *transaction).await?;
    sweep(&mut transaction).await?;
    transaction.commit().await
}

/// Calls each function without rows: then PostgreSQL reads and plans all SQL in them, and an error shows here instead of
/// in the first batch.
async fn check(connection: &mut PgConnection) -> sqlx::Result<()> {
    let names = ["journal", "quarantine"].map(installed).into_iter().chain(TABLES.iter().map(merge));
    for name in names {
        connection.execute(AssertSqlSafe(format!("select {name}('{{}}')"))).await?;
    }
    let arguments = vec!["'{}'"; TABLES.len() + 2].join(", ");
    connection.execute(AssertSqlSafe(format!("select {}({arguments})", installed("store")))).await?;
    Ok(())
}

/// Drops what neither this release nor the last one before it has installed.
async fn sweep(connection: &mut PgConnection) -> sqlx::Result<()> {
    let forget = "
        delete from installed_functions
        where release <> $1
          and release <> (
              select release from installed_functions where release <> $1 order by installed_at desc limit 1
          )
        returning hash";
    let forgotten: Vec<String> = sqlx::query_scalar(forget).bind(RELEASE).fetch_all(&mut *connection).await?;
    let drops = "
        select statement
        from (
            select 1 as turn, right(proname, 13) as suffix, format('drop function %s', oid::regprocedure) as statement
            from pg_proc
            where pronamespace = current_schema()::regnamespace
            union all
            select 2, right(typname, 13), format('drop type %s', oid::regtype)
            from pg_type
            where typnamespace = current_schema()::regnamespace and typtype = 'c'
        ) as dropped
        where suffix = '_' || $1 and not exists (select from installed_functions where hash = $1)
        order by turn";
    for hash in forgotten {
        let drops: Vec<String> = sqlx::query_scalar(drops).bind(hash).fetch_all(&mut *connection).await?;
        for statement in drops {
            connection.execute(AssertSqlSafe(statement)).await?;
        }
    }
    Ok(())
}
