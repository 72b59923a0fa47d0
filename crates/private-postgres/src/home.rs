//! Where the private server keeps its things.
//!
//! ```text
//! <home>/cluster      the database itself, made whole or not at all
//! <home>/server.log   what the server says
//! <home>/socket/      the one Unix socket it listens on
//! ```
//!
//! `<data_dir>/postgres` always leads to the home. It is the home, unless the caller is root and the server's account
//! cannot enter there (a clone below `/root`, say); then it is a symbolic link to `/var/lib/<application>/<id>`,
//! where `<id>` is 16 hexadecimal digits of the SHA-256 of the data directory's absolute path.
//!
//! The kernel limits a socket's path to 107 bytes (103 on macOS and BSD). Where the home's own path is too long, or
//! has a character that would need escaping, the socket lies in `/tmp/<application>-<id>` instead.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::address::PORT;
use crate::error::Error;
use crate::private_dir;

/// Below it, in a directory of the application's: homes that could not be in their data directory.
const OUTSIDE: &str = "/var/lib";

/// The account passes through to its own directory; what else lies there is nobody else's business to list.
const PASSABLE: u32 = 0o711;

/// `sun_path` has 108 bytes on Linux, 104 on macOS and BSD, and the last one is a zero.
const SOCKET_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The directories of one private server, in place and owned by its account.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// Absolute, free of symbolic links.
    pub dir: PathBuf,
    /// Absolute, short enough for a socket in it.
    pub socket_dir: PathBuf,
}

impl Home {
    /// Finds or makes the home that belongs to `data_dir`, an absolute path.
    pub async fn place(data_dir: &Path, account: &Account, application: &str) -> Result<Self, Error> {
        let dir = place_dir(data_dir, account, application).await?;
        let socket_dir = socket_dir(&dir, application, &id(data_dir));
        private_dir::ensure(&socket_dir, account)?;
        Ok(Self { dir, socket_dir })
    }

    /// The directory that `initdb` makes and `postgres -D` takes.
    pub fn cluster(&self) -> PathBuf {
        self.dir.join("cluster")
    }

    /// What the server says, in every one of its runs.
    pub fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Whether the socket's directory is not part of the home.
    pub fn socket_is_outside(&self) -> bool {
        !self.socket_dir.starts_with(&self.dir)
    }
}

/// What leads to the home, whether or not anything is there yet.
pub(crate) fn entry(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// Puts the home where the account can enter it and returns the path without symbolic links.
async fn place_dir(data_dir: &Path, account: &Account, application: &str) -> Result<PathBuf, Error> {
    let entry = entry(data_dir);
    if entry.is_symlink() {
        let target = fs::read_link(&entry).map_err(Error::io("read", &entry))?;
        let home = fs::canonicalize(&entry).map_err(|_gone| Error::Dangling { link: entry.clone(), target })?;
        private_dir::ensure(&home, account)?;
        return reachable(home, account).await;
    }

    private_dir::ensure(&entry, account)?;
    let unreachable = match reachable(entry.clone(), account).await {
        Err(error @ Error::Unreachable { .. }) => error,
        placed => return placed,
    };
    // Removing succeeds only while the directory is empty, so a home with data in it is never given up.
    if fs::remove_dir(&entry).is_err() {
        return Err(unreachable);
    }
    let home = outside(data_dir, account, application)?;
    symlink(&home, &entry).map_err(Error::io("create the link", &entry))?;
    tracing::info!(
        account = account.name,
        home = %home.display(),
        link = %entry.display(),
        "the database lies outside the data directory, which the server's account cannot enter"
    );
    reachable(home, account).await
}

/// Makes the home for a data directory that the server's account cannot enter.
fn outside(data_dir: &Path, account: &Account, application: &str) -> Result<PathBuf, Error> {
    let parent = &Path::new(OUTSIDE).join(application);
    DirBuilder::new().recursive(true).mode(PASSABLE).create(parent).map_err(Error::io("create", parent))?;
    // Explicitly, because a caller with a strict umask would have made it impassable.
    fs::set_permissions(parent, Permissions::from_mode(PASSABLE)).map_err(Error::io("change the mode of", parent))?;
    let home = parent.join(id(data_dir));
    private_dir::ensure(&home, account)?;
    Ok(home)
}

/// Passes `directory` on if the account can enter it.
///
/// The kernel is asked, through a shell run as that account, because mode bits are not the whole truth: access
/// control lists, mount options and security modules have their say too.
async fn reachable(directory: PathBuf, account: &Account) -> Result<PathBuf, Error> {
    if !account.dropped_to {
        return Ok(directory);
    }
    let shell = Path::new("/bin/sh");
    let entered = account
        .command(shell, Path::new("/"))
        .args(["-c", r#"cd "$1""#, "sh"])
        .arg(&directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .map_err(|source| Error::Spawn { program: shell.to_path_buf(), account: account.name.clone(), source })?;
    if entered.success() {
        Ok(directory)
    } else {
        Err(Error::Unreachable { path: directory, account: account.name.clone() })
    }
}

/// 16 hexadecimal digits that stand for a data directory: 64 bits, so that no two on a machine share them.
fn id(data_dir: &Path) -> String {
    hex::encode(&Sha256::digest(data_dir.as_os_str().as_bytes())[..8])
}

/// The home's own socket directory, or one in `/tmp` where the path is too long or has a character that the server's
/// settings, its pid file or a URL would need escaped in three different ways.
fn socket_dir(home: &Path, application: &str, id: &str) -> PathBuf {
    let own = home.join("socket");
    let bytes = own.join(format!(".s.PGSQL.{PORT}")).as_os_str().len();
    let plain =
        own.to_str().is_some_and(|path| !path.contains(|c: char| c.is_control() || matches!(c, ',' | '"' | '\\')));
    if bytes <= SOCKET_PATH_BYTES && plain { own } else { PathBuf::from(format!("/tmp/{application}-{id}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_moves_to_tmp_exactly_when_its_path_is_too_long() {
        let tail = "/socket/.s.PGSQL.5432".len();
        let longest = format!("/{}", "d".repeat(SOCKET_PATH_BYTES - tail - 1));
        assert_eq!(socket_dir(Path::new(&longest), "shop", "0123456789abcdef"), Path::new(&longest).join("socket"));
        assert_eq!(
            socket_dir(Path::new(&format!("{longest}d")), "shop", "0123456789abcdef"),
            Path::new("/tmp/shop-0123456789abcdef")
        );
    }

    #[test]
    fn the_id_is_the_start_of_the_path_s_sha256() {
        // `printf %s /srv/data | sha256sum`
        assert_eq!(id(Path::new("/srv/data")), "96b53e47e3fc7c29");
    }
}
