//! The functions by which rows are stored, and the composite types that they take: made from the rows of this folder and
//! the SQL beside them, and installed by `migrate`.
//!
//! Each name ends in a hash of its definition. So a changed column or merge gets new names by itself, and a running service
//! of the version before goes on calling what it knows. The table `installed_functions` says which release calls what: what
//! this release and the last one before it call stays, the rest is dropped.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::earlier_row::EarlierRow;
use super::error::OUTDATED;
use super::function::{Function, Rights};
use super::journal::{self, EventRow};
use super::quarantine::{self, Quarantined};
use super::row::RowType;
use super::state_table::StateTable;
use super::tables::TABLES;

const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Serialises installations; any constant will do.
const LOCK: i64 = 0x0066_756e_6374;

const EVENT: RowType = RowType::of::<EventRow<'_>>();
const QUARANTINED: RowType = RowType::of::<Quarantined<'_>>();
const EARLIER: RowType = RowType::of::<EarlierRow<'_>>();

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(Functions::new);

/// The statement that stores a batch: rows of the journal, of each state table in order, and of the quarantine, and the
/// generation of erasures that the batch takes into account. It answers with the positions (from 1) of the events that the
/// journal had already.
pub static STORE: LazyLock<String> =
    LazyLock::new(|| format!("select {}($1, $2, $3, $4, $5, $6, $7)", FUNCTIONS.store.name));

/// The statement that takes an event out of the journal whose earlier copy has come, and says whether it was there.
pub static TAKE_BACK: LazyLock<String> = LazyLock::new(|| format!("select {}($1)", FUNCTIONS.take_back.name));

/// The statement that puts back what rests on the later time of such an event, and says whether anything did.
pub static PUT_BACK: LazyLock<String> = LazyLock::new(|| format!("select {}($1)", FUNCTIONS.put_back.name));

/// All of them.
struct Functions {
    journal: Function,
    /// One a state table, in their order.
    merges: Vec<Function>,
    quarantine: Function,
    take_back: Function,
    put_back: Function,
    store: Function,
}

impl Functions {
    fn new() -> Self {
        let journal = of_rows("journal", &EVENT, "bigint[]", journal::INSERT);
        let quarantine = of_rows("quarantine", &QUARANTINED, "void", quarantine::INSERT);
        let merges: Vec<_> = TABLES.iter().map(merge).collect();
        let earlier = [("rows", &EARLIER)];
        let take_back = Function::of_arrays("take_back", Rights::Owner, &earlier, "boolean", journal::TAKE_BACK);
        let put_back = Function::of_arrays("put_back", Rights::Owner, &earlier, "boolean", &put_back());
        let store = store(&journal, &merges, &quarantine);
        Self { journal, merges, quarantine, take_back, put_back, store }
    }

    /// In an order in which they can be made.
    fn all(&self) -> impl Iterator<Item = &Function> {
        let others = [&*journal::MAKE_MONTH, &*journal::FIRST_RECEIPTS, &self.journal, &self.quarantine];
        let of_time = [&self.take_back, &self.put_back];
        others.into_iter().chain(of_time).chain(&self.merges).chain([&self.store])
    }

    /// Those that act with their owner's rights: all that a service calls.
    fn of_owner(&self) -> Vec<&str> {
        let of_owner = self.all().filter(|function| function.rights == Rights::Owner);
        of_owner.map(|function| function.name.as_str()).collect()
    }

    /// Each with its name: types, then functions.
    fn statements(&self) -> Vec<(String, String)> {
        let types = [&EVENT, &QUARANTINED, &EARLIER, &journal::FIRST_RECEIPT];
        let types = types.into_iter().chain(TABLES.iter().map(|table| &table.row));
        let types = types.map(|row| {
            let name = row.installed_name();
            let statement = format!("create type {name} {}", row.definition());
            (name, statement)
        });
        let functions = self
            .all()
            .map(|Function { name, definition, .. }| (name.clone(), format!("create function {name}{definition}")));
        types.chain(functions).collect()
    }
}

/// Journals first, then merges what the events tell, if any of them is new.
///
/// In between it looks whether somebody has been erased of whom the session does not know. Not before: whoever erases waits
/// for those who write to the journal.
///
/// What repeated events tell is merged again when new ones stand beside them: it changes nothing, since every merge is
/// idempotent, and asking for each row whether it is new would cost every batch.
fn store(journal: &Function, merges: &[Function], quarantine: &Function) -> Function {
    let argument = |name: &str| format!("new_{name}");
    let mut arguments = vec![(argument("events"), &EVENT)];
    let mut run_merges = String::new();
    for (table, merge) in TABLES.iter().zip(merges) {
        let rows = argument(table.name);
        // Writing to a string cannot fail.
        let _ = writeln!(run_merges, "if cardinality({rows}) > 0 then perform {}({rows}); end if;", merge.name);
        arguments.push((rows, &table.row));
    }
    arguments.push((argument("quarantine"), &QUARANTINED));
    let body = format!(
        "declare\nknown bigint[] := {}(new_events);\n\
         begin\nif known_erasures is distinct from (select generation from erasure_key) then\n\
         raise exception 'somebody has been erased meanwhile' using errcode = '{OUTDATED}';\nend if;\n\
         if cardinality(known) < cardinality(new_events) then\n{run_merges}end if;\n\
         if cardinality(new_quarantine) > 0 then perform {}(new_quarantine); end if;\n\
         return known;\nend",
        journal.name, quarantine.name
    );
    let lists: Vec<_> = arguments.iter().map(|(name, row)| format!("{name} {}[]", row.installed_name())).collect();
    let list = format!("{}, known_erasures bigint", lists.join(", "));
    let idle_arguments = format!("{}, (select generation from erasure_key)", vec!["'{}'"; lists.len()].join(", "));
    Function { idle_arguments: Some(idle_arguments), ..Function::new("store", Rights::Owner, &list, "bigint[]", &body) }
}

/// One that takes `rows`, and that others call.
fn of_rows(name: &str, row: &RowType, returns: &str, body: &str) -> Function {
    Function::of_arrays(name, Rights::Caller, &[("rows", row)], returns, body)
}

/// The function that merges rows into a state table.
fn merge(table: &StateTable) -> Function {
    let StateTable { name, row, on_conflict, .. } = table;
    let columns = row.columns();
    let body = format!(
        "begin\ninsert into {name} as held ({columns})\nselect {columns} from unnest(rows)\n{on_conflict};\nend"
    );
    of_rows(&format!("merge_{}", table.name), &table.row, "void", &body)
}

/// Its name.
pub fn merge_name(table: &StateTable) -> String {
    merge(table).name
}

fn put_back() -> String {
    let statements = TABLES.iter().filter_map(|table| table.put_back);
    let statements: Vec<_> = statements.map(|update| format!("{update};\nrested := rested or found;\n")).collect();
    format!("declare\nrested boolean := false;\nbegin\n{}return rested;\nend", statements.concat())
}

/// Whether this release has installed its functions, and none with its owner's rights is open to everybody, as they are when
/// they have been restored without their privileges.
pub async fn are_installed(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let statement = "
        select not exists (
                select unnest($1::text[])
                except
                select name from installed_functions where release = $2
            )
            and not exists (
                select
                from pg_proc
                where prosecdef
                  and proname in (select name from installed_functions)
                  and pronamespace = current_schema()::regnamespace
                  and has_function_privilege('public', oid, 'execute')
            )";
    let names: Vec<&str> = FUNCTIONS.all().map(|function| function.name.as_str()).collect();
    sqlx::query_scalar(statement).bind(names).bind(RELEASE).fetch_one(connection).await
}

/// Whether the present role may call what a service calls.
pub async fn may_be_called(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let statement = "
        select coalesce(bool_and(has_function_privilege(oid, 'execute')), false)
        from pg_proc
        where proname = any ($1) and pronamespace = current_schema()::regnamespace";
    sqlx::query_scalar(statement).bind(FUNCTIONS.of_owner()).fetch_one(connection).await
}

/// Installs what this release calls and is not there yet, and drops what neither this one nor the last one before it calls.
pub async fn install(connection: &mut PgConnection) -> sqlx::Result<()> {
    if are_installed(connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    for (name, statement) in FUNCTIONS.statements() {
        let is_there = "select exists (select from installed_functions where name = $1)";
        let is_there: bool = sqlx::query_scalar(is_there).bind(&name).fetch_one(&mut *transaction).await?;
        if !is_there {
            transaction.execute(AssertSqlSafe(statement)).await?;
        }
        let remember = "insert into installed_functions (name, release) values ($1, $2) on conflict do nothing";
        sqlx::query(remember).bind(&name).bind(RELEASE).execute(&mut *transaction).await?;
    }
    shut(&mut transaction).await?;
    check(&mut transaction).await?;
    sweep(&mut transaction).await?;
    transaction.commit().await
}

/// Sees to it that what acts with its owner's rights is called only by whom the owner lets, and meets no table of the
/// caller's: those in `pg_temp` come first unless they are named last.
async fn shut(connection: &mut PgConnection) -> sqlx::Result<()> {
    let schema: String = sqlx::query_scalar("select quote_ident(current_schema())").fetch_one(&mut *connection).await?;
    let of_owner = "
        select oid::regprocedure::text
        from pg_proc
        where prosecdef
          and proname in (select name from installed_functions)
          and pronamespace = current_schema()::regnamespace";
    let of_owner: Vec<String> = sqlx::query_scalar(of_owner).fetch_all(&mut *connection).await?;
    for function in of_owner {
        let search_path = format!("alter function {function} set search_path = {schema}, pg_temp");
        connection.execute(AssertSqlSafe(search_path)).await?;
        connection.execute(AssertSqlSafe(format!("revoke execute on function {function} from public"))).await?;
    }
    Ok(())
}

/// Calls each function that takes rows, without any. PL/pgSQL plans a statement when it first runs it: so an error in the
/// statement of a merge, or in the inserts of journal and quarantine, shows here instead of in the first batch. What a
/// call without rows does not reach is run by the tests.
async fn check(connection: &mut PgConnection) -> sqlx::Result<()> {
    for function in FUNCTIONS.all() {
        if let Some(arguments) = &function.idle_arguments {
            connection.execute(AssertSqlSafe(format!("select {}({arguments})", function.name))).await?;
        }
    }
    Ok(())
}

/// Drops what is called neither by this release nor by the last one before it.
async fn sweep(connection: &mut PgConnection) -> sqlx::Result<()> {
    let forget = "
        delete from installed_functions
        where release <> $1
          and release <> (
              select release from installed_functions where release <> $1 order by installed_at desc limit 1
          )
        returning name";
    let forgotten: Vec<String> = sqlx::query_scalar(forget).bind(RELEASE).fetch_all(&mut *connection).await?;
    // Functions before the types that they take.
    let drops = "
        with unused as (select unnest($1::text[]) as name except select name from installed_functions)
        select statement
        from (
            select 1 as turn, format('drop function %s', oid::regprocedure) as statement
            from pg_proc join unused on name = proname
            where pronamespace = current_schema()::regnamespace
            union all
            select 2, format('drop type %s', oid::regtype)
            from pg_type join unused on name = typname
            where typnamespace = current_schema()::regnamespace
        ) as drops
        order by turn";
    let drops: Vec<String> = sqlx::query_scalar(drops).bind(forgotten).fetch_all(&mut *connection).await?;
    for statement in drops {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}
