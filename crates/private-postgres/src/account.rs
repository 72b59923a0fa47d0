//! The account that the server runs as.
//!
//! PostgreSQL refuses to run as root. A program run by an ordinary user lends the server its own account; one
//! run by root picks an unprivileged one and gives up the user, the group and every supplementary group for it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User, getegid, geteuid};
use tokio::process::Command;

use crate::error::Error;

/// Accounts that root may run the server as, best first. Distribution packages of the server create the first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Variables that the server's programs need from the caller's environment. All others stay behind: they may hold
/// the caller's secrets, and a process of another user has no business with those.
const INHERITED: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// Who runs the server and owns its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The account's name, or its number where it has none.
    pub name: String,
    /// Numeric user id, never 0.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
    /// Whether the caller is root and has to become this account for every program it starts.
    pub dropped_to: bool,
}

impl Account {
    /// The caller's own account, or, for root, the one that owns `cluster` if it exists, else the best candidate.
    ///
    /// Root follows the cluster's owner so that data made by an ordinary user, or before a `postgres` account
    /// existed, stays usable without changing the owner of thousands of files.
    pub fn choose(cluster: &Path) -> Result<Self, Error> {
        let me = geteuid();
        if !me.is_root() {
            return Ok(Self::of(me, getegid().as_raw(), false));
        }
        if let Ok(metadata) = cluster.metadata()
            && metadata.uid() != 0
        {
            return Ok(Self::of(Uid::from_raw(metadata.uid()), metadata.gid(), true));
        }
        CANDIDATES
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .filter(|user| !user.uid.is_root())
            .map(|user| Self::of(user.uid, user.gid.as_raw(), true))
            .ok_or(Error::NoAccount)
    }

    /// An account that may have no entry in the user database, as is usual in containers.
    fn of(uid: Uid, gid: u32, dropped_to: bool) -> Self {
        let name = match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            Ok(None) | Err(_) => uid.to_string(),
        };
        Self { name, uid: uid.as_raw(), gid, dropped_to }
    }

    /// A command that runs as this account in `directory`, which it must be able to enter.
    ///
    /// Messages come in English, which the errors of this module quote, and times in UTC.
    pub fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.dropped_to {
            // The standard library clears the supplementary groups when root sets a user id.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}
