//! A private PostgreSQL server, for a service that was given no database.
//!
//! [`start`] finds the server's programs, makes a cluster below the data directory the first time, ends a server that
//! a killed service left behind, and runs a fresh one as a child process, restarted whenever it dies. [`Embedded`]
//! tells how to connect to it and ends it.
//!
//! Guarantees:
//!
//! * It listens on one Unix socket in a directory of mode 0700, on no network address.
//! * What was committed survives kill -9 of the service, of the server and of the machine.
//! * A cluster is made whole or not at all, and never deleted.
//! * Nothing of a message's text reaches its log.
//! * Run by root, the server has an unprivileged account and none of the service's environment.
//!
//! The caller makes sure that no other service uses the same data directory; there is no lock here.
//!
//! Reading order: `account` (who), `home` and `private_dir` (where), `binaries` (with what), `cluster` (made once),
//! `pid_file` (what is left over), `launch` (how it starts), `server` (one process), `supervisor` (again and again).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod account;
mod binaries;
mod cluster;
mod error;
mod home;
mod launch;
mod names;
mod pid_file;
mod private_dir;
mod server;
mod supervisor;

pub use error::PostgresError;

use account::Account;
use binaries::Binaries;
use home::Home;
use launch::Launch;
use names::{DATABASE, PORT, SUPERUSER};
use pid_file::PidFile;

/// A running private server.
///
/// Dropping it ends the server without waiting, as long as the runtime it was started on lives, and so does dropping
/// the runtime. Only [`Embedded::stop`] waits for the end.
#[derive(Debug)]
pub struct Embedded {
    socket_dir: PathBuf,
    psql: Option<PathBuf>,
    log: PathBuf,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
}

/// Runs the private server of `data_dir` and returns when it accepts connections.
///
/// `data_dir` is created if missing; its mode stays what it is. A first start takes a few seconds, later ones a
/// fraction of one, and one after a crash as long as the recovery takes, at most 5 minutes.
///
/// Must be called on a tokio runtime with time and I/O enabled. Dropping the future ends what it has started.
///
/// # Errors
///
/// [`PostgresError`], each of whose messages says in one line what to do.
pub async fn start(data_dir: &Path) -> Result<Embedded, PostgresError> {
    fs::create_dir_all(data_dir).map_err(PostgresError::io("create", data_dir))?;
    let data_dir = fs::canonicalize(data_dir).map_err(PostgresError::io("find", data_dir))?;
    let account = Account::choose(&home::entry(&data_dir).join("cluster"))?;
    let home = Home::place(&data_dir, &account).await?;

    let cluster = home.cluster();
    let made_by = cluster::major(&cluster)?;
    let binaries = Binaries::find(made_by.map(|major| (cluster.as_path(), major)))?;
    cluster::remove_unfinished(&home)?;
    if made_by.is_none() {
        cluster::create(&home, &account, &binaries).await?;
    }
    pid_file::clear(&cluster).await?;

    let socket_dir = home.socket_dir.clone();
    let psql = binaries.psql.clone();
    let version = binaries.major;
    let launch = Launch::prepare(home, account, binaries).await;
    let server = launch.start().await?;
    tracing::info!(
        pid = server.pid(),
        version,
        socket = %socket_dir.display(),
        "the private database server accepts connections"
    );
    let log = launch.log();
    let (stop, stopping) = oneshot::channel();
    let supervisor = tokio::spawn(supervisor::supervise(launch, server, stopping));
    Ok(Embedded { socket_dir, psql, log, stop, supervisor })
}

/// The URL of the server that runs on `data_dir` now, for a command that works beside a running service.
///
/// `None` if no server runs, and also if the caller may not look: it must be root or the server's account.
#[must_use]
pub fn running(data_dir: &Path) -> Option<String> {
    let data_dir = fs::canonicalize(data_dir).ok()?;
    let cluster = fs::canonicalize(home::entry(&data_dir).join("cluster")).ok()?;
    let file = PidFile::of_running(&cluster)?;
    Some(url(&file.socket_dir?, file.port?))
}

impl Embedded {
    /// A URL that libpq and sqlx take, such as `postgres://sobot_hook@localhost/sobot_hook?host=/d/socket&port=5432`.
    ///
    /// The host name is a placeholder, which the socket's directory overrides.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.socket_dir, PORT)
    }

    /// A command that opens an SQL prompt, ready to be pasted into a shell of root or of the server's account.
    #[must_use]
    pub fn psql_command(&self) -> String {
        let psql = self.psql.as_deref().unwrap_or(Path::new("psql"));
        format!("{} -h {} -p {PORT} -U {SUPERUSER} -d {DATABASE}", quoted(psql), quoted(&self.socket_dir))
    }

    /// The file that the server logs to. It holds no message text.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Ends the server and waits for it: up to 30 s for a fast shutdown, which rolls open transactions back and leaves
    /// nothing to recover, then up to 10 s for an immediate one, after which it is killed.
    pub async fn stop(self) {
        // The supervisor ends only after this, or when it panicked, which has ended the server as well.
        let _ = self.stop.send(());
        if let Err(error) = self.supervisor.await {
            tracing::error!(error = %error, "the database's supervisor failed");
        }
        if home::in_tmp(&self.socket_dir) {
            // It is made anew by every start, and otherwise nobody would ever clean it away.
            let _ = fs::remove_dir(&self.socket_dir);
        }
    }
}

/// Everything but unreserved characters and the slash is escaped; a slash may stand in a query as it is.
fn url(socket_dir: &Path, port: u16) -> String {
    let mut url = format!("postgres://{SUPERUSER}@localhost/{DATABASE}?host=");
    // The path was chosen, or written by the server, as UTF-8.
    for byte in socket_dir.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    let _ = write!(url, "&port={port}");
    url
}

/// A path as one word of a shell command, in quotes only where it needs them.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+:".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        path.into_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_escapes_what_a_query_or_a_form_would_read_otherwise() {
        assert_eq!(
            url(Path::new("/a b/c&d+é%/socket"), 5432),
            "postgres://sobot_hook@localhost/sobot_hook?host=/a%20b/c%26d%2B%C3%A9%25/socket&port=5432"
        );
    }

    #[test]
    fn a_path_is_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("/usr/bin/psql")), "/usr/bin/psql");
        assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
