//! What has been acknowledged while PostgreSQL could not take it: raw bodies on the local disk, oldest first.
//!
//! Guarantees: [`Spool::append`] answers `Ok` for a body only after it is in the file and the file is on disk
//! (SQLite in WAL mode with `synchronous = full`, one fsync for all bodies of a call). A body leaves only by
//! [`Spool::remove`], or because somebody is erased ([`rewrite()`]); then its bytes are overwritten. What is damaged is set aside in a directory of its own, never deleted; what can still be
//! read of it goes on.
//!
//! Limits: `max_bytes` of bodies plus [`ENTRY_BYTES`] for each; beyond it, and on a full or broken disk,
//! [`SpoolError`]. After that nothing needs to be repaired by hand: every call tries the file again.
//!
//! Layout: `<data_dir>/spool/spool.sqlite` with its `-wal` and `-shm`, table `entries` (id, time of receipt in
//! microseconds since 1970, body, the first 8 bytes of the body's SHA-256); `damaged-<time>` beside it. All directories
//! have the permissions 0700, all files 0600.
//! One process per directory: the caller holds the lock of the data directory.

mod damage;
mod file;
mod rewrite;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::data_dir::private;
use file::File;
pub use file::{ENTRY_BYTES, Entry, SpoolError, Waiting};
pub use rewrite::Rewritten;

/// The spool of one data directory. Its calls wait for the disk, on threads that may.
#[derive(Debug, Clone)]
pub struct Spool {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    max_bytes: u64,
    /// Held while the disk works; only threads that may wait take it.
    file: Mutex<Option<File>>,
    status: Mutex<Status>,
}

/// What waits in the file, and the last failure, until a success shows that it is over.
#[derive(Debug, Default)]
struct Status {
    waiting: Waiting,
    failure: Option<SpoolError>,
}

impl Spool {
    /// Opens the spool below `data_dir`. When that fails it is tried again with every call.
    pub async fn open(data_dir: &Path, max_bytes: u64) -> Self {
        let directory = directory(data_dir);
        let place = Place { directory, max_bytes, file: Mutex::default(), status: Mutex::default() };
        let spool = Self { place: Arc::new(place) };
        let place = Arc::clone(&spool.place);
        // A panic in there is logged as such.
        let _ = tokio::task::spawn_blocking(move || place.close_to_others()).await;
        // The failure stays in the status, for readiness to show.
        let _ = spool.call(|_, _| Ok(())).await;
        spool
    }

    /// Keeps these bodies, in this order; one answer each.
    pub async fn append(&self, bodies: Vec<(DateTime<Utc>, Bytes)>) -> Vec<Result<(), SpoolError>> {
        let count = bodies.len();
        let max_bytes = self.place.max_bytes;
        let appended = self.call(move |file, waiting| {
            let mut room = max_bytes.saturating_sub(waiting.bytes);
            let fits = |(_, body): &(_, Bytes)| {
                let cost = ENTRY_BYTES + body.len() as u64;
                let fits = cost <= room;
                if fits {
                    room -= cost;
                }
                fits
            };
            let fits: Vec<bool> = bodies.iter().map(fits).collect();
            let kept = bodies.iter().zip(&fits).filter(|(_, fits)| **fits);
            let kept = kept.map(|((received_at, body), _)| (*received_at, &body[..]));
            *waiting = file.append(kept, *waiting)?;
            Ok(fits)
        });
        match appended.await {
            Ok(fits) => {
                // Room for a smaller body does not make it any less full.
                self.place.status().failure = fits.contains(&false).then_some(SpoolError::Full);
                fits.into_iter().map(|fits| if fits { Ok(()) } else { Err(SpoolError::Full) }).collect()
            }
            Err(error) => vec![Err(error); count],
        }
    }

    /// The oldest bodies of those after the entry `after` (0: of all): at most so many, and no more once they exceed so many
    /// bytes together.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn oldest(&self, after: i64, max_entries: usize, max_bytes: usize) -> Result<Vec<Entry>, SpoolError> {
        let oldest = move |file: &mut File, waiting: &mut Waiting| {
            let entries = file.oldest(after, max_entries, max_bytes)?;
            if after == 0 && entries.is_empty() {
                // Also when it was another process that has taken the last ones out.
                *waiting = Waiting::default();
            }
            Ok(entries)
        };
        self.call(oldest).await
    }

    /// Lets go of these bodies, which are stored elsewhere now.
    ///
    /// # Errors
    /// The file cannot be written; the bodies are still there.
    pub async fn remove(&self, entries: &[Entry]) -> Result<(), SpoolError> {
        let entries: Vec<_> = entries.iter().map(|entry| (entry.id, entry.body.len())).collect();
        let removed = self.call(move |file, waiting| {
            *waiting = file.remove(&entries, *waiting)?;
            Ok(())
        });
        removed.await?;
        self.place.status().failure = None;
        Ok(())
    }

    /// What waits now.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.place.status().waiting
    }

    /// How many bytes may wait.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.place.max_bytes
    }

    /// Whether a body could be appended now, as far as is known.
    ///
    /// # Errors
    /// It could not.
    pub fn check(&self) -> Result<(), SpoolError> {
        self.place.status().failure.clone().map_or(Ok(()), Err)
    }

    async fn call<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut File, &mut Waiting) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let place = Arc::clone(&self.place);
        let called = tokio::task::spawn_blocking(move || place.call(operation));
        called.await.unwrap_or_else(|_| Err(SpoolError::Unusable("it panicked".to_owned())))
    }
}

impl Place {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file if need be, mends it if it is damaged, and does something with it.
    fn call<T>(
        &self,
        operation: impl FnOnce(&mut File, &mut Waiting) -> Result<T, SpoolError>,
    ) -> Result<T, SpoolError> {
        let mut place = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.opened(place.take()).and_then(|(mut file, mut waiting)| {
            let outcome = operation(&mut file, &mut waiting)?;
            self.status().waiting = waiting;
            // After any failure the file is opened anew, and checked in full.
            *place = Some(file);
            Ok(outcome)
        });
        let mut status = self.status();
        match &outcome {
            Err(failure) => status.failure = Some(failure.clone()),
            // Only room ends a lack of it.
            Ok(_) if status.failure == Some(SpoolError::Full) => {}
            Ok(_) => status.failure = None,
        }
        drop(status);
        outcome
    }

    /// What an earlier version, or a copy, has left open to others. That it stays so is no reason to keep nothing.
    fn close_to_others(&self) {
        if self.directory.is_dir()
            && let Err(error) = private::tighten(&self.directory)
        {
            tracing::warn!(%error, "the spool's permissions cannot be changed; others may be able to read it");
        }
    }

    fn opened(&self, file: Option<File>) -> Result<(File, Waiting), SpoolError> {
        if let Some(file) = file {
            return Ok((file, self.status().waiting));
        }
        damage::finish(&self.directory)?;
        match File::open(&self.directory) {
            Err(SpoolError::Damaged(reason)) => {
                damage::set_aside(&self.directory, &reason)?;
                File::open(&self.directory)
            }
            opened => opened,
        }
    }
}

fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("spool")
}

/// What waits in the spool of a data directory, also while a service uses it. None when there is no spool.
///
/// # Errors
/// The file cannot be read.
pub fn inspect(data_dir: &Path) -> Result<Option<Waiting>, SpoolError> {
    file::inspect(&directory(data_dir))
}

/// Gives each body that waits, or lies in a damaged file that was set aside, the form that `rewrite` makes of it; an empty
/// one goes. `names` tells whether the bytes of a damaged file may hold what is to go. A dry run only counts. A service may
/// be using the spool.
///
/// # Errors
/// A file cannot be read or written. What was done is done, and doing it again does the rest.
pub fn rewrite(
    data_dir: &Path,
    rewrite: impl FnMut(&Entry) -> Bytes,
    names: impl Fn(&[u8]) -> bool,
    dry_run: bool,
) -> Result<Rewritten, SpoolError> {
    rewrite::bodies(&directory(data_dir), rewrite, names, dry_run)
}
