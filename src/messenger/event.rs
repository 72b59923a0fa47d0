//! One event: where it was found becomes kind, keys, times, facts and the bytes to keep.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::facts::{self, Facts};
use super::found::{Address, Found};
use super::journal_body::Body;
use super::json::{Document, Json, Type};
use super::terms::{Container, Direction, Kind, Note};
use super::{key, time};
use crate::ids::{EventKey, PageId, UserId};

/// One event, ready for the journal and for the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Tells it from every other event.
    pub key: EventKey,
    /// When it happened, as far as is known: its timestamp, its watermark, its entry's time, or its receipt.
    pub occurred_at: DateTime<Utc>,
    /// True when no time was told (or none to be believed) and `occurred_at` is the receipt's.
    pub is_timed_by_receipt: bool,
    /// When its body arrived.
    pub received_at: DateTime<Utc>,
    /// The customer.
    pub user_id: Option<UserId>,
    /// The page.
    pub page_id: Option<PageId>,
    /// `page`, `instagram`, …: the envelope's `object`.
    pub object: Option<Arc<str>>,
    /// When its entry was sent, as told.
    pub entry_time: Option<DateTime<Utc>>,
    /// What it was wrapped in.
    pub container: Container,
    /// What it is about.
    pub kind: Kind,
    /// Its own key (`postback`, `reaction`, …) or the field of a change; only for [`Kind::Other`].
    pub event_type: Option<String>,
    /// Why it changes no state, when its kind should.
    pub note: Option<Note>,
    /// Who acted.
    pub direction: Direction,
    /// What it tells the state.
    pub facts: Facts,
    /// Its JSON.
    pub body: Body,
    /// JSON text of what stood around it and belongs to no event (`hop_context`, `uid`, …).
    pub envelope: Option<String>,
}

/// A row of the journal, as far as it decides what the event tells the state.
#[derive(Debug)]
pub struct Journaled<'a> {
    /// The exact bytes, or what `jsonb` keeps of them.
    pub body: &'a Bytes,
    /// As stored.
    pub container: Container,
    /// As stored.
    pub page_id: &'a str,
    /// As stored.
    pub key: EventKey,
    /// As stored.
    pub occurred_at: DateTime<Utc>,
    /// As stored.
    pub received_at: DateTime<Utc>,
}

impl Event {
    /// Reads an event from the journal, with today's rulings about what it means, and the times and the key
    /// that were decided when it was stored. None for a body that is no JSON, which no journal holds.
    #[must_use]
    pub fn recall(row: &Journaled<'_>) -> Option<Self> {
        let document = Document::parse(row.body).ok()?;
        let address = Address { page: Some(Cow::Borrowed(row.page_id)), ..Address::default() };
        let found = Found { address, ..Found::bare(document.root(), row.container) };
        let told = Self::read(&found, row.received_at);
        Some(Self { key: row.key, occurred_at: row.occurred_at, is_timed_by_receipt: false, ..told })
    }

    pub(super) fn read(found: &Found<'_>, received_at: DateTime<Utc>) -> Self {
        let json = found.json;
        let kind = kind(json, found.container);
        let event_type = match (kind, found.container) {
            (Kind::Other, Container::Messaging | Container::Standby) => own_key(json),
            (Kind::Other, Container::Changes) => json.member("field").and_then(Json::string).map(Into::into),
            _ => None,
        };
        let mut note = found.note;
        let parties = Parties::read(found, &mut note);
        let occurred_at = occurred_at(found, kind, received_at, &mut note);
        let is_folded = !matches!(found.container, Container::Changes | Container::Document) && note.is_none();
        let facts = is_folded.then(|| facts::read(kind, event_type.as_deref(), json, received_at));
        let facts = facts.unwrap_or(Ok(Facts::None)).and_then(|facts| parties.admit(kind, facts));
        let facts = facts.unwrap_or_else(|reason| {
            note = Some(reason);
            Facts::None
        });
        let page = parties.page.as_ref();
        let key = key::of_message(page, parties.direction, parties.is_echo, &facts);
        Self {
            key: key.unwrap_or_else(|| key::of_json(kind, note, page, json)),
            occurred_at: occurred_at.unwrap_or(received_at),
            is_timed_by_receipt: occurred_at.is_none(),
            received_at,
            user_id: parties.user,
            page_id: parties.page,
            object: found.address.object.clone(),
            entry_time: found.address.time.and_then(time::representable),
            container: found.container,
            kind,
            event_type,
            note,
            direction: parties.direction,
            facts,
            body: Body::of(json),
            envelope: found.around.to_json(),
        }
    }
}

/// The first of the four known keys decides; a null value is as if absent.
fn kind(json: Json<'_>, container: Container) -> Kind {
    match container {
        Container::Callback => Kind::Upload,
        Container::Changes | Container::Document => Kind::Other,
        Container::Messaging | Container::Standby => {
            [("message", Kind::Message), ("delivery", Kind::Delivery), ("read", Kind::Read), ("optin", Kind::Optin)]
                .into_iter()
                .find_map(|(name, kind)| json.member(name).map(|_| kind))
                .unwrap_or(Kind::Other)
        }
    }
}

/// What Meta's documents and live bodies have under `messaging` beside the four kinds.
const KNOWN_KEYS: [&str; 24] = [
    "postback",
    "message_edit",
    "reaction",
    "referral",
    "account_linking",
    "policy_enforcement",
    "policy-enforcement",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
    "game_play",
    "messaging_feedback",
    "response_feedback",
    "messaging_customer_information",
    "order",
    "payment",
    "pre_checkout",
    "checkout_update",
    "message_request",
    "form",
    "message_context",
    "branded_camera",
    "messaging_optouts",
];

/// The key that names an event of no known kind. There may be several, of which some only explain it; and as
/// forwarders reorder and add keys, neither position nor a stranger must decide.
fn own_key(json: Json<'_>) -> Option<String> {
    const ADDRESS: [&str; 3] = ["sender", "recipient", "timestamp"];
    const COMPANIONS: [&str; 3] = ["hop_context", "lead", "prior_message"];
    let rank = |key: &str| {
        let known = KNOWN_KEYS.iter().position(|known| *known == key);
        (known.unwrap_or(KNOWN_KEYS.len()), COMPANIONS.contains(&key))
    };
    json.members()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(key, _)| key.string())
        .filter(|key| !ADDRESS.contains(&key.as_ref()))
        .min_by(|left, right| rank(left).cmp(&rank(right)).then_with(|| left.cmp(right)))
        .map(Into::into)
}

/// The first time that can be read, if state may rely on it.
fn occurred_at(
    found: &Found<'_>,
    kind: Kind,
    received_at: DateTime<Utc>,
    note: &mut Option<Note>,
) -> Option<DateTime<Utc>> {
    let own = [found.json.member("timestamp"), facts::watermark(kind, found.json)];
    let told = own.into_iter().flatten().find_map(time::told).or(found.address.time)?;
    match time::plausible(told, received_at) {
        Ok(time) => Some(time),
        Err(reason) => {
            note.get_or_insert(reason);
            None
        }
    }
}

/// Who an event is between.
struct Parties {
    page: Option<PageId>,
    user: Option<UserId>,
    direction: Direction,
    is_echo: bool,
}

impl Parties {
    fn read(found: &Found<'_>, note: &mut Option<Note>) -> Self {
        let json = found.json;
        let direct = matches!(found.container, Container::Messaging | Container::Standby);
        let address = |role: &str| json.member(role).filter(|_| direct)?.member("id")?.id_text();
        let (sender, recipient) = (address("sender"), address("recipient"));
        let is_echo = json
            .member("message")
            .filter(|message| direct && message.kind() == Type::Object)
            .and_then(|message| message.member("is_echo"))
            .is_some_and(Json::is_true);

        let named = found.address.page.clone().filter(|page| !page.is_empty());
        let page = named.or(if is_echo { sender.clone() } else { recipient.clone() });
        let by_page = sender.is_some() && sender == page;
        let outbound = is_echo || by_page;
        // An echo is addressed to the customer, but for the odd forwarder that does not turn it round.
        let to_customer = outbound && (sender.is_none() || by_page || recipient != page);
        let user = if to_customer { recipient } else { sender };

        Self {
            page: noted(facts::known(page), note),
            user: noted(facts::known(user), note),
            direction: if outbound { Direction::Outbound } else { Direction::Inbound },
            is_echo,
        }
    }

    /// Facts that state can be keyed by; an event of another kind may well lack a user.
    fn admit(&self, kind: Kind, facts: Facts) -> Result<Facts, Note> {
        match (&facts, &self.user, &self.page) {
            // What the page itself has received or read says nothing of what it sent.
            (Facts::Delivery { .. } | Facts::Read { .. }, Some(_), Some(_))
                if self.direction == Direction::Outbound =>
            {
                Ok(Facts::Seen { opens_window: false })
            }
            (Facts::Upload { .. } | Facts::None, _, _) | (_, Some(_), Some(_)) => Ok(facts),
            (Facts::Seen { .. }, _, _) if kind == Kind::Other => Ok(Facts::None),
            (_, None, _) => Err(Note::NoUser),
            (_, _, None) => Err(Note::NoPage),
        }
    }
}

fn noted<T>(id: Result<Option<T>, Note>, note: &mut Option<Note>) -> Option<T> {
    id.unwrap_or_else(|reason| {
        note.get_or_insert(reason);
        None
    })
}
