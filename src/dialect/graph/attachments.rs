//! What sorts of things are attached to a message, in the words that the webhook has for them.

use super::lists::members_of;
use super::platform::Platform;
use crate::json::{Json, Type};

const STICKER: &str = "sticker";

/// The types in order: attachments, a sticker, a mentioned story, what is shared.
///
/// A sticker is `sticker`: since August 2026 the webhook calls it nothing else. Until then it was `image`, or both. Whatever
/// the webhook told of the same message wins anyway.
pub fn types(message: Json<'_>, platform: Option<Platform>) -> Vec<&'static str> {
    let mut types: Vec<_> = members_of(message, "attachments").map(of_attachment).collect();
    let is_sticker = message.member("sticker").and_then(Json::string).is_some_and(|url| !url.is_empty());
    if is_sticker && !types.contains(&STICKER) {
        types.push(STICKER);
    }
    if message.member("story").and_then(|story| story.member("mention")).is_some() {
        types.push("story_mention");
    }
    // Of a sticker and of an attachment the list of what is shared only repeats the link.
    if types.is_empty() {
        types.extend(members_of(message, "shares").map(|share| of_share(share, platform)));
    }
    types
}

fn of_attachment(attachment: Json<'_>) -> &'static str {
    let object = |name| attachment.member(name).filter(|value| value.kind() == Type::Object);
    let mime_type = attachment.member("mime_type").and_then(Json::string);
    let is_of = |prefix| mime_type.as_ref().is_some_and(|mime_type| mime_type.starts_with(prefix));
    let image = object("image_data");
    if image.and_then(|image| image.member("render_as_sticker")).is_some_and(Json::is_true) {
        STICKER
    } else if object("generic_template").is_some() {
        "template"
    } else if object("video_data").is_some() || is_of("video/") {
        // It may have a picture, too.
        "video"
    } else if image.is_some() || is_of("image/") {
        "image"
    } else if is_of("audio/") {
        "audio"
    } else if mime_type.is_some() || attachment.member("file_url").is_some() {
        "file"
    } else {
        // Nothing says what it is, as where Meta withholds it for European law.
        "fallback"
    }
}

fn of_share(share: Json<'_>, platform: Option<Platform>) -> &'static str {
    match platform {
        _ if share.member("template").is_some() => "template",
        Some(Platform::Instagram) => "share",
        _ => "fallback",
    }
}
