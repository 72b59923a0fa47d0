//! Sobot's lists of subscribers, compared with what is known here, and journaled.
//!
//! Each item of a list is an event of container `sync`; the state takes from it what is later than what it knows. What is
//! compared is the state just before a topic's list is asked for. What changes while it is asked for may show as a
//! difference that is none any more.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::parts::{in_parts, store_part};
use super::topics;
use crate::clock;
use crate::dialect::sobot::subscriber;
use crate::event::{Event, Facts};
use crate::ids::{PageId, Topic, UserId};
use crate::outbound::sobot::{Sobot, SobotError, Subscriber};
use crate::store::{Session, Store, StoreError};

/// Which topics' lists are asked for; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub page_id: Option<PageId>,
    pub topic: Option<Topic>,
}

/// What one side says of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// When it came to be so.
    pub at: DateTime<Utc>,
    pub is_subscribed: bool,
}

/// Something that Sobot and the state see differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// One side says that the user is subscribed, the other that they are not, or nothing.
    Subscription { page_id: PageId, topic: Topic, user_id: UserId, here: Option<Word>, at_sobot: Option<Word> },
    /// So many are subscribed here to a topic that Sobot does not list.
    Topic { page_id: PageId, topic: Topic, subscribers: i64 },
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    pub topics: u64,
    /// Items of Sobot's lists.
    pub items: u64,
    /// Those of them that were journaled, but do not say who is subscribed to what.
    pub unreadable: u64,
    pub differences: u64,
}

/// Why a list was not taken over whole. What was journaled before stays; asking again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Sobot(#[from] SobotError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("PostgreSQL does not take what Sobot lists: {0}")]
    Left(String),
    #[error("Sobot lists no topic of this title; sobot-hook topics list shows those that there are")]
    NoTopic,
}

/// Asks for the lists, journals them, and tells each difference.
///
/// # Errors
/// Sobot does not tell; PostgreSQL is away or refuses an item.
pub async fn sync(
    store: &Store,
    sobot: &Sobot,
    choice: &Choice,
    mut report: impl FnMut(&Difference),
) -> Result<Synced, SyncError> {
    let topics = topics_of(sobot, choice).await?;
    let mut session = store.session();
    let mut synced = Synced::default();
    for (page_id, topic) in &topics {
        let here = here(store, page_id, topic).await?;
        let at_sobot = at_sobot(store, sobot, &mut session, page_id, topic, &mut synced).await?;
        for (user_id, (here, at_sobot)) in different(here, at_sobot) {
            let (page_id, topic) = (page_id.clone(), topic.clone());
            report(&Difference::Subscription { page_id, topic, user_id, here, at_sobot });
            synced.differences += 1;
        }
        synced.topics += 1;
    }
    for difference in unlisted(store, choice, &topics).await? {
        report(&difference);
        synced.differences += 1;
    }
    Ok(synced)
}

async fn topics_of(sobot: &Sobot, choice: &Choice) -> Result<BTreeSet<(PageId, Topic)>, SyncError> {
    if let (Some(page_id), Some(topic)) = (&choice.page_id, &choice.topic) {
        return Ok(BTreeSet::from([(page_id.clone(), topic.clone())]));
    }
    let listed = topics::list(sobot, choice.page_id.as_ref()).await?;
    let named = listed.into_iter().filter_map(|topic| Some((topic.page_id?, topic.title?)));
    let is_chosen = |title: &Topic| choice.topic.as_ref().is_none_or(|topic| topic == title);
    let topics: BTreeSet<_> = named.filter(|(_, title)| is_chosen(title)).collect();
    if topics.is_empty() && choice.topic.is_some() { Err(SyncError::NoTopic) } else { Ok(topics) }
}

type Words = BTreeMap<UserId, Word>;

async fn here(store: &Store, page_id: &PageId, topic: &Topic) -> Result<Words, StoreError> {
    let rows = store.subscribers(Some(page_id), Some(topic)).await?;
    let word = |row: crate::store::Subscriber| {
        let user_id = UserId::try_from(Cow::from(row.user_id)).ok()?;
        Some((user_id, Word { at: row.changed_at, is_subscribed: row.sub_status == 1 }))
    };
    Ok(rows.into_iter().filter_map(word).collect())
}

/// Sobot's list, each page of it journaled.
async fn at_sobot(
    store: &Store,
    sobot: &Sobot,
    session: &mut Session,
    page_id: &PageId,
    topic: &Topic,
    synced: &mut Synced,
) -> Result<Words, SyncError> {
    let mut words = Words::new();
    let mut next = Some(1);
    while let Some(page_no) = next {
        let listed = sobot.query_sub_users(page_id, topic, page_no).await?;
        next = listed.next_after(page_no)?;
        let events = events(page_id, &listed.items)?;
        if let Some(reason) = in_parts(store, session, &events, store_part).await? {
            return Err(SyncError::Left(reason));
        }
        for event in &events {
            synced.items += 1;
            let Some((user_id, word)) = word(event, page_id, topic) else {
                synced.unreadable += 1;
                continue;
            };
            // Pages that shift while they are asked for show a user twice.
            let latest = words.get(&user_id).map_or(word, |known| word.max(*known));
            words.insert(user_id, latest);
        }
    }
    Ok(words)
}

fn events(page_id: &PageId, items: &[Subscriber]) -> Result<Vec<Event>, SobotError> {
    let asked_at = clock::now();
    let unreadable = || SobotError::Unreadable("an item of its list is no JSON");
    let event = |item: &Subscriber| {
        let json = std::str::from_utf8(&item.json).map_err(|_| unreadable())?;
        subscriber(page_id, json, asked_at).map_err(|_| unreadable())
    };
    items.iter().map(event).collect()
}

/// What an event tells of this topic.
fn word(event: &Event, page_id: &PageId, topic: &Topic) -> Option<(UserId, Word)> {
    let Facts::Subscription(facts) = &event.facts else { return None };
    let is_of_it = event.page_id.as_ref() == Some(page_id) && facts.topic == *topic;
    let word = Word { at: event.occurred_at, is_subscribed: facts.is_subscribed };
    is_of_it.then(|| Some((event.user_id.clone()?, word)))?
}

/// Those who are subscribed on one side alone, each with both words.
fn different(here: Words, at_sobot: Words) -> impl Iterator<Item = (UserId, (Option<Word>, Option<Word>))> {
    let mut both: BTreeMap<UserId, (Option<Word>, Option<Word>)> = BTreeMap::new();
    for (user_id, word) in here {
        both.entry(user_id).or_default().0 = Some(word);
    }
    for (user_id, word) in at_sobot {
        both.entry(user_id).or_default().1 = Some(word);
    }
    let is_subscribed = |word: Option<Word>| word.is_some_and(|word| word.is_subscribed);
    both.into_iter().filter(move |(_, (here, at_sobot))| is_subscribed(*here) != is_subscribed(*at_sobot))
}

/// Topics that somebody is subscribed to here and that Sobot does not list.
async fn unlisted(
    store: &Store,
    choice: &Choice,
    listed: &BTreeSet<(PageId, Topic)>,
) -> Result<Vec<Difference>, StoreError> {
    let subscribed = store.subscribed_topics(choice.page_id.as_ref(), choice.topic.as_ref()).await?;
    let difference = |row: crate::store::SubscribedTopic| {
        let page_id = PageId::try_from(Cow::from(row.page_id)).ok()?;
        let topic = Topic::try_from(Cow::from(row.topic)).ok()?;
        let key = (page_id, topic);
        if listed.contains(&key) {
            return None;
        }
        Some(Difference::Topic { page_id: key.0, topic: key.1, subscribers: row.subscribers })
    };
    Ok(subscribed.into_iter().filter_map(difference).collect())
}
