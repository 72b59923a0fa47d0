//! One event of a webhook body: which kind it is, who it is between, when it happened.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::facts;
use super::found::Found;
use crate::event::{Container, Direction, Draft, Event, Facts, Kind, Receipt, id};
use crate::json::{self, Json, Type};

/// Reads an event where it was found.
pub fn read(found: &Found<'_>, receipt: Receipt) -> Event {
    let (json, container) = (found.json, found.container);
    let kind = kind(json, container);
    let event_type = match (kind, container) {
        (Kind::Other, Container::Messaging | Container::Standby) => own_key(json),
        (Kind::Other, Container::Changes) => json.member("field").and_then(Json::string).map(Into::into),
        _ => None,
    };
    let facts =
        if container.is_folded() { facts::read(kind, event_type.as_deref(), json, receipt) } else { Ok(Facts::None) };
    let Parties { page, user, direction, is_echo } = Parties::read(found);
    let draft = Draft {
        json,
        identity: json,
        container,
        kind,
        event_type,
        object: found.address.object.clone(),
        page,
        user,
        direction,
        is_echo,
        told_at: told_at(found, kind),
        entry_time: found.address.time,
        facts,
        note: found.note,
        envelope: found.surroundings.to_json(),
    };
    draft.finish(receipt)
}

/// The first of the four known keys decides; a null value is as if absent.
fn kind(json: Json<'_>, container: Container) -> Kind {
    match container {
        Container::Callback => Kind::Upload,
        Container::Messaging | Container::Standby => {
            [("message", Kind::Message), ("delivery", Kind::Delivery), ("read", Kind::Read), ("optin", Kind::Optin)]
                .into_iter()
                .find_map(|(name, kind)| json.member(name).map(|_| kind))
                .unwrap_or(Kind::Other)
        }
        _ => Kind::Other,
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
    // The last of repeated members is the one that counts.
    let members: BTreeMap<_, _> = json.members().filter_map(|(key, value)| Some((key.string()?, value))).collect();
    members
        .into_iter()
        .filter(|(key, value)| !value.is_null() && !ADDRESS.contains(&key.as_ref()))
        .map(|(key, _)| key)
        .min_by(|left, right| rank(left).cmp(&rank(right)).then_with(|| left.cmp(right)))
        .map(Into::into)
}

/// The event's own time, else its watermark, else its entry's.
fn told_at(found: &Found<'_>, kind: Kind) -> Option<i128> {
    let own = [found.json.member("timestamp"), facts::watermark(kind, found.json)];
    own.into_iter().flatten().find_map(json::micros).or(found.address.time)
}

/// Who an event is between, as it was told.
struct Parties<'a> {
    page: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    direction: Direction,
    is_echo: bool,
}

impl<'a> Parties<'a> {
    fn read(found: &Found<'a>) -> Self {
        let json = found.json;
        let direct = matches!(found.container, Container::Messaging | Container::Standby);
        let address = |role: &str| json.member(role).filter(|_| direct)?.member("id").and_then(id::text);
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
        // An echo is addressed to the customer, unless the odd forwarder has not turned it round.
        let to_customer = outbound && (sender.is_none() || by_page || recipient != page);
        let user = if to_customer { recipient } else { sender };
        let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
        Self { page, user, direction, is_echo }
    }
}
