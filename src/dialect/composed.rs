//! Bodies of events that nobody sent us. We compose them ourselves: a JSON object of the few things that we knew when we
//! asked, and of what an API told, which stands in it as it came.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::json::{Document, Json, NotJson};

/// A JSON object, member by member.
#[derive(Default)]
pub struct Composed(String);

impl Composed {
    /// A text; nothing for none.
    pub fn text<'t>(self, name: &'static str, text: impl Into<Option<&'t str>>) -> Self {
        match text.into() {
            Some(text) => self.source(name, &serde_json::Value::from(text).to_string()),
            None => self,
        }
    }

    /// A time, in microseconds.
    pub fn time(self, name: &'static str, at: DateTime<Utc>) -> Self {
        self.text(name, at.to_rfc3339_opts(SecondsFormat::Micros, true).as_str())
    }

    /// A value as it was written.
    pub fn json(self, name: &'static str, json: Json<'_>) -> Self {
        self.source(name, json.source())
    }

    /// JSON text that is one value.
    pub fn source(mut self, name: &'static str, json: &str) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.extend(["\"", name, "\":", json]);
        self
    }

    pub fn into_bytes(mut self) -> Bytes {
        self.0.push('}');
        self.0.into()
    }
}

/// Reads what an API told, and hands it on.
///
/// # Errors
/// [`NotJson`].
pub fn told<T>(json: &str, read: impl FnOnce(Json<'_>) -> Result<T, NotJson>) -> Result<T, NotJson> {
    let bytes = Bytes::copy_from_slice(json.as_bytes());
    let document = Document::parse(&bytes)?;
    read(document.root())
}
