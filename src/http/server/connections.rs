//! The open connections of a listener, to find the one that has been idle longest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Connections(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last_id: u64,
    by_id: BTreeMap<u64, Arc<Connection>>,
}

#[derive(Debug)]
pub struct Connection {
    id: u64,
    requests: AtomicUsize,
    active_at: Mutex<Instant>,
    close: Notify,
}

/// A request under way: its connection is not idle.
pub struct Busy(Arc<Connection>);

impl Connections {
    pub fn open(&self) -> Arc<Connection> {
        let mut open = self.lock();
        open.last_id += 1;
        let connection = Arc::new(Connection {
            id: open.last_id,
            requests: AtomicUsize::new(0),
            active_at: Mutex::new(Instant::now()),
            close: Notify::new(),
        });
        open.by_id.insert(connection.id, Arc::clone(&connection));
        connection
    }

    pub fn closed(&self, connection: &Connection) {
        self.lock().by_id.remove(&connection.id);
    }

    /// Asks the connection that has been idle longest to close, if there is an idle one.
    pub fn close_idle(&self) {
        let mut open = self.lock();
        let idle = open.by_id.values().filter(|connection| connection.requests.load(Ordering::Relaxed) == 0);
        let longest = idle.min_by_key(|connection| connection.active_at()).map(|connection| connection.id);
        // Taken out at once, so that the next one in need finds another.
        if let Some(connection) = longest.and_then(|id| open.by_id.remove(&id)) {
            connection.close.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Until the guard is dropped, the connection is not idle.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Resolves when another connection needs the room.
    pub async fn asked_to_close(&self) {
        self.close.notified().await;
    }

    fn active_at(&self) -> Instant {
        *self.active_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.active_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
