//! The limits of the document, checked before anything is sent. Characters are counted as characters, not as bytes.

use reqwest::Url;

use super::content::{Button, ButtonTemplate, Content, Element, GenericTemplate, MediaElement, MediaKind, Template};
use super::error::Invalid;
use super::send_request::{MessagingType, SendRequest};

/// The text above buttons.
const MAX_TEXT: usize = 640;

/// The title and the subtitle of an element.
const MAX_TITLE: usize = 80;

const MAX_BUTTONS: usize = 3;

impl SendRequest {
    /// Whether the document allows it. What the types themselves rule out (two recipients, an unknown type or tag) is
    /// found when a request is read.
    ///
    /// # Errors
    /// The first limit that is exceeded.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.messaging_type == Some(MessagingType::MessageTag) && self.tag.is_none() {
            return Err(Invalid::new("tag", "is needed, because messaging_type is MESSAGE_TAG"));
        }
        self.content.check()
    }
}

impl Content {
    /// Whether the document allows it.
    ///
    /// # Errors
    /// The first limit that is exceeded.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Text(text) => not_empty("payload", text),
            Self::Media { url, .. } => web("payload.url", url),
            Self::Template(Template::Button(template)) => button_template(template),
            Self::Template(Template::Generic(template)) => generic_template(template),
            Self::Template(Template::Media(template)) => {
                elements(&template.elements)?;
                each("payload.elements", &template.elements, media_element)
            }
        }
    }
}

fn button_template(template: &ButtonTemplate) -> Result<(), Invalid> {
    not_empty("payload.text", &template.text)?;
    at_most(MAX_TEXT, "payload.text", &template.text)?;
    buttons("payload.buttons", &template.buttons)
}

fn generic_template(template: &GenericTemplate) -> Result<(), Invalid> {
    elements(&template.elements)?;
    each("payload.elements", &template.elements, element)?;
    template.buttons.as_ref().map_or(Ok(()), |given| buttons("payload.buttons", given))
}

fn element(field: &str, element: &Element) -> Result<(), Invalid> {
    not_empty(&format!("{field}.title"), &element.title)?;
    at_most(MAX_TITLE, &format!("{field}.title"), &element.title)?;
    at_most(MAX_TITLE, &format!("{field}.subtitle"), element.subtitle.as_deref().unwrap_or_default())?;
    if let Some(url) = &element.image_url {
        web(&format!("{field}.image_url"), url)?;
    }
    if let Some(action) = &element.default_action {
        links(&format!("{field}.default_action"), action)?;
    }
    element.buttons.as_ref().map_or(Ok(()), |given| buttons(&format!("{field}.buttons"), given))
}

fn media_element(field: &str, element: &MediaElement) -> Result<(), Invalid> {
    if !matches!(element.media_type, MediaKind::Image | MediaKind::Video) {
        return Err(Invalid::new(format!("{field}.media_type"), "image or video"));
    }
    match (&element.attachment_id, &element.url) {
        (Some(id), None) => not_empty(&format!("{field}.attachment_id"), id),
        (None, Some(url)) if is_facebook(url) => Ok(()),
        (None, Some(_)) => {
            Err(Invalid::new(format!("{field}.url"), "a URL of Facebook, such as https://www.facebook.com/…"))
        }
        _ => Err(Invalid::new(field, "exactly one of attachment_id and url")),
    }
}

fn buttons(field: &str, buttons: &[Button]) -> Result<(), Invalid> {
    if !(1..=MAX_BUTTONS).contains(&buttons.len()) {
        return Err(Invalid::new(field, format!("1 to {MAX_BUTTONS}, not {}", buttons.len())));
    }
    each(field, buttons, |field, button| {
        not_empty(&format!("{field}.title"), button.title.as_deref().unwrap_or_default())?;
        links(field, button)
    })
}

/// What a button or an action leads to: of the types that the document shows, each needs its own.
fn links(field: &str, button: &Button) -> Result<(), Invalid> {
    match (button.r#type.as_str(), &button.url, &button.payload) {
        ("web_url", None, _) => Err(Invalid::new(format!("{field}.url"), "is needed, because type is web_url")),
        ("postback", _, None) => Err(Invalid::new(format!("{field}.payload"), "is needed, because type is postback")),
        (_, Some(url), _) => web(&format!("{field}.url"), url),
        _ => not_empty(&format!("{field}.type"), &button.r#type),
    }
}

fn elements<T>(elements: &[T]) -> Result<(), Invalid> {
    if elements.is_empty() { Err(Invalid::new("payload.elements", "at least 1")) } else { Ok(()) }
}

fn each<T>(field: &str, items: &[T], check: impl Fn(&str, &T) -> Result<(), Invalid>) -> Result<(), Invalid> {
    items.iter().enumerate().try_for_each(|(index, item)| check(&format!("{field}[{index}]"), item))
}

fn not_empty(field: &str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() { Err(Invalid::new(field, "must not be empty")) } else { Ok(()) }
}

fn at_most(most: usize, field: &str, text: &str) -> Result<(), Invalid> {
    match text.chars().count() {
        count if count > most => Err(Invalid::new(field, format!("at most {most} characters, not {count}"))),
        _ => Ok(()),
    }
}

/// A URL that Facebook can fetch, or a browser open.
pub fn web(field: &str, url: &str) -> Result<(), Invalid> {
    let is_web = Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    if is_web { Ok(()) } else { Err(Invalid::new(field, "a URL that begins with https:// or http://")) }
}

/// 仅支持Facebook网址
fn is_facebook(url: &str) -> bool {
    let is_theirs = |host: &str| host == "facebook.com" || host.ends_with(".facebook.com");
    Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some_and(is_theirs))
}
