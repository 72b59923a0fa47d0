//! What one would write first: an axum handler that stores each event with three statements in a transaction of its
//! own, and answers when all of them are committed. The same tables, the same facts, the same PostgreSQL.

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sobot_hook::clock;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// Enough to keep two cores of PostgreSQL busy.
const CONNECTIONS: u32 = 16;

pub fn router(url: &str) -> Result<Router> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_lazy(url)?;
    Ok(Router::new().route("/webhook", post(receive)).with_state(pool))
}

async fn receive(State(pool): State<PgPool>, Json(body): Json<Value>) -> Result<&'static str, StatusCode> {
    for entry in body["entry"].as_array().into_iter().flatten() {
        for event in entry["messaging"].as_array().into_iter().flatten() {
            store(&pool, entry, event).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        }
    }
    Ok("EVENT_RECEIVED")
}

async fn store(pool: &PgPool, entry: &Value, event: &Value) -> sqlx::Result<()> {
    let (user_id, page_id) = (event["sender"]["id"].as_str(), event["recipient"]["id"].as_str());
    let (mid, text) = (event["message"]["mid"].as_str(), event["message"]["text"].as_str());
    let time = |value: &Value| value.as_i64().and_then(DateTime::<Utc>::from_timestamp_millis);
    let occurred_at = time(&event["timestamp"]);
    let key = Sha256::digest(mid.unwrap_or_default());
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "insert into events (
            occurred_at, event_key, user_id, page_id, object, container, kind, received_at, body, entry_time
         )
         values ($1, $2, $3, $4, 'page', 'messaging', 'message', $5, $6::text::jsonb, $7)
         on conflict do nothing",
    )
    .bind(occurred_at)
    .bind(&key[..16])
    .bind(user_id)
    .bind(page_id)
    .bind(clock::now())
    .bind(event.to_string())
    .bind(time(&entry["time"]))
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "insert into messages (user_id, page_id, mid, direction, sent_at, text, source, content_key)
         values ($1, $2, $3, 'inbound', $4, $5, 0, $6)
         on conflict do nothing",
    )
    .bind(user_id)
    .bind(page_id)
    .bind(mid)
    .bind(occurred_at)
    .bind(text)
    .bind(&key[..16])
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "insert into conversations as conversation (user_id, page_id, first_seen_at, last_seen_at, last_inbound_at)
         values ($1, $2, $3, $3, $3)
         on conflict (user_id, page_id) do update
         set first_seen_at = least(conversation.first_seen_at, excluded.first_seen_at),
             last_seen_at = greatest(conversation.last_seen_at, excluded.last_seen_at),
             last_inbound_at = greatest(conversation.last_inbound_at, excluded.last_inbound_at)",
    )
    .bind(user_id)
    .bind(page_id)
    .bind(occurred_at)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
