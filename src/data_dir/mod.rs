//! The directory that a service keeps its files in, and the lock by which no two use the same one.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

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
    /// Makes the directory if it is missing and locks it.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |error| DataDirError::Unusable(path.to_owned(), error);
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = File::options().create(true).append(true).open(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}
