//! Somebody who is to be erased.

use super::record::Event;
use crate::ids::{PageId, UserId};

/// A customer, as one page knows them or as all do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id that their events have.
    pub user_id: UserId,
    /// Only what they have to do with this page; none for all pages.
    pub page_id: Option<PageId>,
}

impl Person {
    /// Whether an event is theirs: they wrote it, or it was written to them.
    #[must_use]
    pub fn owns(&self, event: &Event) -> bool {
        event.user_id.as_ref() == Some(&self.user_id) && (self.page_id.is_none() || event.page_id == self.page_id)
    }

    /// Whether an event of a page may speak of them: one of another page never does if only one page is meant.
    #[must_use]
    pub fn may_stand_in(&self, page_id: Option<&PageId>) -> bool {
        self.page_id.as_ref().is_none_or(|only| page_id.is_none_or(|page| page == only))
    }
}
