//! Files and directories that are their owner's alone: they hold tokens and texts.
//!
//! What is new has its permissions from its first moment, because it is made with them. The umask can only take some
//! away, and those are put back.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// Makes a directory, or takes the one that is there.
///
/// # Errors
/// It cannot be made.
pub fn directory(path: &Path) -> Result<()> {
    directory_of(path, DIRECTORY)
}

/// The same, with other permissions for one that is made; and for those above it.
pub(super) fn directory_of(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        directory_of(parent, mode)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode)),
        // Somebody else has just made it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        failed => failed,
    }
}

/// Opens a file to append to it, or makes it.
///
/// # Errors
/// It cannot be opened.
pub fn file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(FILE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o7777 == FILE {
        return Ok(file);
    }
    match file.set_permissions(Permissions::from_mode(FILE)) {
        // One that another owns, and that may be written all the same.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(file),
        set => set.map(|()| file),
    }
}

/// Takes everybody else's rights to a directory and to all that is in it. Symbolic links are not followed, beyond the
/// directory itself.
///
/// # Errors
/// Something in it is another's to change.
pub fn tighten(path: &Path) -> Result<()> {
    set_mode(path, DIRECTORY)?;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let tightened = if kind.is_dir() {
            tighten(&entry.path())
        } else if kind.is_file() {
            set_mode(&entry.path(), FILE)
        } else {
            Ok(())
        };
        match tightened {
            // SQLite has removed it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            tightened => tightened?,
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    if path.metadata()?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_exists_is_tightened_and_what_a_link_leads_to_is_left() {
        let place = tempfile::tempdir().unwrap();
        let [elsewhere, spool] = ["elsewhere", "spool"].map(|name| place.path().join(name));
        std::fs::write(&elsewhere, "").unwrap();
        std::fs::create_dir_all(spool.join("damaged")).unwrap();
        for name in ["file", "damaged/file"] {
            std::fs::write(spool.join(name), "").unwrap();
        }
        for open in [&elsewhere, &spool, &spool.join("damaged"), &spool.join("file"), &spool.join("damaged/file")] {
            std::fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, spool.join("link")).unwrap();
        tighten(&spool).unwrap();
        let modes = ["", "damaged", "file", "damaged/file"].map(|name| mode(&spool.join(name)));
        assert_eq!((modes, mode(&elsewhere)), ([0o700, 0o700, 0o600, 0o600], 0o777));
    }

    #[test]
    fn a_directory_is_made_with_those_above_it_and_one_that_exists_is_left() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        directory_of(&place.path().join("a/b"), 0o711).unwrap();
        let modes = ["", "a", "a/b"].map(|name| mode(&place.path().join(name)));
        assert_eq!(modes, [0o755, 0o711, 0o711]);
        assert!(directory(&place.path().join("a/b")).is_ok());
        file(&place.path().join("a/file")).unwrap();
        assert!(directory(&place.path().join("a/file")).is_err());
        assert!(directory(&place.path().join("a/file/b")).is_err());
    }
}
