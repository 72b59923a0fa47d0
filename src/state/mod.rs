//! The joins: what events add up to, in any order and however often each is told.
//!
//! Every row merges with an operation that is commutative, associative and idempotent (earliest, latest,
//! highest, best source), so that permutation and repetition cannot matter. The same merges stand once
//! more in SQL, each beside its row in `store`; the property tests hold the two equal. Pure: a batch is folded here first,
//! so that each row is written once a transaction, in one order, and no two writers can deadlock.

mod conversation;
mod join;
mod message;
mod subscription;
mod upload;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

pub use conversation::Conversation;
pub use join::Join;
pub use message::{Content, ContentSource, Edit, Message};
pub use subscription::{Subscription, Word};
pub use upload::Upload;

use crate::event::{Event, Facts};
use crate::ids::{Mid, PageId, Topic, TrackId, UserId};

/// What a batch of events adds to the state, each row under its key. Texts are the events' own.
#[derive(Debug, Default, PartialEq)]
pub struct State<'e> {
    /// Under user, page, mid.
    pub messages: BTreeMap<(&'e UserId, &'e PageId, &'e Mid), Message<'e>>,
    /// Under user, page.
    pub conversations: BTreeMap<(&'e UserId, &'e PageId), Conversation>,
    /// Under user, page, topic.
    pub subscriptions: BTreeMap<(&'e UserId, &'e PageId, &'e Topic), Subscription<'e>>,
    /// Under track id.
    pub uploads: BTreeMap<&'e TrackId, Upload<'e>>,
}

impl<'e> FromIterator<&'e Event> for State<'e> {
    fn from_iter<I: IntoIterator<Item = &'e Event>>(events: I) -> Self {
        let mut state = Self::default();
        for event in events {
            state.fold(event);
        }
        state
    }
}

impl<'e> State<'e> {
    /// Takes in one event.
    pub fn fold(&mut self, event: &'e Event) {
        match (&event.facts, &event.user_id, &event.page_id) {
            (Facts::Upload { track_id, attachment_id }, _, _) => {
                join(&mut self.uploads, track_id, Upload { completed_at: event.occurred_at, attachment_id });
            }
            (Facts::None, _, _) | (_, None, _) | (_, _, None) => {}
            (facts, Some(user), Some(page)) => {
                join(&mut self.conversations, (user, page), Conversation::seen(event));
                Message::told(event, |mid, message| join(&mut self.messages, (user, page, mid), message));
                if let Facts::Subscription(facts) = facts {
                    join(&mut self.subscriptions, (user, page, &facts.topic), Subscription::told(event, facts));
                }
            }
        }
    }
}

fn join<K: Ord, R: Join>(rows: &mut BTreeMap<K, R>, key: K, row: R) {
    match rows.entry(key) {
        Entry::Vacant(place) => {
            place.insert(row);
        }
        Entry::Occupied(mut place) => place.get_mut().join(row),
    }
}
