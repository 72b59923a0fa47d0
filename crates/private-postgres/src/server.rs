//! A running server, as its owner holds it.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::binaries::Binaries;
use crate::home::Home;
use crate::launch::Launch;
use crate::process::Process;
use crate::supervisor;

/// A running private server, restarted whenever it ends unasked.
///
/// Dropping it ends the server without waiting, as long as the runtime it was started on lives, and so does dropping
/// the runtime. Only [`Server::stop`] waits for the end.
#[derive(Debug)]
pub struct Server {
    address: Address,
    home: Home,
    binaries: Binaries,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
}

impl Server {
    /// Takes charge of a process that accepts connections.
    pub(crate) fn supervise(
        launch: Launch,
        process: Process,
        address: Address,
        home: Home,
        binaries: Binaries,
    ) -> Self {
        tracing::info!(
            pid = process.pid(),
            version = binaries.major,
            socket = %home.socket_dir.display(),
            "the private database server accepts connections"
        );
        let (stop, stopping) = oneshot::channel();
        let supervisor = tokio::spawn(supervisor::supervise(launch, process, stopping));
        Self { address, home, binaries, stop, supervisor }
    }

    /// A URL that libpq and sqlx take, such as `postgres://postgres@localhost/postgres?host=/d/socket&port=5432`.
    ///
    /// The host name is a placeholder, which the socket's directory overrides.
    #[must_use]
    pub fn url(&self) -> String {
        self.address.url(&self.address.database)
    }

    /// The same for another database of the server, whether or not it exists yet.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        self.address.url(database)
    }

    /// The environment that lets a child process find the database: `DATABASE_URL`, and `PGHOST`, `PGPORT`, `PGUSER`
    /// and `PGDATABASE` for `psql` and whatever else is built on libpq.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 5] {
        self.address.environment()
    }

    /// A command that opens an SQL prompt, ready to be pasted into a shell of root or of the server's account.
    #[must_use]
    pub fn psql_command(&self) -> String {
        self.address.psql_command(self.binaries.psql.as_deref().unwrap_or(Path::new("psql")))
    }

    /// The directory of the server's programs. Most distributions have `psql` and `pg_dump` of its version there, too.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.dir
    }

    /// The file that the server logs to. It holds no text of a statement and no value.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.home.log()
    }

    /// Ends the server and waits for it: up to 30 s for a fast shutdown, which rolls open transactions back and leaves
    /// nothing to recover, then up to 10 s for an immediate one, after which it is killed.
    pub async fn stop(self) {
        // The supervisor ends only after this, or when it panicked, which has ended the server as well.
        let _ = self.stop.send(());
        if let Err(error) = self.supervisor.await {
            tracing::error!(error = %error, "the database's supervisor failed");
        }
        if self.home.socket_is_outside() {
            // It is made anew by every start, and otherwise nobody would ever clean it away.
            let _ = fs::remove_dir(&self.home.socket_dir);
        }
    }
}
