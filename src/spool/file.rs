//! The file: SQLite, one connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::data_dir::private;

/// What an entry takes beside its body, rounded up.
pub const ENTRY_BYTES: u64 = 64;

/// A file that held much and is empty gives its space back.
const SHRINK_BYTES: u64 = 16 << 20;

/// Bodies, and bytes of them, that are rewritten in a transaction.
const REWRITE_ENTRIES: usize = 500;
const REWRITE_BYTES: usize = 4 << 20;

/// Each waits [`BUSY_TIMEOUT`].
const EMPTYING_TRIES: usize = 5;

/// For somebody who looks into the file at the same moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the file.
pub const NAME: &str = "spool.sqlite";

/// Why the spool did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// As many bytes wait as may wait.
    #[error("the spool is full (spool.max_bytes)")]
    Full,
    /// The disk is full or broken, or the directory not ours to write.
    #[error("the spool cannot be used: {0}")]
    Unusable(String),
    /// The file is not what was written.
    #[error("the spool is damaged: {0}")]
    Damaged(String),
}

impl SpoolError {
    /// It in a word, for anyone: the error itself may name a path.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Unusable(_) => "unusable",
            Self::Damaged(_) => "damaged",
        }
    }
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => Self::Unusable(error.to_string()),
        }
    }
}

/// What waits in the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many bodies.
    pub entries: u64,
    /// Their bytes, [`ENTRY_BYTES`] for each included.
    pub bytes: u64,
    /// When the oldest of them was received.
    pub oldest: Option<DateTime<Utc>>,
}

impl Waiting {
    /// How long the oldest body has been waiting; zero when none waits.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> Duration {
        self.oldest.and_then(|oldest| (now - oldest).to_std().ok()).unwrap_or_default()
    }
}

/// One body that waits.
#[derive(Debug)]
pub struct Entry {
    /// Its place in the queue.
    pub id: i64,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// The body.
    pub body: Bytes,
    /// Whether it is, to the last bit, what was appended.
    pub is_intact: bool,
}

/// The open file.
#[derive(Debug)]
pub struct File {
    connection: Connection,
    path: PathBuf,
}

impl File {
    /// Opens the file, or makes it, and checks all of it.
    pub fn open(directory: &Path) -> Result<(Self, Waiting), SpoolError> {
        let path = directory.join(NAME);
        // SQLite gives the files that it makes beside this one the same permissions.
        let made = private::directory(directory).and_then(|()| private::file(&path));
        made.map_err(|error| SpoolError::Unusable(error.to_string()))?;
        let connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(
            "pragma journal_mode = wal;
             pragma synchronous = full;
             pragma journal_size_limit = 16777216;
             -- What has left is not to be read in the file any more.
             pragma secure_delete = on;
             create table if not exists entries (
                 id integer primary key autoincrement,
                 received_at integer not null,
                 body blob not null,
                 check_sum blob not null
             );",
        )?;
        let verdict: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(SpoolError::Damaged(verdict));
        }
        let waiting = waiting(&connection)?;
        let free_pages: u64 = connection.query_row("pragma freelist_count", [], |row| row.get(0))?;
        if waiting.entries == 0 && free_pages > 0 {
            // Versions before 0.2 left in them what they deleted.
            connection.execute_batch("vacuum")?;
        }
        Ok((Self { connection, path }, waiting))
    }

    /// Appends all, or nothing.
    pub fn append<'a>(
        &mut self,
        bodies: impl Iterator<Item = (DateTime<Utc>, &'a [u8])>,
        mut waiting: Waiting,
    ) -> Result<Waiting, SpoolError> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("insert into entries (received_at, body, check_sum) values (?, ?, ?)")?;
            for (received_at, body) in bodies {
                insert.execute(params![received_at.timestamp_micros(), body, check_sum(body)])?;
                waiting.entries += 1;
                waiting.bytes += ENTRY_BYTES + body.len() as u64;
                waiting.oldest.get_or_insert(received_at);
            }
        }
        transaction.commit()?;
        Ok(waiting)
    }

    /// The oldest entries of those after the one with the id `after`.
    pub fn oldest(&mut self, after: i64, max_entries: usize, max_bytes: usize) -> Result<Vec<Entry>, SpoolError> {
        let select = "select id, received_at, body, check_sum from entries where id > ? order by id";
        let mut select = self.connection.prepare_cached(select)?;
        let mut rows = select.query([after])?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < max_entries
            && bytes < max_bytes
            && let Some(row) = rows.next()?
        {
            let entry = entry(row)?;
            bytes += entry.body.len();
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Removes all, or nothing: entries with the lengths of their bodies.
    pub fn remove(&mut self, entries: &[(i64, usize)], mut waiting: Waiting) -> Result<Waiting, SpoolError> {
        let transaction = self.connection.transaction()?;
        {
            let mut delete = transaction.prepare_cached("delete from entries where id = ?")?;
            for (id, length) in entries {
                if delete.execute([id])? == 1 {
                    waiting.entries = waiting.entries.saturating_sub(1);
                    waiting.bytes = waiting.bytes.saturating_sub(ENTRY_BYTES + *length as u64);
                }
            }
        }
        transaction.commit()?;
        waiting.oldest = oldest(&self.connection)?;
        if waiting.entries == 0 {
            if std::fs::metadata(&self.path).is_ok_and(|file| file.len() > SHRINK_BYTES) {
                self.connection.execute_batch("vacuum")?;
            }
            self.empty_log()?;
        }
        Ok(waiting)
    }

    /// Brings all into the one file and empties the write-ahead log, which still has what was deleted. False if somebody
    /// else has the file open in the middle of something.
    fn empty_log(&self) -> Result<bool, SpoolError> {
        Ok(self.connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, i64>(0))? == 0)
    }

    /// Gives each body the form that `rewrite` makes of it, or removes it if that is empty, and tells how many that were.
    /// A dry run changes nothing.
    pub fn rewrite(&mut self, mut rewrite: impl FnMut(&Entry) -> Bytes, dry_run: bool) -> Result<u64, SpoolError> {
        let mut changed = 0;
        let mut after = 0;
        loop {
            let entries = self.oldest(after, REWRITE_ENTRIES, REWRITE_BYTES)?;
            let Some(last) = entries.last() else { break };
            after = last.id;
            let transaction = self.connection.transaction()?;
            for entry in &entries {
                let body = rewrite(entry);
                if body == entry.body {
                    continue;
                }
                changed += 1;
                if body.is_empty() {
                    transaction.execute("delete from entries where id = ?", [entry.id])?;
                } else {
                    let update = "update entries set body = ?, check_sum = ? where id = ?";
                    // What was damaged stays recognisable as such.
                    let sum = if entry.is_intact { check_sum(&body) } else { [0; 8] };
                    transaction.execute(update, params![&body[..], sum, entry.id])?;
                }
            }
            if dry_run { transaction.rollback()? } else { transaction.commit()? }
        }
        // A service may be in the middle of something.
        if !dry_run && !(0..EMPTYING_TRIES).any(|_| self.empty_log().unwrap_or(false)) {
            return Err(SpoolError::Unusable("its log is in use and cannot be emptied".to_owned()));
        }
        Ok(changed)
    }

    /// Hands over the bodies that can be read, from either end up to the damage between, so many at a time.
    pub fn readable(
        &self,
        batch: usize,
        mut take: impl FnMut(&[Entry]) -> Result<(), SpoolError>,
    ) -> Result<(), SpoolError> {
        let mut last = i64::MIN;
        for order in ["asc", "desc"] {
            let select =
                format!("select id, received_at, body, check_sum from entries where id > {last} order by id {order}");
            let Ok(mut select) = self.connection.prepare(&select) else { continue };
            let Ok(mut rows) = select.query([]) else { continue };
            let mut entries = Vec::new();
            while let Ok(Some(row)) = rows.next() {
                let Ok(entry) = entry(row) else { continue };
                if order == "asc" {
                    last = entry.id;
                }
                entries.push(entry);
                if entries.len() == batch {
                    take(&entries)?;
                    entries.clear();
                }
            }
            take(&entries)?;
        }
        Ok(())
    }

    /// Ends with everything in the one file.
    pub fn close(self) -> Result<(), SpoolError> {
        self.connection.close().map_err(|(_, error)| error.into())
    }

    /// Opens a damaged copy, whatever it holds.
    pub fn open_unchecked(directory: &Path) -> Result<Self, SpoolError> {
        let path = directory.join(NAME);
        Ok(Self { connection: Connection::open(&path)?, path })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (body, kept): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
    let received_at = DateTime::from_timestamp_micros(row.get(1)?).unwrap_or_default();
    Ok(Entry { id: row.get(0)?, received_at, is_intact: check_sum(&body) == kept[..], body: body.into() })
}

fn check_sum(body: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&Sha256::digest(body)[..8]);
    sum
}

/// Counts everything: for when a file is opened.
fn waiting(connection: &Connection) -> Result<Waiting, SpoolError> {
    let select = "select count(*), coalesce(sum(length(body)), 0) from entries";
    let (entries, body_bytes): (u64, u64) = connection.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Waiting { entries, bytes: body_bytes + entries * ENTRY_BYTES, oldest: oldest(connection)? })
}

fn oldest(connection: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let select = "select received_at from entries order by id limit 1";
    let oldest: Option<i64> = connection.prepare_cached(select)?.query_row([], |row| row.get(0)).optional()?;
    Ok(oldest.and_then(DateTime::from_timestamp_micros))
}

/// Looks into the file without changing it.
pub fn inspect(directory: &Path) -> Result<Option<Waiting>, SpoolError> {
    let path = directory.join(NAME);
    // Where nobody may look, nothing is known to be missing.
    if !path.try_exists().map_err(|error| SpoolError::Unusable(error.to_string()))? {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    waiting(&connection).map(Some)
}
