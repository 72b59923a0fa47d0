//! Where the token lies that all processes share. Each fetch voids the token before it, so two processes with a token of
//! their own would take turns in voiding the other's.

use std::pin::Pin;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use super::error::SobotError;
use crate::clock;
use crate::config::Secret;

/// A token is fetched anew so long before it expires, or after nine tenths of its life if that is later.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// A token as it was just fetched.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub token: Secret,
    pub fetched_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// The token that counts.
#[derive(Debug, Clone)]
pub struct Shelved {
    pub token: Secret,
    pub fetched_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// The number of its fetch: each fetch is one higher than the one before; the first is 1.
    pub number: i64,
}

impl Shelved {
    /// What was fetched, as the one after the number before (0 before the first).
    pub fn after(number: i64, fetched: Fetched) -> Self {
        let Fetched { token, fetched_at, expires_at } = fetched;
        Self { token, fetched_at, expires_at, number: number + 1 }
    }

    /// Whether it has not expired.
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at
    }

    /// Whether it is time to fetch another one.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        let ahead = AHEAD.min((self.expires_at - self.fetched_at) / 10);
        now >= self.expires_at - ahead
    }

    /// Whether it can stand in for the token of this number, which is no longer good.
    pub fn replaces(&self, number: i64, now: DateTime<Utc>) -> bool {
        self.number > number && !self.is_due(now)
    }
}

/// Something that a shelf is asked for.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, SobotError>> + Send + 'a>>;

/// A fetch of a token, which does nothing until it is awaited.
pub type Fetching<'a> = Pending<'a, Fetched>;

/// Keeps the token of one `appid`.
pub trait TokenShelf: std::fmt::Debug + Send + Sync {
    /// What lies there, be it expired or not.
    fn read(&self) -> Pending<'_, Option<Shelved>>;

    /// Takes a lock that all processes share. If what lies there [replaces](Shelved::replaces) the token of the number
    /// `stale` (0: none), that is the answer; else `fetch` is awaited, and its token kept under the next number. So of any
    /// number of processes that find a token stale, exactly one fetches.
    fn refresh<'a>(&'a self, stale: i64, fetch: Fetching<'a>) -> Pending<'a, Shelved>;
}

/// A shelf for one process alone.
#[derive(Debug, Default)]
pub struct MemoryShelf(Mutex<Option<Shelved>>);

impl MemoryShelf {
    /// A shelf on which a token lies already.
    pub fn holding(token: Shelved) -> Self {
        Self(Mutex::new(Some(token)))
    }
}

impl TokenShelf for MemoryShelf {
    fn read(&self) -> Pending<'_, Option<Shelved>> {
        Box::pin(async { Ok(self.0.lock().await.clone()) })
    }

    fn refresh<'a>(&'a self, stale: i64, fetch: Fetching<'a>) -> Pending<'a, Shelved> {
        Box::pin(async move {
            let mut held = self.0.lock().await;
            if let Some(held) = held.as_ref().filter(|held| held.replaces(stale, clock::now())) {
                return Ok(held.clone());
            }
            let number = held.as_ref().map_or(0, |held| held.number);
            Ok(held.insert(Shelved::after(number, fetch.await?)).clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_due_five_minutes_before_its_end_or_at_nine_tenths_of_a_short_life() {
        let start = DateTime::from_timestamp(1_760_000_000, 0).unwrap();
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let living =
            |seconds| Shelved { token: Secret::default(), fetched_at: start, expires_at: at(seconds), number: 7 };
        let day = living(86_400);
        assert_eq!([86_099, 86_100].map(|second| day.is_due(at(second))), [false, true]);
        assert_eq!([86_399, 86_400].map(|second| day.is_valid(at(second))), [true, false]);
        assert_eq!([53, 54].map(|second| living(60).is_due(at(second))), [false, true]);
        assert_eq!([6, 7, 8].map(|number| day.replaces(number, start)), [true, false, false]);
        assert!(!day.replaces(6, at(86_100)));
    }
}
