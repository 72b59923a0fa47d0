//! One conversation as Meta has it, into the journal: the messages of which nothing is known yet, with details as far as
//! Meta gives them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};

use super::parts::in_parts;
use crate::clock;
use crate::dialect::graph as told;
use crate::event::{Event, Facts};
use crate::ids::{ConversationId, Mid, PageId, UserId};
use crate::json::Document;
use crate::outbound::graph::{Account, Conversation, GraphError, MessageId, MessagePages, Platform};
use crate::store::{Batch, Fate, Session, Store, StoreError};

/// Meta gives details of so many messages of a conversation, the newest.
const WITH_DETAILS: usize = 20;

/// One that Meta does not give may have been unsent; after so many in a row the older ones are not asked for.
const MAX_GONE: usize = 2;

/// Why a conversation's messages are not all in the journal.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// PostgreSQL does not take some of them.
    #[error("some messages cannot be stored: {0}")]
    NotStored(String),
}

impl PastError {
    /// Whether other conversations may well be had.
    pub fn is_of_one(&self) -> bool {
        match self {
            Self::Graph(error) => is_of_one(error),
            Self::Store(_) => false,
            Self::NotStored(_) => true,
        }
    }
}

/// Which messages of a conversation are wanted, by the second in which they were written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}

/// What became of the messages of a conversation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// New, with what they say.
    pub told: u64,
    /// New; Meta tells that they were there, and when.
    pub listed: u64,
    /// Something had told of them before.
    pub known: u64,
    /// Of somebody who has been erased.
    pub erased: u64,
    /// When the earliest and the latest of the new ones were written.
    pub written: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What brings the conversations of a page.
#[derive(Debug)]
pub struct Past<'a> {
    pub store: &'a Store,
    pub session: Session,
    pub account: &'a Account,
    /// The page by the id that the webhook has for it.
    pub page_id: &'a PageId,
    pub platform: Platform,
    /// Nothing is stored and no details are asked for: the messages are only counted.
    pub is_dry_run: bool,
}

/// A message on its way into the journal.
struct Pending {
    event: Event,
    fate: OnceLock<Fate>,
}

/// Which messages are still asked for.
#[derive(Default)]
struct Details {
    /// How many messages of the conversation have been seen, the newest first.
    seen: usize,
    /// How many in a row Meta did not give.
    gone: usize,
}

impl Past<'_> {
    /// The customer of a conversation: the one participant who is neither the page nor its account.
    pub fn customer(&self, conversation: &Conversation) -> Option<UserId> {
        let document = Document::parse(&conversation.json).ok()?;
        let participants = document.root().member("participants")?;
        let participants = participants.member("data").unwrap_or(participants).one_or_many();
        let ids = participants.filter_map(|participant| participant.member("id")?.text_or_integer(usize::MAX));
        let is_own = |id: &Cow<'_, str>| [self.page_id, self.account.page()].iter().any(|own| own.as_str() == id);
        let mut others = ids.filter(|id| !is_own(id));
        let first = others.next()?;
        // With two of them nobody knows whose conversation it is.
        if others.next().is_some() { None } else { UserId::try_from(first).ok() }
    }

    /// Takes the messages of a conversation into the journal, a page of Meta's list at a time, the newest first.
    ///
    /// # Errors
    /// Meta or PostgreSQL do not go on; what was stored stays.
    pub async fn take(
        &mut self,
        conversation: &ConversationId,
        customer: Option<UserId>,
        span: Span,
    ) -> Result<Taken, PastError> {
        let mut pages = MessagePages::new(self.account, conversation.clone());
        let (mut customer, mut details, mut taken) = (customer, Details::default(), Taken::default());
        loop {
            let page = loop {
                if let Some(page) = unless_limited(pages.next().await) {
                    break page?;
                }
            };
            let Some(messages) = page else { return Ok(taken) };
            let count = messages.len();
            let wanted: Vec<MessageId> = messages
                .into_iter()
                .take_while(|message| message.created_at.is_none_or(|at| Some(at) >= span.from))
                .collect();
            let is_over = wanted.len() < count;
            let new = self.new_ones(customer.as_ref(), wanted, span, &mut details, &mut taken).await?;
            let mut pending = Vec::with_capacity(new.len());
            for (message, may_have_details) in new {
                if self.is_dry_run {
                    taken.count(may_have_details, message.created_at);
                    continue;
                }
                let event =
                    self.event(conversation, customer.as_ref(), &message, may_have_details, &mut details).await?;
                if customer.is_none() {
                    customer.clone_from(&event.user_id);
                }
                pending.push(Pending { event, fate: OnceLock::new() });
            }
            self.keep(&pending, &mut taken).await?;
            if is_over {
                return Ok(taken);
            }
        }
    }

    /// Those of which nothing is known, each with whether Meta may have its details.
    async fn new_ones(
        &self,
        customer: Option<&UserId>,
        messages: Vec<MessageId>,
        span: Span,
        details: &mut Details,
        taken: &mut Taken,
    ) -> Result<Vec<(MessageId, bool)>, StoreError> {
        let known = match customer {
            Some(user_id) => {
                let mids = messages.iter().map(|message| &message.mid);
                self.store.known_messages(self.page_id, user_id, mids).await?
            }
            None => HashSet::default(),
        };
        let mut new = Vec::new();
        for message in messages {
            details.seen += 1;
            if span.until.is_some_and(|until| message.created_at.is_some_and(|at| at > until)) {
                continue;
            }
            if known.contains(message.mid.as_str()) {
                taken.known += 1;
            } else {
                new.push((message, details.seen <= WITH_DETAILS));
            }
        }
        Ok(new)
    }

    async fn event(
        &self,
        conversation: &ConversationId,
        customer: Option<&UserId>,
        message: &MessageId,
        may_have_details: bool,
        details: &mut Details,
    ) -> Result<Event, GraphError> {
        let answer = if may_have_details && details.gone < MAX_GONE { self.details(&message.mid).await? } else { None };
        details.gone = if answer.is_some() { 0 } else { details.gone + 1 };
        let json = answer.as_ref().unwrap_or(&message.json);
        let unreadable = GraphError::Unreadable("the message is no JSON");
        let Ok(json) = std::str::from_utf8(json) else { return Err(unreadable) };
        let place = told::Conversation {
            page_id: self.page_id,
            platform: match self.platform {
                Platform::Messenger => told::Platform::Messenger,
                Platform::Instagram => told::Platform::Instagram,
            },
            conversation_id: conversation.as_str(),
            user_id: customer.map(UserId::as_str),
        };
        told::message(&place, json, clock::now()).map_err(|_| unreadable)
    }

    /// What Meta tells of a message; none if it does not tell of this one.
    async fn details(&self, mid: &Mid) -> Result<Option<bytes::Bytes>, GraphError> {
        loop {
            match unless_limited(self.account.message(mid).await) {
                Some(Ok(message)) => return Ok(Some(message.json)),
                Some(Err(error)) if is_of_one(&error) => return Ok(None),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
    }

    async fn keep(&mut self, pending: &[Pending], taken: &mut Taken) -> Result<(), PastError> {
        let left = in_parts(self.store, &mut self.session, pending, store_part).await?;
        for Pending { event, fate } in pending {
            match fate.get() {
                Some(Fate::Stored) => {
                    taken.count(matches!(event.facts, Facts::Message(_)), Some(event.occurred_at));
                }
                Some(Fate::Known) => taken.known += 1,
                Some(Fate::Erased) => taken.erased += 1,
                None => {}
            }
        }
        left.map_or(Ok(()), |reason| Err(PastError::NotStored(reason)))
    }
}

impl Taken {
    fn count(&mut self, is_told: bool, written_at: Option<DateTime<Utc>>) {
        if is_told {
            self.told += 1;
        } else {
            self.listed += 1;
        }
        if let Some(at) = written_at {
            self.written = Some(self.written.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
    }
}

async fn store_part(session: &mut Session, part: &[Pending]) -> Result<(), StoreError> {
    let batch = Batch { events: part.iter().map(|pending| &pending.event).collect(), quarantined: Vec::new() };
    let committed = session.commit(&batch).await?;
    for (pending, fate) in part.iter().zip(committed.fates) {
        // A part is committed once.
        let _ = pending.fate.set(fate);
    }
    Ok(())
}

/// An answer; none while Meta limits how often it is asked. The account rests before the next call.
pub fn unless_limited<T>(answer: Result<T, GraphError>) -> Option<Result<T, GraphError>> {
    match answer {
        Err(error @ GraphError::RateLimited(_)) => {
            tracing::warn!(%error, "waiting until Meta answers again");
            None
        }
        answer => Some(answer),
    }
}

/// Whether it concerns this message or conversation alone: it is gone, or not for this token.
fn is_of_one(error: &GraphError) -> bool {
    use GraphError::{Gone, Missing, Refused, TooMuch, Unreadable};
    matches!(error, Gone | Missing | Refused { .. } | TooMuch | Unreadable(_))
}
