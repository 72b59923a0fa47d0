//! Lists from their beginning to their end. Where Meta cannot give a page of the usual size, half of it is asked for, down
//! to one element.

use super::account::{Account, Platform};
use super::answer::{Conversation, Cursor, MessageId, Page};
use super::error::GraphError;
use crate::ids::{ConversationId, UserId};

/// What Meta gives when no limit is asked for; the first half is half of it.
const USUAL_LIMIT: u32 = 25;

/// Where in a list one is.
#[derive(Debug, Default)]
struct Place {
    /// None: as many as Meta likes.
    limit: Option<u32>,
    after: Option<Cursor>,
    is_over: bool,
}

impl Place {
    /// Takes an answer in. None: ask again, for fewer.
    fn step<T>(&mut self, page: Result<Page<T>, GraphError>) -> Option<Result<Vec<T>, GraphError>> {
        match page {
            Ok(page) => {
                self.is_over = page.after.is_none();
                self.after = page.after;
                Some(Ok(page.items))
            }
            Err(GraphError::TooMuch) if self.limit != Some(1) => {
                self.limit = Some(self.limit.unwrap_or(USUAL_LIMIT) / 2);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// All conversations of a page.
#[derive(Debug)]
pub struct ConversationPages<'a> {
    account: &'a Account,
    platform: Platform,
    user: Option<UserId>,
    place: Place,
}

impl<'a> ConversationPages<'a> {
    /// From the beginning; those with one customer, or with all.
    pub fn new(account: &'a Account, platform: Platform, user: Option<UserId>) -> Self {
        Self { account, platform, user, place: Place::default() }
    }

    /// The next ones, perhaps none; `Ok(None)` once the list has ended. After an error the same page is asked for again.
    ///
    /// # Errors
    /// Meta does not tell, also when asked again.
    pub async fn next(&mut self) -> Result<Option<Vec<Conversation>>, GraphError> {
        while !self.place.is_over {
            let Place { limit, after, .. } = &self.place;
            let page = self.account.conversations(self.platform, self.user.as_ref(), *limit, after.as_ref()).await;
            if let Some(items) = self.place.step(page) {
                return items.map(Some);
            }
        }
        Ok(None)
    }
}

/// The ids of all messages of a conversation.
#[derive(Debug)]
pub struct MessagePages<'a> {
    account: &'a Account,
    conversation: ConversationId,
    place: Place,
}

impl<'a> MessagePages<'a> {
    /// From the newest.
    pub fn new(account: &'a Account, conversation: ConversationId) -> Self {
        Self { account, conversation, place: Place::default() }
    }

    /// The next ones, perhaps none; `Ok(None)` once the list has ended. After an error the same page is asked for again.
    ///
    /// # Errors
    /// Meta does not tell, also when asked again.
    pub async fn next(&mut self) -> Result<Option<Vec<MessageId>>, GraphError> {
        while !self.place.is_over {
            let Place { limit, after, .. } = &self.place;
            let page = self.account.messages(&self.conversation, *limit, after.as_ref()).await;
            if let Some(items) = self.place.step(page) {
                return items.map(Some);
            }
        }
        Ok(None)
    }
}
