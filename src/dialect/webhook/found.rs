//! An event that has been found in a document, and what its surroundings say of it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Container, Note};
use crate::ids::MAX_ID_BYTES;
use crate::json::Json;

/// An event that has been found, with what its envelope says of it.
pub struct Found<'a> {
    pub json: Json<'a>,
    pub container: Container,
    pub address: Address<'a>,
    pub surroundings: Surroundings,
    pub note: Option<Note>,
    /// Its JSON, where `json` holds other events as well, which are found by themselves.
    pub own_members: Option<Bytes>,
}

/// What an envelope and an entry say of all their events. Read once, however many these are.
#[derive(Clone, Default)]
pub struct Address<'a> {
    pub object: Option<Arc<str>>,
    pub page: Option<Cow<'a, str>>,
    /// Microseconds since 1970, however absurd.
    pub time: Option<i128>,
}

/// JSON texts of members that stand around the events and belong to none. Each is kept once, with the
/// first event that it surrounds.
#[derive(Default)]
pub struct Surroundings {
    pub document: Option<String>,
    pub entry: Option<String>,
}

impl Surroundings {
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
        let (address, surroundings) = (Address::default(), Surroundings::default());
        Self { json, container, address, surroundings, note: None, own_members: None }
    }

    /// A callback that stands beside events, if `own_members` are some: then only these are the callback.
    pub fn callback(json: Json<'a>, address: Address<'a>, own_members: Option<String>) -> Self {
        let own_members = own_members.map(Bytes::from);
        Self { address, own_members, ..Self::bare(json, Container::Callback) }
    }

    pub fn document(json: Json<'a>) -> Self {
        let address = Address { object: object(json), ..Address::default() };
        Self { address, ..Self::bare(json, Container::Document) }
    }

    pub fn is_event(&self) -> bool {
        self.container != Container::Document
    }
}

/// What an envelope is about (`page`, `instagram`, …). Every event of it carries the word, so it must be short.
pub fn object(json: Json<'_>) -> Option<Arc<str>> {
    let word = json.member("object")?.string_up_to(MAX_ID_BYTES)?;
    (word.len() <= MAX_ID_BYTES).then(|| Arc::from(word))
}
