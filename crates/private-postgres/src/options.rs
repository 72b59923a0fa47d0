//! What a caller chooses, and the way from there to a running server.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use nix::unistd::geteuid;

use crate::account::Account;
use crate::address::{Address, PORT};
use crate::binaries::Binaries;
use crate::cluster;
use crate::error::Error;
use crate::home::{self, Home};
use crate::launch::Launch;
use crate::pid_file::{self, PidFile};
use crate::server::Server;

/// Which server to run, and where.
///
/// ```
/// use private_postgres::Options;
///
/// let options = Options {
///     application: "shop".to_owned(),
///     user: "shop".to_owned(),
///     database: "shop".to_owned(),
///     ..Options::new("data")
/// };
/// assert_eq!(options.running(), None);
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory that the server's own, `postgres`, is made in; created if missing. One server a data directory.
    pub data_dir: PathBuf,
    /// The caller's name, of letters, digits, `-` and `_`, for what cannot lie in the data directory:
    /// `/var/lib/<application>/` and `/tmp/<application>-…`. Default: `private-postgres`.
    pub application: String,
    /// The role that owns everything; trusted, because only the server's account and root reach the socket. A database
    /// that exists keeps the role it was made with. Default: `postgres`.
    pub user: String,
    /// The database that is made together with the role, and kept like it. Default: `postgres`.
    pub database: String,
    /// Where to look first for `postgres` and `initdb`; it must hold them. `None`: `PATH`, then the usual places.
    pub bin_dir: Option<PathBuf>,
    /// Settings of the server, as in `postgresql.conf`. The ones that carry a guarantee stay what they are.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A server of this data directory, with the programs that are found and PostgreSQL's own settings.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            application: "private-postgres".to_owned(),
            user: "postgres".to_owned(),
            database: "postgres".to_owned(),
            bin_dir: None,
            settings: Vec::new(),
        }
    }

    /// Runs the server and returns when it accepts connections.
    ///
    /// A first start takes a few seconds, later ones a fraction of one, and one after a crash as long as the recovery
    /// takes, at most 5 minutes. A server that a killed process left on the directory is stopped first.
    ///
    /// Must be called on a tokio runtime with time and I/O enabled. Dropping the future ends what it has started.
    ///
    /// # Errors
    ///
    /// [`Error`], each of whose messages says in one line what to do.
    pub async fn start(&self) -> Result<Server, Error> {
        // As tight as it can be: the account that root runs the server as passes through.
        let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(mode).create(&self.data_dir).map_err(Error::io("create", &self.data_dir))?;
        let data_dir = fs::canonicalize(&self.data_dir).map_err(Error::io("find", &self.data_dir))?;
        let account = Account::choose(&home::entry(&data_dir).join("cluster"))?;
        let home = Home::place(&data_dir, &account, &self.application).await?;

        let cluster = home.cluster();
        let made_by = cluster::major(&cluster)?;
        let made_by = made_by.map(|major| (cluster.as_path(), major));
        let binaries = Binaries::find(self.bin_dir.as_deref(), made_by)?;
        cluster::remove_unfinished(&home)?;
        if made_by.is_none() {
            cluster::create(&home, &account, &binaries, &self.user, &self.database).await?;
        }
        pid_file::clear(&cluster).await?;

        let launch = Launch::prepare(home.clone(), account, binaries.clone(), self.settings.clone()).await;
        let process = launch.start().await?;
        let address = self.address(home.socket_dir.clone(), PORT);
        Ok(Server::supervise(launch, process, address, home, binaries))
    }

    /// The URL of the server that runs on the data directory now, for a program that works beside the one that runs it.
    ///
    /// `None` if no server runs, and also if the caller may not look: it must be root or the server's account.
    #[must_use]
    pub fn running(&self) -> Option<String> {
        let data_dir = fs::canonicalize(&self.data_dir).ok()?;
        let cluster = fs::canonicalize(home::entry(&data_dir).join("cluster")).ok()?;
        let file = PidFile::of_running(&cluster)?;
        Some(self.address(file.socket_dir?, file.port?).url(&self.database))
    }

    fn address(&self, socket_dir: PathBuf, port: u16) -> Address {
        Address { socket_dir, port, user: self.user.clone(), database: self.database.clone() }
    }
}
