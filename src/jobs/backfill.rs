//! The past conversations of a page, from Meta's lists into the journal.

use chrono::{DateTime, TimeDelta, Utc};

use super::conversation::{Past, PastError, Span, Taken, unless_limited};
use crate::clock;
use crate::ids::{PageId, UserId};
use crate::outbound::graph::{Account, Conversation, ConversationPages, Platform};
use crate::store::Store;

/// So many conversations in a row that cannot be had, and the next ones are not tried.
const MAX_FAILED: usize = 10;

/// Meta tells times to the second: a conversation that has just moved may move again within the same.
const SETTLED: TimeDelta = TimeDelta::minutes(1);

/// Which conversations.
#[derive(Debug, Clone)]
pub struct Choice {
    pub platform: Platform,
    /// The page by the id that the webhook has for it; on Instagram that of the professional account.
    pub account_id: PageId,
    /// That with one customer; none for all.
    pub user: Option<UserId>,
    /// Those that have moved since then; none for all.
    pub since: Option<DateTime<Utc>>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backfilled {
    /// Conversations that were looked into.
    pub conversations: u64,
    /// Conversations that have not moved since they were last looked into.
    pub unchanged: u64,
    /// Conversations that could not be had, or not to their end.
    pub failed: u64,
    /// New messages with what they say.
    pub told: u64,
    /// New messages of which Meta tells only when they were written.
    pub listed: u64,
    /// Messages of which something had told before.
    pub known: u64,
    /// Messages of people who have been erased.
    pub erased: u64,
    /// Calls of Meta's API.
    pub calls: u64,
}

/// Goes through the conversations, the last changed first. Broken off, it goes on quickly where it was: what is stored is
/// not asked for again.
///
/// # Errors
/// Meta or PostgreSQL do not go on, or ten conversations in a row cannot be had.
pub async fn backfill(
    store: &Store,
    account: &Account,
    choice: &Choice,
    mut progress: impl FnMut(&Backfilled),
) -> Result<Backfilled, PastError> {
    let page_id = &choice.account_id;
    let (session, platform) = (store.session(), choice.platform);
    let mut past = Past { store, session, account, page_id, platform, is_dry_run: false };
    let mut pages = ConversationPages::new(account, platform, choice.user.clone());
    let (mut done, mut failed_in_a_row) = (Backfilled::default(), 0);
    loop {
        let page = loop {
            if let Some(page) = unless_limited(pages.next().await) {
                break page?;
            }
        };
        let Some(conversations) = page else { return Ok(done) };
        for conversation in conversations {
            if choice.since.is_some_and(|since| conversation.updated_at.is_some_and(|at| at < since)) {
                return Ok(done);
            }
            match step(&mut past, &conversation, choice.user.as_ref()).await {
                Ok(Some(taken)) => {
                    failed_in_a_row = 0;
                    done.count(taken);
                }
                Ok(None) => done.unchanged += 1,
                Err(error) if error.is_of_one() && failed_in_a_row + 1 < MAX_FAILED => {
                    failed_in_a_row += 1;
                    done.failed += 1;
                    tracing::warn!(%error, conversation = conversation.id.as_str(), "a conversation is left out");
                }
                Err(error) => return Err(error),
            }
            done.calls = account.calls();
            progress(&done);
        }
    }
}

/// One conversation; none if it has not moved since it was taken.
async fn step(
    past: &mut Past<'_>,
    conversation: &Conversation,
    user: Option<&UserId>,
) -> Result<Option<Taken>, PastError> {
    let Conversation { id, updated_at, .. } = conversation;
    let asked_at = clock::now();
    let customer = past.customer(conversation).or_else(|| user.cloned());
    let until = past.store.backfilled_until(past.page_id, customer.as_ref(), id).await?;
    if until.is_some() && until == *updated_at {
        return Ok(None);
    }
    let taken = past.take(id, customer.clone(), Span { from: until, until: None }).await?;
    if let Some(updated_at) = updated_at.filter(|at| asked_at - *at > SETTLED) {
        past.store.mark_backfilled(past.page_id, customer.as_ref(), id, updated_at).await?;
    }
    Ok(Some(taken))
}

impl Backfilled {
    fn count(&mut self, taken: Taken) {
        self.conversations += 1;
        self.told += taken.told;
        self.listed += taken.listed;
        self.known += taken.known;
        self.erased += taken.erased;
    }
}
