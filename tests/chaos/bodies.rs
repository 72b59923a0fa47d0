//! What the clients post.

use std::sync::LazyLock;

use fastrand::Rng;
use serde_json::{Value, json};
use sobot_hook::clock;

use crate::support::wire::event;

/// Long ago, as far as clocks go wrong.
const AT: i64 = 1_760_000_000_000;

/// Half of all events are of the last hour before this, so that a clock that jumps meets them.
static STARTED_AT: LazyLock<i64> = LazyLock::new(|| clock::now().timestamp_millis());

const HOUR_MS: i64 = 3_600_000;

const USERS: u8 = 50;

/// A body, and the marks by which the journal is searched for its events: one to four, each with a mark of its own.
pub fn body(rng: &mut Rng, client: u64, number: u64) -> (String, Vec<String>) {
    let marks: Vec<String> = (0..rng.u64(1..5)).map(|part| format!("{client}-{number}-{part}")).collect();
    if rng.u8(..20) == 0 {
        let mark = format!("track-{client}-{number}");
        return (json!({ "track_id": mark, "attachment_id": number.to_string() }).to_string(), vec![mark]);
    }
    let events: Vec<Value> = marks.iter().map(|mark| marked(rng, mark, number)).collect();
    (json!({ "object": "page", "entry": [{ "id": "page", "time": AT, "messaging": events }] }).to_string(), marks)
}

fn marked(rng: &mut Rng, mark: &str, number: u64) -> Value {
    let user = format!("user-{}", rng.u8(..USERS));
    let at = if rng.bool() { AT + rng.i64(0..10_000_000) } else { *STARTED_AT - rng.i64(0..HOUR_MS) };
    let mid = if rng.bool() { format!("mid-{mark}") } else { format!("mid-{}", rng.u16(..500)) };
    let what = match rng.u8(..7) {
        0 => json!({ "message": { "mid": format!("mid-{mark}"), "text": "x".repeat(rng.usize(..300)) } }),
        1 => json!({ "message": { "mid": format!("mid-{mark}"), "text": "!", "is_echo": true } }),
        2 => json!({ "delivery": { "mids": [mid], "watermark": at - 5 } }),
        3 => json!({ "read": { "watermark": at - 5 } }),
        4 => json!({ "message_edit": { "mid": mid, "text": mark, "num_edit": rng.u8(..9) } }),
        5 => {
            let status = rng.choice([Value::Null, json!("STOP_NOTIFICATIONS"), json!("RESUME_NOTIFICATIONS")]);
            json!({ "optin": { "type": "notification_messages", "title": "t", "notification_messages_status": status } })
        }
        _ => json!({ "nobody_knows": { "x": [number] } }),
    };
    let mut event = event(&user, "page", at, &what);
    event["mark"] = mark.into();
    event
}

/// What is no JSON.
pub fn garbage(client: u64, number: u64) -> String {
    format!("{GARBAGE}: {client}-{number}")
}

/// How it begins.
pub const GARBAGE: &str = "{\"garbage\"";
