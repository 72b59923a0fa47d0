//! Who is subscribed, as the view `subscribers` shows it: without tokens.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::ids::{PageId, Topic};
use crate::store::error::StoreError;
use crate::store::pool::Store;

/// No index begins with page or topic, so the whole table is read; nobody waits for it.
const LIMIT: Duration = Duration::from_mins(2);

/// A subscription, as the latest word on it has it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub page_id: String,
    pub user_id: String,
    pub topic: String,
    /// 1 is subscribed, 0 has stopped.
    pub sub_status: i16,
    pub timezone: Option<String>,
    /// When the latest subscribe, stop or resume happened.
    pub changed_at: DateTime<Utc>,
    pub token_expires_at: Option<DateTime<Utc>>,
    /// Whether a marketing message can be sent to it now.
    pub can_receive_marketing: bool,
}

/// A topic that somebody is subscribed to.
#[derive(Debug, Clone)]
pub struct SubscribedTopic {
    pub page_id: String,
    pub topic: String,
    /// How many are.
    pub subscribers: i64,
}

impl Store {
    /// Who is or was subscribed, of all pages and topics or of these, by page, topic and user.
    ///
    /// # Errors
    /// PostgreSQL is away, or has more to read than it can within two minutes.
    pub async fn subscribers(
        &self,
        page_id: Option<&PageId>,
        topic: Option<&Topic>,
    ) -> Result<Vec<Subscriber>, StoreError> {
        let mut connection = self.patient_connection().await?;
        let rows = sqlx::query_as!(
            Subscriber,
            r#"
            select
                page_id as "page_id!",
                user_id as "user_id!",
                topic as "topic!",
                sub_status as "sub_status!",
                timezone,
                changed_at as "changed_at!",
                token_expires_at,
                can_receive_marketing as "can_receive_marketing!"
            from subscribers
            where ($1::text is null or page_id = $1) and ($2::text is null or topic = $2)
            order by page_id, topic, user_id
            "#,
            page_id.map(PageId::as_str),
            topic.map(Topic::as_str)
        );
        let rows = rows.fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    }

    /// Which topics somebody is subscribed to, of all or of these.
    ///
    /// # Errors
    /// PostgreSQL is away, or has more to read than it can within two minutes.
    pub async fn subscribed_topics(
        &self,
        page_id: Option<&PageId>,
        topic: Option<&Topic>,
    ) -> Result<Vec<SubscribedTopic>, StoreError> {
        let mut connection = self.patient_connection().await?;
        let rows = sqlx::query_as!(
            SubscribedTopic,
            r#"
            select page_id as "page_id!", topic as "topic!", count(*) as "subscribers!"
            from subscribers
            where sub_status = 1 and ($1::text is null or page_id = $1) and ($2::text is null or topic = $2)
            group by page_id, topic
            order by page_id, topic
            "#,
            page_id.map(PageId::as_str),
            topic.map(Topic::as_str)
        );
        let rows = rows.fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    }

    async fn patient_connection(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.connect().await?;
        let limit = format!("set statement_timeout = '{}s'", LIMIT.as_secs());
        connection.execute(AssertSqlSafe(limit)).await?;
        Ok(connection)
    }
}
