//! Sending what is in the outbox: at most once each, a user's messages in their order.
//!
//! Of all processes one leads at a time. A message is `unknown` from before its request leaves until its outcome is written,
//! so a kill at any moment leaves either a message that certainly has not left and waits, or one that is unknown. Unknown
//! ones are settled by evidence alone.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::clock;
use crate::config::Secret;
use crate::dialect::sobot as told;
use crate::event::Event;
use crate::ids::{Mid, PageId, Topic, UserId};
use crate::outbound::sobot::{Code, Invalid, Recipient, Refusal, SendOutcome, SendRequest, Sent, Sobot, SobotError};
use crate::store::{Batch, Claimed, Lead, Session, Store, StoreError};
use crate::telemetry::metrics::{self, SendResult};

/// How often the outbox is looked into.
const PAUSE: Duration = Duration::from_millis(500);

/// After nothing could be sent although something waits, or PostgreSQL was away.
const REST: Duration = Duration::from_secs(5);

/// How often evidence is looked for.
const EVIDENCE_INTERVAL: Duration = Duration::from_secs(5);

/// Requests under way at a time. How many a second leave is another matter: `sobot.sends_per_second`.
const UNDER_WAY: usize = 16;

/// Less than the time for which a message is claimed: two minutes.
const LONGEST: Duration = Duration::from_secs(110);

/// A message that could not leave for so long is given up: whoever asked for it has other plans by now.
const MAX_AGE: TimeDelta = TimeDelta::hours(24);

/// Sends for ever, whenever no other process does.
pub async fn run(store: Store, sobot: Arc<Sobot>) {
    let mut told = String::new();
    loop {
        let led = match store.lead_outbox().await {
            Ok(Some(lead)) => Worker::new(store.clone(), Arc::clone(&sobot), lead).run().await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = led
            && told != error.to_string()
        {
            told = error.to_string();
            tracing::warn!(reason = told, "the outbox rests");
        }
        sleep(REST).await;
    }
}

/// Whoever sends.
#[derive(Debug)]
pub struct Worker {
    store: Store,
    session: Session,
    sobot: Arc<Sobot>,
    lead: Lead,
    looked_at: Option<Instant>,
}

/// What a message came to.
struct Done {
    claimed: Claimed,
    outcome: SendOutcome,
}

impl Worker {
    #[must_use]
    pub fn new(store: Store, sobot: Arc<Sobot>, lead: Lead) -> Self {
        Self { session: store.session(), store, sobot, lead, looked_at: None }
    }

    async fn run(mut self) -> Result<(), StoreError> {
        loop {
            let pause = self.step().await?;
            sleep(pause).await;
        }
    }

    /// Sends all that can be sent now, looks for evidence, and tells how long to rest.
    ///
    /// # Errors
    /// PostgreSQL is away. What is under way stays unknown.
    pub async fn step(&mut self) -> Result<Duration, StoreError> {
        if self.looked_at.is_none_or(|looked_at| looked_at.elapsed() >= EVIDENCE_INTERVAL) {
            self.looked_at = Some(Instant::now());
            let settled = self.lead.settle_unknown().await?;
            metrics::sent(SendResult::Settled, settled);
        }
        let (mut under_way, started) = (JoinSet::new(), Instant::now());
        loop {
            // Others wait for evidence, and whoever leads for itself for its own message.
            let is_time_up = started.elapsed() >= EVIDENCE_INTERVAL;
            let claimed = if is_time_up { Vec::new() } else { self.lead.claim(UNDER_WAY - under_way.len()).await? };
            for claimed in claimed {
                let (store, sobot) = (self.store.clone(), Arc::clone(&self.sobot));
                under_way.spawn(send(store, sobot, claimed));
            }
            let Some(done) = under_way.join_next().await else {
                return Ok(if is_time_up { Duration::ZERO } else { PAUSE });
            };
            // A task that panicked leaves its message unknown.
            let Ok(Done { claimed, outcome }) = done else { continue };
            match self.settle(&claimed, outcome).await {
                Ok(Next::GoOn) => {}
                // What is under way comes to its end first: cut off, it would be unknown.
                ended => {
                    while let Some(done) = under_way.join_next().await {
                        if let Ok(Done { claimed, outcome }) = done
                            && let Err(error) = self.settle(&claimed, outcome).await
                        {
                            tracing::warn!(%error, id = claimed.id, "what became of a message could not be written");
                        }
                    }
                    return ended.map(|_| REST);
                }
            }
        }
    }

    /// Gives the lead to another process.
    ///
    /// # Errors
    /// PostgreSQL is away, and another one leads anyway.
    pub async fn give_up(self) -> Result<(), StoreError> {
        self.lead.give_up().await
    }

    async fn settle(&mut self, claimed: &Claimed, outcome: SendOutcome) -> Result<Next, StoreError> {
        match outcome {
            SendOutcome::Sent(sent) => {
                // Of somebody who has been erased meanwhile nothing is written down.
                if self.store.outbox_entry(claimed.id).await?.is_some() {
                    let journaled = self.journal(claimed, &sent).await;
                    self.lead.settle_sent(claimed.id, sent.mid.as_ref()).await?;
                    journaled?;
                }
                metrics::sent(SendResult::Sent, 1);
                tracing::info!(id = claimed.id, "sent");
            }
            SendOutcome::NotSent(error) if may_pass(&error, claimed.created_at, clock::now()) => {
                self.lead.put_back(claimed.id, &error.to_string()).await?;
                tracing::warn!(%error, id = claimed.id, "not sent; trying again");
                return Ok(Next::Rest);
            }
            SendOutcome::NotSent(error) => {
                self.lead.settle_failed(claimed.id, &error.to_string()).await?;
                metrics::sent(SendResult::Failed, 1);
                tracing::warn!(%error, id = claimed.id, "not sent");
            }
            SendOutcome::Unknown { why, .. } => {
                self.lead.leave_unknown(claimed.id, &why.to_string()).await?;
                metrics::sent(SendResult::Unknown, 1);
                tracing::warn!(%why, id = claimed.id, "perhaps sent");
            }
        }
        Ok(Next::GoOn)
    }

    /// What was sent is an event like any other.
    async fn journal(&mut self, claimed: &Claimed, sent: &Sent) -> Result<(), StoreError> {
        let Some(event) = event(claimed, sent) else { return Ok(()) };
        let batch = Batch { events: vec![&event], quarantined: Vec::new() };
        match self.session.commit(&batch).await {
            Err(StoreError::Lost(_) | StoreError::Conflict(_) | StoreError::NoMonth) => {
                self.session.commit(&batch).await.map(drop)
            }
            committed => committed.map(drop),
        }
    }
}

/// What to do after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Rest,
}

fn may_pass(error: &SobotError, created_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let is_token = |refusal: &Refusal| matches!(refusal.code, Code::TokenMissing | Code::TokenInvalid);
    let is_passing = match error {
        // Whoever stands before Sobot lets nothing through at the moment; or the token is another's affair.
        SobotError::Shelf(_) | SobotError::NoToken(_) | SobotError::Http(_) => true,
        SobotError::Refused(refusal) => is_token(refusal),
        error => error.is_passing(),
    };
    is_passing && now - created_at < MAX_AGE
}

async fn send(store: Store, sobot: Arc<Sobot>, claimed: Claimed) -> Done {
    let sending = async {
        match addressed(&store, &claimed).await {
            Ok(request) => sobot.send(&request).await,
            Err(error) => SendOutcome::NotSent(error),
        }
    };
    let late = |_| SendOutcome::Unknown { why: SobotError::Unreadable("it has not come in time"), answer: None };
    let outcome = timeout(LONGEST, sending).await.unwrap_or_else(late);
    Done { claimed, outcome }
}

/// The request with its recipient: for a topic the token that its subscription has now.
async fn addressed(store: &Store, claimed: &Claimed) -> Result<SendRequest, SobotError> {
    let request = SendRequest::from_json(claimed.request.to_string().as_bytes())?;
    let Some(topic) = &claimed.topic else { return Ok(request) };
    let missing = || SobotError::Invalid(not_subscribed());
    let topic = Topic::try_from(Cow::from(topic)).map_err(|_| missing())?;
    let Recipient::User(user_id) = &request.recipient else { return Ok(request) };
    let token = store.marketing_token(&request.page_id, user_id, &topic).await;
    let token = token.map_err(|error| SobotError::Shelf(error.to_string()))?.ok_or_else(missing)?;
    Ok(SendRequest { recipient: Recipient::Subscription(Secret::from(token.as_str())), ..request })
}

/// Why nothing can be sent to a topic.
#[must_use]
pub fn not_subscribed() -> Invalid {
    Invalid::new("topic", "the user has no valid subscription to it")
}

fn event(claimed: &Claimed, sent: &Sent) -> Option<Event> {
    let page_id = PageId::try_from(Cow::from(&claimed.page_id)).ok()?;
    let user_id = UserId::try_from(Cow::from(&claimed.user_id)).ok()?;
    let request = claimed.request.to_string();
    let mid = sent.mid.as_ref().map(Mid::as_str);
    told::sent(&told::Sent { page_id: &page_id, user_id: &user_id, mid, request: &request, answered_at: clock::now() })
        .ok()
}
