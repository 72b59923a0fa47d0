//! Finding what the webhook has missed: Meta's lists of conversations are compared with the messages that are known.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::conversation::{Past, PastError, Span, Taken, unless_limited};
use crate::clock;
use crate::ids::UserId;
use crate::outbound::graph::{Account, Conversation, ConversationPages, Graph, Platform};
use crate::spool::Spool;
use crate::store::{Gap, Store, StoreError};
use crate::telemetry::metrics::{self, Missed};

/// The webhook has so long to bring a message before it counts as missed.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// How far back the page's last event is looked for.
const MEMORY: Days = Days::new(31);

/// How often it is looked whether the spool is empty.
const PAUSE: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Healed {
    /// Since when messages were compared; none if no event of the page is known.
    pub since: Option<DateTime<Utc>>,
    /// Conversations that have moved since.
    pub conversations: u64,
    /// Missed messages that Meta has told now; in a dry run those that it may tell.
    pub filled: u64,
    /// Missed messages of which it tells no more than that they were there.
    pub lost: u64,
    /// Conversations that could not be had.
    pub failed: u64,
}

/// Looks for ever, each page by itself, at once and then after each pause of this length.
pub async fn run(store: Store, graph: Graph, spool: Spool, pause: Duration) {
    let mut pages = JoinSet::new();
    for account in graph.accounts() {
        pages.spawn(keep(store.clone(), Arc::clone(account), spool.clone(), pause));
    }
    while pages.join_next().await.is_some() {}
}

async fn keep(store: Store, account: Arc<Account>, spool: Spool, pause: Duration) {
    loop {
        // What waits in the spool has not been missed.
        while spool.waiting().entries > 0 {
            sleep(PAUSE).await;
        }
        match heal(&store, &account, None, false).await {
            Ok(Healed { filled, lost, .. }) => {
                metrics::missed(Missed::Filled, filled);
                metrics::missed(Missed::Lost, lost);
            }
            Err(error) => {
                let page_id = account.page().as_str();
                tracing::warn!(%error, page_id, "could not look for what was missed; trying again later");
            }
        }
        sleep(pause).await;
    }
}

/// Looks into the conversations that have moved since the last look (or since then), brings what is missing as far as Meta
/// tells, and writes each gap down.
///
/// # Errors
/// Meta or PostgreSQL do not go on; then the next look begins where this one did.
pub async fn heal(
    store: &Store,
    account: &Account,
    since: Option<DateTime<Utc>>,
    is_dry_run: bool,
) -> Result<Healed, PastError> {
    let until = clock::now() - GRACE;
    let from = match since {
        Some(since) => Some(since),
        None => last_look(store, account).await?,
    };
    let mut healed = Healed { since: from, ..Healed::default() };
    if let Some(from) = from {
        let span = Span { from: Some(from), until: Some(until) };
        compare(store, account, span, is_dry_run, &mut healed).await?;
    }
    if since.is_none() && !is_dry_run {
        // Nothing is missed of a page before its first event.
        store.mark_healed(account.page(), until).await?;
    }
    Ok(healed)
}

/// Until when nothing is missing, as far as is known: the last look, or else the page's last event.
async fn last_look(store: &Store, account: &Account) -> Result<Option<DateTime<Utc>>, StoreError> {
    if let Some(until) = store.healed_until(account.page()).await? {
        return Ok(Some(until));
    }
    let heard = store.pages_heard(clock::now() - MEMORY).await?;
    Ok(heard.into_iter().find(|(page, _)| page == account.page()).map(|(_, at)| at - GRACE))
}

async fn compare(
    store: &Store,
    account: &Account,
    span: Span,
    is_dry_run: bool,
    healed: &mut Healed,
) -> Result<(), PastError> {
    let (session, page_id, platform) = (store.session(), account.page(), Platform::Messenger);
    let mut past = Past { store, session, account, page_id, platform, is_dry_run };
    let mut pages = ConversationPages::new(account, platform, None);
    loop {
        let page = loop {
            if let Some(page) = unless_limited(pages.next().await) {
                break page?;
            }
        };
        let Some(conversations) = page else { return Ok(()) };
        for conversation in conversations {
            if conversation.updated_at.is_some_and(|at| Some(at) < span.from) {
                return Ok(());
            }
            let customer = past.customer(&conversation);
            match past.take(&conversation.id, customer.clone(), span).await {
                Ok(taken) => {
                    healed.count(taken);
                    if !is_dry_run {
                        record(&past, &conversation, customer.as_ref(), taken).await?;
                    }
                }
                Err(error) if error.is_of_one() => {
                    healed.failed += 1;
                    tracing::warn!(%error, conversation = conversation.id.as_str(), "a conversation is left out");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn record(
    past: &Past<'_>,
    conversation: &Conversation,
    user_id: Option<&UserId>,
    taken: Taken,
) -> Result<(), StoreError> {
    let Taken { told: filled, listed: lost, .. } = taken;
    let Some((from, until)) = taken.written else { return Ok(()) };
    let (page_id, conversation) = (past.page_id, conversation.id.as_str());
    tracing::warn!(page_id = page_id.as_str(), conversation, filled, lost, "the webhook missed messages");
    let why = if lost > 0 {
        "no event told of them, and Meta gives details of a conversation's newest 20 messages alone"
    } else {
        "no event told of them"
    };
    past.store.record_gap(&Gap { page_id, user_id, from, until, why, filled, lost }).await
}

impl Healed {
    fn count(&mut self, taken: Taken) {
        self.conversations += 1;
        self.filled += taken.told;
        self.lost += taken.listed;
    }
}
