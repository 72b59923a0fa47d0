//! Directories that only the server's account may enter.
//!
//! One of them can lie in `/tmp`, where anybody may have put something under the name that is wanted, and root works
//! in directories that an unprivileged account controls. So nothing here follows a symbolic link: the directory is
//! opened once, and owner and mode are read and changed through that handle.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use crate::account::Account;
use crate::error::Error;

/// Enter, list and create for the owner, nothing for anybody else.
const PRIVATE: u32 = 0o700;

/// Makes `path` a directory of `account` with mode 0700. Its parent must exist.
///
/// An existing one is taken over only when it already belongs to the account, or when it belongs to the caller
/// itself and is empty, which is what a caller that was killed between creating and handing over leaves behind.
///
/// # Errors
///
/// [`Error::Foreign`] for anything else that has this name, [`Error::Io`] otherwise.
pub(crate) fn ensure(path: &Path, account: &Account) -> Result<(), Error> {
    let foreign = || Error::Foreign { path: path.to_path_buf(), account: account.name.clone() };
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", path)(error));
        }
        Ok(()) | Err(_) => {}
    }

    let metadata = path.symlink_metadata().map_err(Error::io("look at", path))?;
    if !metadata.is_dir() || ![account.uid, geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(foreign());
    }

    let directory = open(path).map_err(Error::io("open", path))?;
    let metadata = directory.metadata().map_err(Error::io("look at", path))?;
    if metadata.uid() != account.uid {
        let empty = path.read_dir().map_err(Error::io("list", path))?.next().is_none();
        if metadata.uid() != geteuid().as_raw() || !empty {
            return Err(foreign());
        }
        fchown(&directory, Some(account.uid), Some(account.gid)).map_err(Error::io("change the owner of", path))?;
    }
    if metadata.mode() & 0o7777 != PRIVATE {
        directory.set_permissions(Permissions::from_mode(PRIVATE)).map_err(Error::io("change the mode of", path))?;
    }
    Ok(())
}

/// Makes the entries of a directory durable: a rename is in place after a power cut only once this has returned.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    open(path).and_then(|directory| directory.sync_all()).map_err(Error::io("write to disk", path))
}

/// A handle on a directory that is not a symbolic link.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits()).open(path)
}
