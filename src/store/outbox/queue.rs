//! Rows that come and go.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::lead::Lead;
use crate::ids::{Mid, PageId, Topic, UserId};
use crate::store::error::StoreError;
use crate::store::pool::Store;

/// A message that is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// Whoever asks twice with the same key for the same user asks for one message; none for a key of its own.
    pub idempotency_key: Option<&'a str>,
    pub page_id: &'a PageId,
    pub user_id: &'a UserId,
    /// The subscription whose token it is sent to.
    pub topic: Option<&'a Topic>,
    /// The request as Sobot's document has it, addressed to the user.
    pub request: &'a serde_json::Value,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It waits, or the same was asked before: under this number.
    As(i64),
    /// Another message was asked for under this key.
    KeyTaken,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Waiting,
    /// The request is about to leave, or has left; later messages to the user wait for its answer.
    Sending,
    Sent,
    Failed,
    Unknown,
}

impl Status {
    /// In a word. What is under way has none in the table, where it is unknown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// A row, for people.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub idempotency_key: String,
    pub page_id: String,
    pub user_id: String,
    pub topic: Option<String>,
    pub status: Status,
    pub mid: Option<String>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub attempted_at: Option<DateTime<Utc>>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// A message that this process, and no other, sends now.
#[derive(Debug)]
pub struct Claimed {
    pub id: i64,
    pub page_id: String,
    pub user_id: String,
    pub topic: Option<String>,
    pub request: serde_json::Value,
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Puts a message into the outbox, unless it is there.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn enqueue(&self, entry: &NewEntry<'_>) -> Result<Queued, StoreError> {
        let NewEntry { idempotency_key, page_id, user_id, topic, request } = *entry;
        let is_same = sqlx::query!(
            r#"
            insert into outbox as held (user_id, idempotency_key, page_id, topic, request)
            values ($1, coalesce($2, gen_random_uuid()::text), $3, $4, $5)
            on conflict (user_id, idempotency_key) do update
            -- Setting the row to itself makes it part of what is returned.
            set status = held.status
            returning
                id,
                (page_id = $3 and topic is not distinct from $4 and request = $5) as "is_same!"
            "#,
            user_id.as_str(),
            idempotency_key,
            page_id.as_str(),
            topic.map(Topic::as_str),
            Json(request) as _,
        );
        let row = is_same.fetch_one(&self.pool).await?;
        Ok(if row.is_same { Queued::As(row.id) } else { Queued::KeyTaken })
    }

    /// How far a message has come; none if there is no such number.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn outbox_entry(&self, id: i64) -> Result<Option<Entry>, StoreError> {
        let row = sqlx::query!(
            r#"
            select
                id, idempotency_key, page_id, user_id, topic, status, mid, error, created_at, attempted_at, settled_at,
                coalesce(claimed_until > now(), false) as "is_claimed!"
            from outbox
            where id = $1
            "#,
            id
        );
        Ok(row.fetch_optional(&self.pool).await?.map(|row| Entry {
            id: row.id,
            idempotency_key: row.idempotency_key,
            page_id: row.page_id,
            user_id: row.user_id,
            topic: row.topic,
            status: match (row.status.as_str(), row.is_claimed) {
                ("waiting", _) => Status::Waiting,
                ("sent", _) => Status::Sent,
                ("failed", _) => Status::Failed,
                (_, true) => Status::Sending,
                (_, false) => Status::Unknown,
            },
            mid: row.mid,
            error: row.error,
            created_at: row.created_at,
            attempted_at: row.attempted_at,
            settled_at: row.settled_at,
        }))
    }

    /// The token of a subscription to which a marketing message can be sent now. A secret.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn marketing_token(
        &self,
        page_id: &PageId,
        user_id: &UserId,
        topic: &Topic,
    ) -> Result<Option<String>, StoreError> {
        let token = sqlx::query_scalar!(
            r#"
            select token as "token!"
            from subscriptions
            join subscribers using (user_id, page_id, topic)
            where user_id = $1 and page_id = $2 and topic = $3 and can_receive_marketing
            "#,
            user_id.as_str(),
            page_id.as_str(),
            topic.as_str()
        );
        Ok(token.fetch_optional(&self.pool).await?)
    }

    /// Until when the page may answer the user without a tag; none if the user has never written, as far as is known.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn window_open_until(
        &self,
        page_id: &PageId,
        user_id: &UserId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let until = sqlx::query_scalar!(
            r#"select open_until as "open_until!" from messaging_window where user_id = $1 and page_id = $2"#,
            user_id.as_str(),
            page_id.as_str()
        );
        Ok(until.fetch_optional(&self.pool).await?)
    }
}

impl Lead {
    /// Takes up to so many messages, at most one a user, that are to be sent now; each is `unknown` from here on. It is
    /// claimed until the time that its request may take is over.
    ///
    /// # Errors
    /// PostgreSQL is away; then nobody leads any more.
    pub async fn claim(&mut self, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        let claimed = sqlx::query!(
            r#"
            with first as (
                select distinct on (user_id, page_id) user_id, idempotency_key, id, status
                from outbox
                where status = 'waiting' or (status = 'unknown' and claimed_until > now())
                order by user_id, page_id, id
            ),
            chosen as (
                select user_id, idempotency_key from first where status = 'waiting' order by id limit $1
            )
            update outbox
            set status = 'unknown', attempted_at = now(), claimed_until = now() + interval '2 minutes'
            from chosen
            where outbox.user_id = chosen.user_id
              and outbox.idempotency_key = chosen.idempotency_key
              and outbox.status = 'waiting'
            returning
                outbox.id, outbox.page_id, outbox.user_id, outbox.topic, outbox.created_at,
                outbox.request as "request: Json<serde_json::Value>"
            "#,
            i64::try_from(limit).unwrap_or(i64::MAX)
        );
        let claimed = claimed.fetch_all(self.connection()).await?;
        Ok(claimed
            .into_iter()
            .map(|row| Claimed {
                id: row.id,
                page_id: row.page_id,
                user_id: row.user_id,
                topic: row.topic,
                request: row.request.0,
                created_at: row.created_at,
            })
            .collect())
    }

    /// Writes down that a claimed message was sent.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn settle_sent(&mut self, id: i64, mid: Option<&Mid>) -> Result<(), StoreError> {
        let settle = sqlx::query!(
            "update outbox set status = 'sent', mid = $2, error = null, claimed_until = null, settled_at = now()
             where id = $1",
            id,
            mid.map(Mid::as_str)
        );
        settle.execute(self.connection()).await?;
        Ok(())
    }

    /// Writes down that a claimed message has certainly not been sent, and will not be.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn settle_failed(&mut self, id: i64, error: &str) -> Result<(), StoreError> {
        let settle = sqlx::query!(
            "update outbox set status = 'failed', error = $2, claimed_until = null, settled_at = now() where id = $1",
            id,
            error
        );
        settle.execute(self.connection()).await?;
        Ok(())
    }

    /// Writes down that nobody knows whether a claimed message was sent.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn leave_unknown(&mut self, id: i64, error: &str) -> Result<(), StoreError> {
        let leave = sqlx::query!("update outbox set error = $2, claimed_until = null where id = $1", id, error);
        leave.execute(self.connection()).await?;
        Ok(())
    }

    /// Puts a claimed message back, of which it is certain that nothing left.
    ///
    /// # Errors
    /// PostgreSQL is away; then it stays unknown.
    pub async fn put_back(&mut self, id: i64, error: &str) -> Result<(), StoreError> {
        let put_back = sqlx::query!(
            "update outbox set status = 'waiting', error = $2, claimed_until = null where id = $1",
            id,
            error
        );
        put_back.execute(self.connection()).await?;
        Ok(())
    }
}
