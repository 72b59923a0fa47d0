//! Events that no page sends. Whether PostgreSQL would take one tells whether a refused event is to blame, or the server.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::dialect::webhook;
use crate::event::{Event, Kind};

/// An ordinary event of this kind, which touches what its kind touches.
pub fn specimen(kind: Kind, now: DateTime<Utc>) -> Option<Event> {
    let at = now.timestamp_millis();
    let what = match kind {
        Kind::Message => json!({ "message": { "mid": "sobot-hook-specimen", "text": "specimen 样本 🙂" } }),
        Kind::Delivery => json!({ "delivery": { "mids": ["sobot-hook-specimen"], "watermark": at } }),
        Kind::Read => json!({ "read": { "watermark": at } }),
        Kind::Optin => json!({ "optin": {
            "type": "notification_messages", "title": "specimen 样本", "notification_messages_token": "0",
        } }),
        Kind::Upload => return only(&json!({ "track_id": "sobot-hook-specimen", "attachment_id": "0" }), now),
        Kind::Other => json!({ "postback": { "payload": "specimen 样本" } }),
    };
    let mut event = json!({
        "sender": { "id": "sobot-hook-specimen" }, "recipient": { "id": "sobot-hook" }, "timestamp": at,
    });
    if let (Some(event), Value::Object(what)) = (event.as_object_mut(), what) {
        event.extend(what);
    }
    only(&json!({ "object": "page", "entry": [{ "id": "sobot-hook", "time": at, "messaging": [event] }] }), now)
}

fn only(body: &Value, now: DateTime<Utc>) -> Option<Event> {
    webhook::parse(&Bytes::from(body.to_string()), now).ok()?.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn every_kind_has_an_event_that_tells_the_state_something() {
        for kind in Kind::ALL {
            let event = specimen(kind, clock::now()).unwrap();
            assert_eq!((event.kind, event.note), (kind, None));
            assert_ne!(event.facts, crate::event::Facts::None);
        }
    }
}
