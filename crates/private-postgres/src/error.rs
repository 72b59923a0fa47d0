//! Everything that can keep the private server from running.
//!
//! Whoever reads these messages has a program that does not start and perhaps never meant to run a PostgreSQL at all.
//! So each is one line and says what to do; a caller who offers other ways out appends them. Output of `initdb` and of
//! the server is quoted where it is the explanation; it cannot hold the text of a statement, because the server is told
//! to log none (see `launch.rs`).

use std::io;
use std::path::{Path, PathBuf};

/// Why the private PostgreSQL server could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No directory that was searched holds both `postgres` and `initdb` of a supported version.
    #[error(
        "found no PostgreSQL server programs: install them (Debian, Ubuntu: `apt-get install postgresql`; \
         Fedora, RHEL: `dnf install postgresql-server`; Alpine: `apk add postgresql`; \
         macOS: `brew install postgresql`)"
    )]
    NoPrograms,

    /// [`Options::bin_dir`](crate::Options::bin_dir) is not a directory with the server programs.
    #[error(
        "{dir} does not hold `postgres` and `initdb`: name the directory that does, or none to have the usual places \
         searched"
    )]
    BadBinDir {
        /// The directory that was named.
        dir: PathBuf,
    },

    /// Server programs exist, but none can open the cluster, whose format belongs to one major version.
    #[error(
        "the database in {cluster} was made by PostgreSQL {wanted}, and this machine has {found}: install the \
         server of version {wanted} (Debian, Ubuntu: `apt-get install postgresql-{wanted}`)"
    )]
    MissingMajor {
        /// The cluster's directory.
        cluster: PathBuf,
        /// The major version that made it.
        wanted: u32,
        /// The major versions at hand, such as `16, 17`, or `no server`.
        found: String,
    },

    /// The directory where the cluster belongs holds something else.
    #[error("{cluster} is there but is not a PostgreSQL database: move it away to start with an empty database")]
    NotACluster {
        /// The directory.
        cluster: PathBuf,
    },

    /// The caller runs as root, and there is no account for the server to run as.
    #[error(
        "PostgreSQL refuses to run as root and neither `postgres` nor `nobody` exists here: create one of these \
         accounts, or run this program as an ordinary user"
    )]
    NoAccount,

    /// A directory that must belong to the server's account belongs to another, or is no directory.
    #[error(
        "{path} is not a directory of the account `{account}`, which must run PostgreSQL there: run this program \
         as the user that owns it, or move it away"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Name of the server's account.
        account: String,
    },

    /// The server's account cannot enter a cluster's directory because of the directories above it.
    #[error(
        "the account `{account}`, which must run PostgreSQL, cannot enter {path}: let it pass with `chmod o+x` on the \
         directories above"
    )]
    Unreachable {
        /// The directory.
        path: PathBuf,
        /// Name of the server's account.
        account: String,
    },

    /// `data_dir/postgres` is a symbolic link that leads nowhere.
    #[error(
        "{link} leads to {target}, which is gone: bring that directory back, or remove the link to start with an \
         empty database"
    )]
    Dangling {
        /// The symbolic link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },

    /// An operation on a file or directory failed.
    #[error("could not {action} {path}: {source}; see to its permissions and to free space")]
    Io {
        /// A verb phrase without its object.
        action: &'static str,
        /// The object.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A PostgreSQL program could not be started at all.
    #[error("could not run {program} as `{account}`: {source}; see that this account may execute it")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Name of the account it was to run as.
        account: String,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A program that prepares the cluster gave up.
    #[error("{program} failed ({status}) while making the database, mend what it says and start again: {said}")]
    Program {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last lines it wrote, joined by ` | `.
        said: String,
    },

    /// The server ended before it accepted connections.
    #[error("PostgreSQL ended at once ({status}), mend what its log {log} says and start again: {said}")]
    Ended {
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The server's log.
        log: PathBuf,
        /// The last lines it logged, joined by ` | `.
        said: String,
    },

    /// The server runs but did not become ready in time.
    #[error("PostgreSQL was not ready after {waited_s} s, read its log {log} and start again: {said}")]
    NotReady {
        /// How long it was given, in seconds.
        waited_s: u64,
        /// The server's log.
        log: PathBuf,
        /// The last lines it logged, joined by ` | `.
        said: String,
    },

    /// A server that an earlier process left behind does not end.
    #[error(
        "an earlier PostgreSQL (pid {pid}) still uses {cluster} and does not stop: end it with `kill -QUIT {pid}` \
         and start again"
    )]
    OrphanStays {
        /// Its process id.
        pid: i32,
        /// The cluster it serves.
        cluster: PathBuf,
    },
}

impl Error {
    /// Names the operation and its object, for use in `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// The last lines of a program's output on one line, so that an error stays one line in a log.
pub(crate) fn last_lines(output: &[u8]) -> String {
    const LINES: usize = 5;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
}
