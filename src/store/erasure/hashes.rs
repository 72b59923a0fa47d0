//! Who has been erased, as far as a session knows.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::PgConnection;

use crate::event::{Event, Person};
use crate::ids::{EventKey, PageId, UserId};
use crate::store::error::StoreError;

/// 16 bytes of HMAC-SHA256.
type Hash = [u8; 16];

/// The hashes. A new session knows none, which is right as long as nobody has ever been erased.
#[derive(Debug, Default)]
pub struct Erasures {
    /// Which erasure was the last one, when this was read.
    pub generation: i64,
    key: Key,
    users: HashMap<Hash, DateTime<Utc>>,
    events: HashSet<Hash>,
}

/// What the hashes are keyed with.
#[derive(Default)]
pub struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(..)")
    }
}

impl From<Vec<u8>> for Key {
    fn from(key: Vec<u8>) -> Self {
        Self(key)
    }
}

impl Key {
    /// Of a user of one page, or of all.
    pub fn user(&self, user_id: &UserId, page_id: Option<&PageId>) -> Hash {
        self.hash(&[b"user", user_id.as_str().as_bytes(), page_id.map_or("", PageId::as_str).as_bytes()])
    }

    pub fn person(&self, person: &Person) -> Hash {
        self.user(&person.user_id, person.page_id.as_ref())
    }

    /// Of an event of a user, or of nobody ('').
    pub fn event(&self, user_id: &str, key: EventKey) -> Hash {
        self.hash(&[b"event", user_id.as_bytes(), &key.0])
    }

    fn hash(&self, parts: &[&[u8]]) -> Hash {
        let mut hash = [0; 16];
        // A key of HMAC may have any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            for part in parts {
                // The length goes first, so that no two sequences run together.
                mac.update(&(part.len() as u64).to_le_bytes());
                mac.update(part);
            }
            hash.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        }
        hash
    }
}

impl Erasures {
    /// Reads them.
    pub async fn load(connection: &mut PgConnection) -> Result<Self, StoreError> {
        // The generation first: what is newer than it is harmless, what is older would be missed.
        let known = sqlx::query!("select key, generation from erasure_key").fetch_one(&mut *connection).await?;
        let users = sqlx::query!("select hash, erased_until from erased_users").fetch_all(&mut *connection).await?;
        let events = sqlx::query_scalar!("select hash from erased_events").fetch_all(connection).await?;
        Ok(Self {
            generation: known.generation,
            key: known.key.into(),
            users: users.into_iter().filter_map(|row| Some((row.hash.try_into().ok()?, row.erased_until))).collect(),
            events: events.into_iter().filter_map(|hash| hash.try_into().ok()).collect(),
        })
    }

    /// Whether an event must not come back: somebody told it before they were erased, or it was erased itself.
    pub fn cover(&self, event: &Event) -> bool {
        if self.generation == 0 {
            return false;
        }
        let user = event.user_id.as_ref().map_or("", UserId::as_str);
        if !self.events.is_empty() && self.events.contains(&self.key.event(user, event.key)) {
            return true;
        }
        let Some(user_id) = &event.user_id else { return false };
        let of_page = |page_id| self.users.get(&self.key.user(user_id, page_id));
        let until = of_page(None).max(event.page_id.as_ref().and_then(|page_id| of_page(Some(page_id))));
        until.is_some_and(|until| event.occurred_at <= *until)
    }
}
