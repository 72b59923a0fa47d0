//! What shows that an unknown message was sent after all: the message itself, told by its echo or by the conversation; or
//! its delivery.

use super::lead::Lead;
use crate::store::error::StoreError;

impl Lead {
    /// Settles unknown messages that something shows, and tells how many.
    ///
    /// The n-th of a user's unknown messages with one content is the n-th message with that content that the page sent to
    /// the user around then, and that no other row has. A delivery without an echo names no content: it shows an unknown
    /// message only if there is one alone, and one such message alone.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn settle_unknown(&mut self) -> Result<u64, StoreError> {
        let by_content = sqlx::query!(
            r#"
            with unknown as (
                select
                    user_id, page_id, idempotency_key, attempted_at,
                    coalesce(request #>> '{payload,text}', case when request ->> 'type' = 'text' then request ->> 'payload' end) as text,
                    case when request ->> 'type' <> 'text' then request ->> 'type' end as attachment_types,
                    id, status
                from outbox
                where (status = 'unknown' and (claimed_until is null or claimed_until < now()))
                   -- Sent, and Sobot did not tell its mid: the first echo is its own.
                   or (status = 'sent' and mid is null and attempted_at > now() - interval '1 day')
            ),
            asked as (
                select
                    *,
                    row_number() over (partition by user_id, page_id, text, attachment_types order by status, id) as turn
                from unknown
            ),
            told as (
                select
                    idempotency_key, message.user_id, message.mid,
                    row_number() over (partition by idempotency_key, message.user_id order by message.sent_at, message.mid) as turn
                from unknown
                join messages as message using (user_id, page_id)
                where message.direction = 'outbound'
                  and message.sent_at between unknown.attempted_at - interval '2 minutes' and unknown.attempted_at + interval '10 minutes'
                  and message.text is not distinct from unknown.text
                  and message.attachment_types is not distinct from unknown.attachment_types
                  and not exists (
                      select from outbox as other where other.user_id = message.user_id and other.mid = message.mid
                  )
            )
            update outbox
            set status = 'sent', mid = told.mid, error = null, claimed_until = null, settled_at = coalesce(outbox.settled_at, now())
            from asked
            join told using (user_id, idempotency_key, turn)
            where outbox.user_id = asked.user_id and outbox.idempotency_key = asked.idempotency_key
            "#
        );
        let by_content = by_content.execute(self.connection()).await?.rows_affected();
        let by_delivery = sqlx::query!(
            r#"
            with unknown as (
                select user_id, page_id, min(idempotency_key) as idempotency_key, min(attempted_at) as attempted_at
                from outbox
                where status = 'unknown' and (claimed_until is null or claimed_until < now())
                group by user_id, page_id
                having count(*) = 1
            ),
            told as (
                select unknown.user_id, unknown.idempotency_key, min(message.mid) as mid
                from unknown
                join messages as message using (user_id, page_id)
                where message.direction = 'outbound'
                  and message.sent_at is null
                  and message.delivered_at between unknown.attempted_at and unknown.attempted_at + interval '10 minutes'
                  and not exists (
                      select from outbox as other
                      where other.user_id = unknown.user_id
                        and other.page_id = unknown.page_id
                        and other.status = 'sent'
                        and other.mid is null
                        and other.attempted_at > unknown.attempted_at - interval '1 day'
                  )
                  and not exists (
                      select from outbox as other where other.user_id = message.user_id and other.mid = message.mid
                  )
                group by unknown.user_id, unknown.idempotency_key
                having count(*) = 1
            )
            update outbox
            set status = 'sent', mid = told.mid, error = null, claimed_until = null, settled_at = now()
            from told
            where outbox.user_id = told.user_id and outbox.idempotency_key = told.idempotency_key
            "#
        );
        Ok(by_content + by_delivery.execute(self.connection()).await?.rows_affected())
    }
}
