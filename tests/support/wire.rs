//! Bodies as Sobot sends them.

use serde_json::{Value, json};

/// One event in its envelope.
pub fn envelope(page: &str, event: &Value) -> String {
    json!({ "object": "page", "entry": [{ "id": page, "time": 1_760_000_000_000_i64, "messaging": [event] }] })
        .to_string()
}

pub fn event(user: &str, page: &str, at: i64, what: &Value) -> Value {
    let mut event = json!({ "sender": { "id": user }, "recipient": { "id": page }, "timestamp": at });
    event.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    event
}

/// A customer's text message.
pub fn message(user: &str, page: &str, mid: &str, at: i64, text: &str) -> String {
    envelope(page, &event(user, page, at, &json!({ "message": { "mid": mid, "text": text } })))
}

/// The page's text message, as an echo.
pub fn echo(user: &str, page: &str, mid: &str, at: i64, text: &str) -> String {
    envelope(page, &event(page, user, at, &json!({ "message": { "mid": mid, "text": text, "is_echo": true } })))
}

pub fn delivery(user: &str, page: &str, at: i64, mids: &[&str], watermark: i64) -> String {
    envelope(page, &event(user, page, at, &json!({ "delivery": { "mids": mids, "watermark": watermark } })))
}

pub fn read(user: &str, page: &str, at: i64, watermark: i64) -> String {
    envelope(page, &event(user, page, at, &json!({ "read": { "watermark": watermark } })))
}
