//! The joins: what events add up to, in any order and however often each is told.
//!
//! Every row merges with an operation that is commutative, associative and idempotent (earliest, latest,
//! highest, best source), so that permutation and repetition cannot matter. The same merges stand once
//! more in SQL, in `store`; the property tests hold the two equal. Pure: a batch is folded here first, so
//! that each row is written once a transaction, sorted by key, and no two writers can deadlock.

mod join;
mod rows;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

pub use join::Join;
pub use rows::{Content, Conversation, Edit, Message, Source, Subscription, SubscriptionChange, Upload};

use crate::ids::{AttachmentId, Mid, PageId, Topic, TrackId, UserId};
use crate::messenger::{Direction, Event, Facts};

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
            (Facts::Upload { track_id, attachment_id }, _, _) => self.fold_upload(event, track_id, attachment_id),
            (Facts::None, _, _) | (_, None, _) | (_, _, None) => {}
            (facts, Some(user), Some(page)) => {
                join(&mut self.conversations, (user, page), Conversation::seen(event));
                self.fold_message(event, facts, user, page);
                if let Facts::Subscription(facts) = facts {
                    join(&mut self.subscriptions, (user, page, &facts.topic), Subscription::told(event, facts));
                }
            }
        }
    }

    fn fold_message(&mut self, event: &'e Event, facts: &'e Facts, user: &'e UserId, page: &'e PageId) {
        let at = event.occurred_at;
        let mut put = |mid, message| join(&mut self.messages, (user, page, mid), message);
        match facts {
            Facts::Message(facts) => put(&facts.mid, Message::from(Content::told(event, facts))),
            Facts::Unsend { mid } => {
                let content = Content::mentioned(Source::Change, event.direction);
                put(mid, Message { deleted_at: Some(at), ..Message::from(content) });
            }
            Facts::Edit { mid, text, num_edit } => {
                let content = Content::mentioned(Source::Change, event.direction);
                let edit = Edit { num_edit: *num_edit, edited_at: at, text };
                put(mid, Message { edit: Some(edit), ..Message::from(content) });
            }
            Facts::Delivery { mids, watermark } => {
                // What has been delivered was sent no later than the receipt itself.
                let sent_no_later_than = Some(watermark.map_or(at, |watermark| watermark.min(at)));
                for mid in mids {
                    let content = Content::mentioned(Source::Receipt, Direction::Outbound);
                    put(mid, Message { delivered_at: Some(at), sent_no_later_than, ..Message::from(content) });
                }
            }
            Facts::Read { mid: Some(mid), .. } => {
                let content = Content::mentioned(Source::Receipt, Direction::Outbound);
                put(mid, Message { read_at: Some(at), ..Message::from(content) });
            }
            Facts::Read { mid: None, .. }
            | Facts::Seen { .. }
            | Facts::Subscription(_)
            | Facts::Upload { .. }
            | Facts::None => {}
        }
    }

    fn fold_upload(&mut self, event: &Event, track_id: &'e TrackId, attachment_id: &'e AttachmentId) {
        join(&mut self.uploads, track_id, Upload { completed_at: event.occurred_at, attachment_id });
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
