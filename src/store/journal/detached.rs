//! `detached_months`: which tables retention may drop. A month that somebody else has detached is theirs, also when a late
//! event has brought it back into the journal.

use sqlx::PgConnection;

use crate::store::error::StoreError;

/// A month on its way out of the journal.
#[derive(Debug)]
pub struct Leaving {
    pub name: String,
    /// Detached only: somebody had done so before.
    pub is_kept: bool,
    /// Its detachment was interrupted.
    pub is_pending: bool,
}

/// What an earlier run has not finished. PostgreSQL detaches no month while another one is pending: that comes first.
pub async fn left_over(connection: &mut PgConnection) -> Result<Vec<Leaving>, StoreError> {
    forget_untouched(connection).await?;
    let left_over = sqlx::query_as!(
        Leaving,
        r#"
        select name, fate = 'keep' as "is_kept!", coalesce(inhdetachpending, false) as "is_pending!"
        from detached_months
        left join pg_inherits on inhrelid = to_regclass(name)
        where inhdetachpending or (inhrelid is null and fate = 'drop')
        order by 3 desc, name
        "#
    )
    .fetch_all(connection)
    .await?;
    Ok(left_over)
}

/// The names of the months of the journal that are before `oldest_kept`.
pub async fn attached_before(connection: &mut PgConnection, oldest_kept: &str) -> Result<Vec<String>, StoreError> {
    let months = sqlx::query_scalar!(
        r#"
        select relname::text as "name!"
        from pg_inherits
        join pg_class on pg_class.oid = inhrelid
        where inhparent = 'events'::regclass
          and not inhdetachpending
          and relnamespace = current_schema()::regnamespace
          and relkind = 'r'
          and relname ~ '^events_[0-9]{4}_[0-9]{2}$'
          and relname < $1
        order by relname
        "#,
        oldest_kept
    )
    .fetch_all(connection)
    .await?;
    Ok(months)
}

/// Writes down that an attached month is going to be detached, at the last moment before.
pub async fn leave(connection: &mut PgConnection, month: &str) -> Result<Leaving, StoreError> {
    let is_kept = sqlx::query_scalar!(
        r#"
        insert into detached_months as month (name, fate)
        values ($1, 'drop')
        on conflict (name) do update
        set fate = month.fate
        returning fate = 'keep' as "is_kept!"
        "#,
        month
    );
    Ok(Leaving { name: month.to_owned(), is_kept: is_kept.fetch_one(connection).await?, is_pending: false })
}

/// Written down but still attached, a month has not been touched, and may be detached by somebody else next.
pub async fn forget_untouched(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from detached_months
         where fate = 'drop'
           and (
               to_regclass(name) is null
               or exists (select from pg_inherits where inhrelid = to_regclass(name) and not inhdetachpending)
           )"
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It is gone, or belongs to somebody else.
pub async fn forget(connection: &mut PgConnection, month: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from detached_months where name = $1", month).execute(connection).await?;
    Ok(())
}
