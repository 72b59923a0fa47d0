//! A person's events in the journal, and where else in it their id stands.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::erased::{Erased, end};
use super::hashes::Key;
use super::tombstone;
use crate::event::Person;
use crate::ids::{EventKey, PageId};
use crate::json::{names, without_name};
use crate::store::error::StoreError;

/// The page that is meant, if only one is.
pub fn page(person: &Person) -> Option<&str> {
    person.page_id.as_ref().map(PageId::as_str)
}

/// Erases the person from a table of the journal; without a key it is only counted.
pub async fn erase(
    connection: &mut PgConnection,
    month: &str,
    person: &Person,
    key: Option<&Key>,
) -> Result<Erased, StoreError> {
    let mut transaction = connection.begin().await?;
    let deleted = delete_own(&mut transaction, month, person, None).await?;
    if let Some(key) = key {
        remember_own(&mut transaction, person, key, &deleted).await?;
    }
    let (mut erased, of_nobody) = erase_mentions(&mut transaction, month, person).await?;
    // Without need every session would read the hashes anew.
    if let Some(key) = key.filter(|_| !of_nobody.is_empty()) {
        remember(&mut transaction, "", key, &of_nobody).await?;
    }
    erased.deleted += deleted.len() as u64;
    end(transaction, key.is_none()).await?;
    Ok(erased)
}

/// An event that was deleted.
struct Deleted {
    key: EventKey,
    occurred_at: DateTime<Utc>,
    /// Its time is that of its receipt, as that of an event is which tells none.
    is_timed_by_receipt: bool,
}

async fn delete_own(
    connection: &mut PgConnection,
    month: &str,
    person: &Person,
    after: Option<DateTime<Utc>>,
) -> Result<Vec<Deleted>, StoreError> {
    let delete = format!(
        "delete from {month}
         where user_id = $1
           and ($2::text is null or page_id = $2)
           and ($3::timestamptz is null or occurred_at > $3)
         returning event_key, occurred_at, occurred_at = received_at"
    );
    let delete = sqlx::query(AssertSqlSafe(delete)).bind(person.user_id.as_str()).bind(page(person)).bind(after);
    let deleted = |row: PgRow| -> sqlx::Result<Option<Deleted>> {
        let Ok(key) = row.try_get::<Vec<u8>, _>(0)?.try_into() else { return Ok(None) };
        Ok(Some(Deleted { key: EventKey(key), occurred_at: row.try_get(1)?, is_timed_by_receipt: row.try_get(2)? }))
    };
    let rows = delete.fetch_all(connection).await?;
    Ok(rows.into_iter().filter_map(|row| deleted(row).transpose()).collect::<sqlx::Result<_>>()?)
}

/// What would bring deleted events back although they are older than the erasure: that they lie in the future, or tell no
/// time.
async fn remember_own(
    connection: &mut PgConnection,
    person: &Person,
    key: &Key,
    deleted: &[Deleted],
) -> Result<(), StoreError> {
    let Some(latest) = deleted.iter().map(|event| event.occurred_at).max() else { return Ok(()) };
    sqlx::query!(
        "update erased_users set erased_until = greatest(erased_until, $2) where hash = $1",
        &key.person(person)[..],
        latest
    )
    .execute(&mut *connection)
    .await?;
    let timeless: Vec<_> = deleted.iter().filter(|event| event.is_timed_by_receipt).map(|event| event.key).collect();
    remember(connection, person.user_id.as_str(), key, &timeless).await
}

/// Erases what a person has done since the erasure began, so that journal and state say the same. Only for the moment in
/// which nobody else writes.
pub async fn erase_latest(
    connection: &mut PgConnection,
    person: &Person,
    key: &Key,
    begun_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let deleted = delete_own(connection, "events", person, Some(begun_at)).await?;
    remember_own(connection, person, key, &deleted).await
}

/// Remembers events of a user, or of nobody (''), that a repetition could bring back, and has every session read it.
pub async fn remember(
    connection: &mut PgConnection,
    user_id: &str,
    key: &Key,
    events: &[EventKey],
) -> Result<(), StoreError> {
    for event in events {
        let forget =
            sqlx::query!("delete from first_receipts where user_id = $1 and event_key = $2", user_id, &event.0[..]);
        forget.execute(&mut *connection).await?;
    }
    let hashes: Vec<_> = events.iter().map(|event| key.event(user_id, *event).to_vec()).collect();
    let remember = sqlx::query!("insert into erased_events select unnest($1::bytea[]) on conflict do nothing", &hashes);
    remember.execute(&mut *connection).await?;
    // Also for a time that was moved.
    tombstone::raise(connection).await.map(drop)
}

/// Rows of nobody or of others in which the id stands: the former are deleted, in the latter the id is replaced.
async fn erase_mentions(
    connection: &mut PgConnection,
    month: &str,
    person: &Person,
) -> Result<(Erased, Vec<EventKey>), StoreError> {
    let select = format!(
        "select occurred_at, event_key, user_id, body::text, raw, envelope
         from {month}
         where user_id <> $1
           and ($2::text is null or page_id in ($2, ''))
           and (
               strpos(body::text, $1) > 0
               or strpos(envelope, $1) > 0
               or position(convert_to($1, 'UTF8') in raw) > 0
               -- There it may be spelled with escapes.
               or position('\\x5c'::bytea in raw) > 0
           )"
    );
    let mut mentions = Vec::new();
    {
        let select = sqlx::query(AssertSqlSafe(select)).bind(person.user_id.as_str()).bind(page(person));
        let mut rows = select.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            mentions.extend(Mention::read(&row, person.user_id.as_str())?);
        }
    }
    let (mut erased, mut of_nobody) = (Erased::default(), Vec::new());
    for mention in mentions {
        if mention.user_id.is_empty() {
            of_nobody.extend(mention.event_key.clone().try_into().ok().map(EventKey));
            let delete = format!("delete from {month} where occurred_at = $1 and event_key = $2 and user_id = ''");
            let delete = sqlx::query(AssertSqlSafe(delete)).bind(mention.occurred_at).bind(mention.event_key);
            erased.deleted += delete.execute(&mut *connection).await?.rows_affected();
        } else {
            let update = format!(
                "update {month} set body = $4::jsonb, raw = $5, envelope = $6
                 where occurred_at = $1 and event_key = $2 and user_id = $3"
            );
            let update = sqlx::query(AssertSqlSafe(update))
                .bind(mention.occurred_at)
                .bind(mention.event_key)
                .bind(mention.user_id)
                .bind(mention.body)
                .bind(mention.raw)
                .bind(mention.envelope);
            erased.changed += update.execute(&mut *connection).await?.rows_affected();
        }
    }
    Ok((erased, of_nobody))
}

/// A row in which the id stands, as it is to be.
struct Mention {
    occurred_at: DateTime<Utc>,
    event_key: Vec<u8>,
    user_id: String,
    body: Option<String>,
    raw: Option<Vec<u8>>,
    envelope: Option<String>,
}

impl Mention {
    /// None if nothing is to be done: the id stands within a longer word, or within the text of somebody else.
    fn read(row: &PgRow, name: &str) -> sqlx::Result<Option<Self>> {
        let (body, envelope): (Option<String>, Option<String>) = (row.try_get("body")?, row.try_get("envelope")?);
        let (raw, user_id): (Option<Vec<u8>>, String) = (row.try_get("raw")?, row.try_get("user_id")?);
        let holds_name = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| names(bytes, name));
        let is_named = holds_name(body.as_deref().map(str::as_bytes))
            || holds_name(raw.as_deref())
            || holds_name(envelope.as_deref().map(str::as_bytes));
        let without = |bytes: Bytes| without_name(&bytes, name);
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).ok();
        let new_body = body.clone().and_then(|body| without(body.into())).and_then(text);
        let new_raw = raw.clone().and_then(|raw| without(raw.into())).map(|raw| raw.to_vec());
        let new_envelope = envelope.clone().and_then(|envelope| without(envelope.into())).and_then(text);
        let is_changed = new_body.is_some() || new_raw.is_some() || new_envelope.is_some();
        let is_wanted = if user_id.is_empty() { is_named } else { is_changed };
        let mention = || -> sqlx::Result<Self> {
            Ok(Self {
                occurred_at: row.try_get("occurred_at")?,
                event_key: row.try_get("event_key")?,
                user_id,
                body: new_body.or(body),
                raw: new_raw.or(raw),
                envelope: new_envelope.or(envelope),
            })
        };
        is_wanted.then(mention).transpose()
    }
}
