//! The directory that a service keeps its files in, the lock by which no two use the same one, and who may look into it.

pub mod private;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// A directory of ours that others can neither enter nor list.
const CLOSED: u32 = 0o700;

/// The same for a service run by root: the private server, which has another account, passes through it to its own.
const PASSABLE: u32 = 0o711;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error("another sobot-hook is running on {0}; stop it, or set storage.data_dir to another directory")]
    InUse(PathBuf),
    /// It cannot be made or written.
    #[error("cannot use {0} (storage.data_dir): {1}")]
    Unusable(PathBuf, std::io::Error),
}

/// A directory that is ours as long as this lives, or the process does: the system releases the lock
/// of a killed one.
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing and locks it. One that exists keeps its permissions: it is its owner's affair
    /// who may list it, and all that is in it is closed to others.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |error| DataDirError::Unusable(path.to_owned(), error);
        let mode = if geteuid().is_root() { PASSABLE } else { CLOSED };
        private::directory_of(path, mode).map_err(unusable)?;
        let lock = private::file(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}
