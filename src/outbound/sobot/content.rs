//! What a message says: `type` and `payload` of a send, in exactly the JSON of Sobot's document.
//!
//! ```json
//! { "type": "template",
//!   "payload": { "template_type": "button", "text": "…", "buttons": [{ "type": "web_url", "url": "https://…", "title": "…" }] } }
//! ```

use std::fmt::{self, Debug, Formatter};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::Invalid;

/// The kinds of media that can be sent and uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    File,
}

/// `type` and `payload`. Its `Debug` shows the type alone.
#[derive(Clone, PartialEq)]
pub enum Content {
    Text(String),
    /// Something that Facebook fetches from this URL.
    Media {
        kind: MediaKind,
        url: String,
    },
    Template(Template),
}

/// A `payload` with a `template_type`.
#[derive(Clone, PartialEq)]
pub enum Template {
    Button(ButtonTemplate),
    Generic(GenericTemplate),
    Media(MediaTemplate),
}

/// A text with buttons below it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ButtonTemplate {
    /// At most 640 characters.
    pub text: String,
    /// 1 to 3.
    pub buttons: Vec<Button>,
}

/// Cards beside each other.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenericTemplate {
    /// At least one. The document's table limits them to 640 characters, which belongs to the button template's text.
    pub elements: Vec<Element>,
    /// The document's table has buttons here, its example in the elements; 1 to 3 if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buttons: Option<Vec<Button>>,
}

/// A card.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// At most 80 characters.
    pub title: String,
    /// At most 80 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// What a tap on the card does: a button without a title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_action: Option<Button>,
    /// 1 to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buttons: Option<Vec<Button>>,
}

/// A button. The document shows `web_url` and `postback` and has no table of their members, so others are passed on.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Button {
    pub r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// `webview_height_ratio`, `fallback_url`, …
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// An image or a video that Facebook has already.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaTemplate {
    pub elements: Vec<MediaElement>,
}

/// Exactly one of the two ways to name it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaElement {
    /// `image` or `video`.
    pub media_type: MediaKind,
    /// What an upload became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<String>,
    /// A URL of Facebook's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    url: String,
}

impl Content {
    /// Reads `type` and `payload`. Limits are another matter: [`Content::check`].
    ///
    /// # Errors
    /// An unknown type, or a payload of another form.
    pub fn new(kind: &str, payload: Value) -> Result<Self, Invalid> {
        match (kind, payload) {
            ("text", Value::String(text)) => Ok(Self::Text(text)),
            ("text", _) => Err(Invalid::new("payload", "a text, because type is text")),
            ("template", payload) => Ok(Self::Template(Template::new(payload)?)),
            (kind, payload) => {
                let kind = serde_json::from_value(kind.into())
                    .map_err(|_| Invalid::new("type", "one of text, image, audio, video, file and template"))?;
                let Link { url } = read(payload)?;
                Ok(Self::Media { kind, url })
            }
        }
    }

    /// `type`
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Media { kind, .. } => kind.as_str(),
            Self::Template(_) => "template",
        }
    }

    /// `payload`
    pub fn payload(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Media { url, .. } => json!({ "url": url }),
            Self::Template(template) => template.payload(),
        }
    }
}

impl Template {
    fn new(mut payload: Value) -> Result<Self, Invalid> {
        let members = payload.as_object_mut().ok_or_else(|| Invalid::new("payload", "an object"))?;
        match members.remove("template_type").as_ref().and_then(Value::as_str) {
            Some("button") => Ok(Self::Button(read(payload)?)),
            Some("generic") => Ok(Self::Generic(read(payload)?)),
            Some("media") => Ok(Self::Media(read(payload)?)),
            _ => Err(Invalid::new("payload.template_type", "one of button, generic and media")),
        }
    }

    fn payload(&self) -> Value {
        let (kind, members) = match self {
            Self::Button(template) => ("button", serde_json::to_value(template)),
            Self::Generic(template) => ("generic", serde_json::to_value(template)),
            Self::Media(template) => ("media", serde_json::to_value(template)),
        };
        // Texts, lists and maps with texts as keys can always be written as JSON.
        let mut members = members.unwrap_or_default();
        members["template_type"] = kind.into();
        members
    }
}

impl MediaKind {
    /// The name that Sobot knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::File => "file",
        }
    }
}

impl Debug for Content {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "Content({})", self.kind())
    }
}

/// A payload; what is wrong with it is told by the member's name.
fn read<T: DeserializeOwned>(payload: Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(payload).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "payload".to_owned() } else { format!("payload.{path}") };
        Invalid::new(field, wanted(error.inner()))
    })
}

/// What serde wanted, without what it found: that may be a text of the message.
pub fn wanted(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if text.starts_with("missing field") => text.to_owned(),
        None => "is not of the form that Sobot's document gives".to_owned(),
    }
}
