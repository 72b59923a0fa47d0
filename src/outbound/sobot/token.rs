//! Sobot's token: fetched with a signature, kept, fetched again ahead of its end or when Sobot says that it is not valid.
//!
//! * One fetch at a time in a process, one for all processes ([`TokenShelf`]). Whoever waits for it shares its outcome,
//!   also its failure: a hundred callers do not wait for a hundred time-outs.
//! * While one caller fetches ahead of time, the others go on with the token that they have.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use backon::Retryable;
use chrono::{DateTime, TimeDelta, Utc};
use md5::{Digest, Md5};
use reqwest::Url;
use tokio::sync::{Mutex, MutexGuard};

use super::answer::{accepted, count, text};
use super::error::SobotError;
use super::shelf::{Fetched, Shelved, TokenShelf};
use crate::clock;
use crate::config::{self, Secret};
use crate::outbound::client::{Client, retries};

/// The life of a token (目前 24 小时), where the answer does not tell it; and the longest that is believed.
const LIFE_SECONDS: u32 = 24 * 60 * 60;

/// What `get_token` is signed with: the MD5 of appid, time and key, in small hexadecimal digits.
///
/// ```
/// # use sobot_hook::outbound::sobot::sign;
/// assert_eq!(sign("1", "1569397773", "2"), "258eec3118705112b2c53dc8043d4d34");
/// ```
pub fn sign(appid: &str, create_time: &str, app_key: &str) -> String {
    hex::encode(Md5::digest([appid, create_time, app_key].concat()))
}

/// The last attempt that failed, and when it ended.
type Failure = Option<(Instant, SobotError)>;

/// The token of this process, and how to come by another.
#[derive(Debug)]
pub struct Tokens {
    client: Client,
    url: Url,
    appid: String,
    app_key: Secret,
    shelf: Arc<dyn TokenShelf>,
    held: RwLock<Option<Shelved>>,
    /// Held by whoever fetches.
    fetching: Mutex<Failure>,
}

impl Tokens {
    pub fn new(config: &config::Sobot, client: Client, url: Url, shelf: Arc<dyn TokenShelf>) -> Self {
        let (appid, app_key) = (config.appid.clone(), config.app_key.clone());
        Self { client, url, appid, app_key, shelf, held: RwLock::default(), fetching: Mutex::default() }
    }

    /// A token that should be good.
    pub async fn current(&self) -> Result<Shelved, SobotError> {
        let (now, asked_at) = (clock::now(), Instant::now());
        let held = match self.held() {
            Some(held) => Some(held),
            None => self.shelf.read().await?.inspect(|shelved| self.hold(shelved)),
        };
        match held {
            Some(held) if !held.is_due(now) => Ok(held),
            Some(held) if held.is_valid(now) => Ok(self.renewed_ahead(held).await),
            held => self.renewed_since(asked_at, held.map_or(0, |held| held.number)).await,
        }
    }

    /// A token after the one of this number, which Sobot has refused.
    pub async fn renewed(&self, stale: i64) -> Result<Shelved, SobotError> {
        self.renewed_since(Instant::now(), stale).await
    }

    async fn renewed_since(&self, asked_at: Instant, stale: i64) -> Result<Shelved, SobotError> {
        let fetching = self.fetching.lock().await;
        // Somebody else may have been at it while this caller waited.
        if let Some(held) = self.held().filter(|held| held.replaces(stale, clock::now())) {
            return Ok(held);
        }
        match &*fetching {
            Some((failed_at, error)) if *failed_at >= asked_at => Err(error.clone()),
            _ => self.refresh(stale, fetching).await,
        }
    }

    /// Another token if one can be had, else this one, which is still good for a while.
    async fn renewed_ahead(&self, held: Shelved) -> Shelved {
        let Ok(fetching) = self.fetching.try_lock() else { return held };
        match self.refresh(held.number, fetching).await {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::warn!(%error, expires_at = %held.expires_at, "cannot fetch Sobot's next token");
                held
            }
        }
    }

    async fn refresh(&self, stale: i64, mut fetching: MutexGuard<'_, Failure>) -> Result<Shelved, SobotError> {
        let refreshed = self.shelf.refresh(stale, Box::pin(self.fetch())).await;
        match &refreshed {
            Ok(shelved) => self.hold(shelved),
            Err(error) => *fetching = Some((Instant::now(), error.clone())),
        }
        refreshed
    }

    /// `GET /api/get_token?appid=…&create_time=…&sign=…`
    async fn fetch(&self) -> Result<Fetched, SobotError> {
        let attempt = async || self.fetch_once(clock::now()).await;
        let fetched = attempt.retry(retries()).when(SobotError::is_passing).await?;
        tracing::info!(expires_at = %fetched.expires_at, "fetched Sobot's token");
        Ok(fetched)
    }

    async fn fetch_once(&self, now: DateTime<Utc>) -> Result<Fetched, SobotError> {
        let create_time = format!("{:010}", now.timestamp());
        let sign = sign(&self.appid, &create_time, self.app_key.expose());
        let query = [("appid", self.appid.as_str()), ("create_time", &create_time), ("sign", &sign)];
        let answer = self.client.call(self.client.get(self.url.clone()).query(&query)).await?;
        let document = accepted(&answer)?;
        let item = document.root().member("item").ok_or(SobotError::Unreadable("it has no item"))?;
        let token = text(item, &["token"]).filter(|token| !token.is_empty());
        let token = token.ok_or(SobotError::Unreadable("its item has no token"))?;
        // The table calls it expires_in, the prose expire_in.
        let life = count(item, "expires_in").or_else(|| count(item, "expire_in")).unwrap_or(LIFE_SECONDS);
        let expires_at = now + TimeDelta::seconds(life.min(LIFE_SECONDS).into());
        Ok(Fetched { token: Secret::from(&*token), fetched_at: now, expires_at })
    }

    fn held(&self) -> Option<Shelved> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, shelved: &Shelved) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(shelved.clone());
    }
}
