//! The calls, each in its turn.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::Retryable;
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Url};

use super::answer::{self, Conversation, Cursor, Message, MessageId, Page};
use super::error::GraphError;
use super::pace::Pace;
use super::usage::Usage;
use crate::config;
use crate::ids::{ConversationId, Mid, PageId, UserId};
use crate::outbound::client::{Client, Patience, retries, sensitive};

/// What a conversation is asked for. `participants` tells whose it is, also where no message has details any more.
const CONVERSATION_FIELDS: &str = "id,updated_time,participants";

/// What a message is asked for.
const MESSAGE_FIELDS: &str =
    "id,created_time,from,to,message,attachments,shares,sticker,tags,story,reactions,is_unsupported";

/// Meta's documents: about two calls a second for each account.
const CALLS_PER_SECOND: NonZero<u32> = NonZero::new(2).unwrap();

/// Where the conversations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Messenger,
    Instagram,
}

impl Platform {
    /// The name that Meta knows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messenger => "messenger",
            Self::Instagram => "instagram",
        }
    }
}

/// Meta's Graph API for all pages that have a token.
#[derive(Debug)]
pub struct Graph {
    accounts: BTreeMap<String, Arc<Account>>,
}

/// Meta's Graph API for one page.
#[derive(Debug)]
pub struct Account {
    client: Client,
    /// `https://graph.facebook.com/v26.0`
    base: Url,
    page: PageId,
    /// `Bearer …`, marked as sensitive.
    authorization: HeaderValue,
    turns: DefaultDirectRateLimiter,
    pace: Mutex<Pace>,
    calls: AtomicU64,
}

impl Graph {
    /// A client for this configuration; it asks nothing yet.
    ///
    /// # Errors
    /// The system cannot speak TLS.
    pub fn new(config: &config::Graph, patience: Patience) -> Result<Self, GraphError> {
        let base = format!("{}/{}", config.base_url.trim_end_matches('/'), config.version);
        let base = Url::parse(&base).map_err(|_| GraphError::Unreadable("graph.base_url is no URL"))?;
        let client = Client::new(&base, patience)?;
        let account = |(page, token)| {
            let page: &String = page;
            // A token that no header can carry is no token; the configuration refuses it before.
            let authorization = sensitive("Bearer ", token).map_err(|_| GraphError::NoToken)?;
            let turns = Quota::per_second(CALLS_PER_SECOND).allow_burst(NonZero::<u32>::MIN);
            let account = Account {
                client: client.clone(),
                base: base.clone(),
                page: PageId::try_from(Cow::from(page)).map_err(|_| GraphError::NoToken)?,
                authorization,
                turns: RateLimiter::direct(turns),
                pace: Mutex::default(),
                calls: AtomicU64::new(0),
            };
            Ok((page.clone(), Arc::new(account)))
        };
        let accounts = config.page_tokens.iter().map(account).collect::<Result<_, GraphError>>()?;
        Ok(Self { accounts })
    }

    /// The pages that have a token.
    pub fn pages(&self) -> impl Iterator<Item = &PageId> {
        self.accounts.values().map(|account| &account.page)
    }

    /// The API for each of them.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// The API for this page.
    ///
    /// # Errors
    /// It has no token.
    pub fn account(&self, page: &PageId) -> Result<&Arc<Account>, GraphError> {
        self.accounts.get(page.as_str()).ok_or(GraphError::NoToken)
    }
}

impl Account {
    /// One page of the conversations, the last changed first:
    /// `GET /{page-id}/conversations?platform=…&fields=…[&user_id=…][&limit=…][&after=…]`.
    ///
    /// # Errors
    /// Meta does not tell, also when asked again.
    pub async fn conversations(
        &self,
        platform: Platform,
        user: Option<&UserId>,
        limit: Option<u32>,
        after: Option<&Cursor>,
    ) -> Result<Page<Conversation>, GraphError> {
        let mut query = vec![("platform", platform.as_str().to_owned()), ("fields", CONVERSATION_FIELDS.to_owned())];
        query.extend(user.map(|user| ("user_id", user.as_str().to_owned())));
        query.extend(place(limit, after));
        answer::conversations(&self.ask(&[self.page.as_str(), "conversations"], &query).await?)
    }

    /// One page of the ids of a conversation's messages, the newest first. The first page is asked for as the document does,
    /// `GET /{conversation-id}?fields=messages`, the further ones as Meta's own `next` does,
    /// `GET /{conversation-id}/messages?after=…`.
    ///
    /// # Errors
    /// Meta does not tell, also when asked again.
    pub async fn messages(
        &self,
        conversation: &ConversationId,
        limit: Option<u32>,
        after: Option<&Cursor>,
    ) -> Result<Page<MessageId>, GraphError> {
        let id = conversation.as_str();
        let body = if after.is_some() {
            self.ask(&[id, "messages"], &place(limit, after)).await?
        } else {
            let fields = limit.map_or("messages".to_owned(), |limit| format!("messages.limit({limit})"));
            self.ask(&[id], &[("fields", fields)]).await?
        };
        answer::messages(&body)
    }

    /// A message's details: `GET /{message-id}?fields=…`. Meta gives them for the twenty newest of a conversation.
    ///
    /// # Errors
    /// [`GraphError::Gone`] for an older or an unsent one; or Meta does not tell, also when asked again.
    pub async fn message(&self, mid: &Mid) -> Result<Message, GraphError> {
        answer::message(self.ask(&[mid.as_str()], &[("fields", MESSAGE_FIELDS.to_owned())]).await?)
    }

    /// The page that is asked for.
    pub fn page(&self) -> &PageId {
        &self.page
    }

    /// How many calls have been made, each further try included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How long the next call will wait, by what Meta has said.
    pub fn rests(&self) -> Duration {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).rests(Instant::now())
    }

    async fn ask(&self, path: &[&str], query: &[(&str, String)]) -> Result<Bytes, GraphError> {
        let mut url = self.base.clone();
        // A base of http or https always has a path that segments can be added to. Ids may hold any character.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let request = self.client.get(url).query(query).header(AUTHORIZATION, self.authorization.clone());
        let attempt = async || self.ask_once(&request).await;
        attempt.retry(retries()).when(GraphError::is_passing).await
    }

    async fn ask_once(&self, request: &RequestBuilder) -> Result<Bytes, GraphError> {
        tokio::time::sleep(self.rests()).await;
        self.turns.until_ready().await;
        // A GET has no body that could not be copied.
        let request = request.try_clone().ok_or(GraphError::Unreadable("the request is a stream"))?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.call(request).await?;
        let usage = Usage::of(&answer.headers);
        let error = GraphError::of(&answer, &usage);
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).learn(&usage, error.as_ref(), Instant::now());
        error.map_or(Ok(answer.body), Err)
    }
}

/// Where in a list, and how much of it.
fn place(limit: Option<u32>, after: Option<&Cursor>) -> Vec<(&'static str, String)> {
    let limit = limit.map(|limit| ("limit", limit.to_string()));
    let after = after.map(|after| ("after", after.0.clone()));
    limit.into_iter().chain(after).collect()
}
