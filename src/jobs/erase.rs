//! Erasing a person: personal data that its subject wants gone (PIPL, GDPR, Meta's platform terms).
//!
//! First a keyed hash is written, by which nothing comes back; then everything is deleted, the spool first, as what waits
//! in it would otherwise wait on, and the state last, so that a rebuild that runs meanwhile cannot bring it back. Killed at
//! any moment, the same command again does the rest.

use std::path::Path;

use crate::dialect::webhook;
use crate::event::Person;
use crate::ids::PageId;
use crate::json::names;
use crate::spool::{self, Rewritten, SpoolError};
use crate::store::{Erased, Store, StoreError};

/// Why somebody is not erased, or not everywhere.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Events of the journal.
    pub events: Erased,
    /// Rows of each table of the state, and of `first_receipts`.
    pub tables: Vec<(&'static str, u64)>,
    /// Bodies in quarantine.
    pub quarantine: Erased,
    /// Bodies in the spool of this machine.
    pub spool: Rewritten,
    /// Months that somebody else has detached from the journal: they are not touched.
    pub foreign_months: Vec<String>,
}

/// Erases a person from the database and from the spool below `data_dir`; a dry run only counts. `progress` gets the tables
/// of the journal that are done, and how many there are.
///
/// # Errors
/// PostgreSQL is away, or the role may not; the spool cannot be written.
pub async fn erase(
    store: &Store,
    data_dir: &Path,
    person: Person,
    is_dry_run: bool,
    progress: impl Fn(u64, u64),
) -> Result<Report, EraseError> {
    let mut erasure = store.begin_erasure(person.clone(), is_dry_run).await?;
    let spool = rewrite_spool(data_dir, person.clone(), is_dry_run).await?;
    let months = erasure.months().await?;
    let mut events = Erased::default();
    for (done, month) in (0_u64..).zip(&months) {
        progress(done, months.len() as u64);
        let more: Erased = erasure.erase_month(month).await?;
        events += more;
    }
    let quarantine =
        erasure.rewrite_quarantine(|body, received_at| webhook::without(&person, body, received_at)).await?;
    let tables = erasure.erase_state().await?;
    Ok(Report { events, tables, quarantine, spool, foreign_months: erasure.foreign_months().await? })
}

/// What was erased of messages that were taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsentReport {
    /// Events of the journal that still said something.
    pub events: Erased,
    /// Messages of the state.
    pub messages: u64,
}

/// Erases what messages said that were taken back, of one page or of all; a dry run only counts.
///
/// # Errors
/// PostgreSQL is away, or the role may not.
pub async fn erase_unsent(
    store: &Store,
    page_id: Option<PageId>,
    is_dry_run: bool,
    progress: impl Fn(u64, u64),
) -> Result<UnsentReport, EraseError> {
    let mut erasure = store.begin_unsent_erasure(page_id, is_dry_run).await?;
    let months = erasure.months().await?;
    let mut events = Erased::default();
    for (done, month) in (0_u64..).zip(&months) {
        progress(done, months.len() as u64);
        let more: Erased = erasure.erase_month(month).await?;
        events += more;
    }
    Ok(UnsentReport { events, messages: erasure.erase_messages().await? })
}

async fn rewrite_spool(data_dir: &Path, person: Person, is_dry_run: bool) -> Result<Rewritten, SpoolError> {
    let data_dir = data_dir.to_owned();
    let rewritten = tokio::task::spawn_blocking(move || {
        let name = person.user_id.as_str();
        spool::rewrite(
            &data_dir,
            |entry| webhook::without(&person, &entry.body, entry.received_at),
            |bytes| names(bytes, name),
            is_dry_run,
        )
    });
    rewritten.await.unwrap_or_else(|_| Err(SpoolError::Unusable("it panicked".to_owned())))
}
