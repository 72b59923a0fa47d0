//! An event that has been found in a document, and what its surroundings say of it.

use std::borrow::Cow;

use super::json::Json;
use super::terms::{Container, Note};

/// An event that has been found, with what its envelope says of it.
pub struct Found<'a> {
    pub json: Json<'a>,
    pub container: Container,
    pub object: Option<Cow<'a, str>>,
    pub page: Option<Cow<'a, str>>,
    pub time: Option<Json<'a>>,
    pub around: Around,
    pub note: Option<Note>,
}

/// JSON texts of members that stand around the events and belong to none. Each is kept once, with the
/// first event that it surrounds.
#[derive(Default)]
pub struct Around {
    pub document: Option<String>,
    pub entry: Option<String>,
}

impl Around {
    /// One JSON object of what there is.
    pub fn to_json(&self) -> Option<String> {
        let parts: Vec<_> = [("document", &self.document), ("entry", &self.entry)]
            .into_iter()
            .filter_map(|(name, part)| part.as_ref().map(|part| format!("\"{name}\":{part}")))
            .collect();
        (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(",")))
    }
}

impl<'a> Found<'a> {
    pub fn bare(json: Json<'a>, container: Container) -> Self {
        Self { json, container, object: None, page: None, time: None, around: Around::default(), note: None }
    }

    pub fn document(json: Json<'a>) -> Self {
        Self { object: object(json), ..Self::bare(json, Container::Document) }
    }

    pub fn is_event(&self) -> bool {
        self.container != Container::Document
    }
}

/// The kind of thing an envelope or an entry is about.
pub fn object(json: Json<'_>) -> Option<Cow<'_, str>> {
    json.member("object").and_then(Json::string)
}
