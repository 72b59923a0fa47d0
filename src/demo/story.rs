//! The bodies of the story, as Sobot sends them. Every id is invented and begins with the story's prefix.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};

/// One POST.
pub struct Scene {
    pub title: &'static str,
    pub body: String,
    /// Another program has asked Sobot for the upload just before.
    pub asks_for_upload: bool,
}

/// The people and things of one story.
pub struct Story {
    pub prefix: String,
    pub page_id: String,
    pub track_id: String,
    user_id: String,
    /// The moment of the first message; the story then takes two minutes, which have just passed.
    begins_at: DateTime<Utc>,
}

impl Story {
    pub fn new(now: DateTime<Utc>) -> Self {
        let prefix = format!("{}", now.timestamp());
        Self {
            page_id: format!("{prefix}001"),
            user_id: format!("{prefix}002"),
            track_id: format!("{prefix}a1b2c3"),
            begins_at: now.trunc_subsecs(0) - TimeDelta::minutes(2),
            prefix,
        }
    }

    pub fn scenes(&self) -> Vec<Scene> {
        let question = format!("{}_m_question", self.prefix);
        let reply = format!("{}_m_reply", self.prefix);
        let asked = self.customer_does(0, json!({ "message": { "mid": question, "text": "这件有 M 码吗?" } }));
        let optin = |second, status: Option<&str>| {
            let mut optin = json!({
                "type": "notification_messages",
                "payload": "每周新品",
                "notification_messages_token": "900000000000000000",
                "token_expiry_timestamp": 2_145_916_800_000_i64,
                "user_token_status": "NOT_REFRESHED",
                "title": "新品上架",
            });
            match status {
                Some(status) => optin["notification_messages_status"] = status.into(),
                None => optin["notification_messages_timezone"] = "Asia/Shanghai".into(),
            }
            self.customer_does(second, json!({ "optin": optin }))
        };
        let watermark = self.millis(20);
        let scene = |title, body: &Value| Scene { title, body: body.to_string(), asks_for_upload: false };
        let uploaded = json!({ "track_id": self.track_id, "attachment_id": format!("{}7", self.prefix) });
        vec![
            scene("A customer writes.", &asked),
            scene("Sobot sends the same event again: it is kept once.", &asked),
            scene("The page answers (an echo).", &self.page_writes(20, &reply, "有的, 还有三件。")),
            scene(
                "The answer is delivered.",
                &self.customer_does(21, json!({ "delivery": { "mids": [reply], "watermark": watermark } })),
            ),
            scene("The answer is read.", &self.customer_does(30, json!({ "read": { "watermark": watermark } }))),
            scene("The customer subscribes to a topic.", &optin(40, None)),
            scene("The customer stops it.", &optin(50, Some("STOP_NOTIFICATIONS"))),
            scene("The customer resumes it.", &optin(60, Some("RESUME_NOTIFICATIONS"))),
            Scene {
                asks_for_upload: true,
                ..scene("An upload that was asked for has become an attachment.", &uploaded)
            },
            scene(
                "An event that nobody knows yet is kept whole.",
                &self.customer_does(70, json!({ "brand_new_event": { "x": [1, null] } })),
            ),
            Scene {
                title: "Bytes that are no JSON go into quarantine.",
                body: "{\"object\":\"page\",\"entry\":[{".to_owned(),
                asks_for_upload: false,
            },
        ]
    }

    fn customer_does(&self, second: i64, what: Value) -> Value {
        self.envelope(second, &self.user_id, &self.page_id, what)
    }

    fn page_writes(&self, second: i64, mid: &str, text: &str) -> Value {
        let message =
            json!({ "message": { "mid": mid, "text": text, "is_echo": true, "app_id": 1_517_776_481_860_111_i64 } });
        self.envelope(second, &self.page_id, &self.user_id, message)
    }

    fn envelope(&self, second: i64, sender: &str, recipient: &str, what: Value) -> Value {
        let at = self.millis(second);
        let mut event = json!({ "sender": { "id": sender }, "recipient": { "id": recipient }, "timestamp": at });
        if let (Some(event), Value::Object(what)) = (event.as_object_mut(), what) {
            event.extend(what);
        }
        json!({ "object": "page", "entry": [{ "id": self.page_id, "time": at + 200, "messaging": [event] }] })
    }

    fn millis(&self, second: i64) -> i64 {
        (self.begins_at + TimeDelta::seconds(second)).timestamp_millis()
    }
}
