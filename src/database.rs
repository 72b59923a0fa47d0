//! The database, ours or another's: as a command opens it, and the private server of a service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{self, Config, ConfigError};
use crate::data_dir::{DataDir, DataDirError};
use crate::intake::Circuit;
use crate::outbound::client::Patience;
use crate::outbound::sobot::Sobot;
use crate::private_server;
use crate::store::{Store, StoreError};

/// A command has nobody waiting for its answer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// What a command waits for PostgreSQL to do.
pub const COMMAND_LIMIT: Duration = Duration::from_hours(1);

/// A private server that does not start is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);

/// The database as a command sees it.
#[derive(Debug)]
pub struct Database {
    pub store: Store,
    /// The private server, if this process runs it.
    pub server: Option<private_postgres::Server>,
    /// Kept as long as the private server runs on it.
    data_dir: Option<DataDir>,
}

impl Database {
    /// Starts the private server on a directory that is ours.
    async fn start(config: &Config, data_dir: DataDir) -> Result<Self> {
        let server = private_server::start(&config.storage.data_dir).await?;
        let store = Store::connect_lazily(&server.url(), config.database.max_connections, COMMAND_PATIENCE)?;
        Ok(Self { store, server: Some(server), data_dir: Some(data_dir) })
    }

    /// For a command: the configured database, or the private one, which a running service may have started.
    ///
    /// # Errors
    /// A bad URL; no server programs.
    pub async fn open_beside(config: &Config) -> Result<Self> {
        if let Some(store) = configured(config, COMMAND_PATIENCE)? {
            return Ok(Self { store, server: None, data_dir: None });
        }
        match DataDir::lock(&config.storage.data_dir) {
            Ok(data_dir) => Self::start(config, data_dir).await,
            Err(error @ DataDirError::InUse(_)) => {
                let url = private_server::options(&config.storage.data_dir).running().ok_or(error)?;
                let store = Store::connect_lazily(&url, config.database.max_connections, COMMAND_PATIENCE)?;
                Ok(Self { store, server: None, data_dir: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the connections, and the private server with them.
    pub async fn close(self) {
        self.store.close().await;
        if let Some(server) = self.server {
            server.stop().await;
        }
        drop(self.data_dir);
    }
}

/// The configured database, if one is.
///
/// # Errors
/// A bad URL.
pub fn configured(config: &Config, patience: Duration) -> Result<Option<Store>> {
    let config::Database { url, max_connections } = &config.database;
    if url.is_empty() {
        return Ok(None);
    }
    // The error would quote the URL.
    let store = Store::connect_lazily(url.expose(), *max_connections, patience)
        .map_err(|_| ConfigError("database.url (or DATABASE_URL) is no URL that PostgreSQL knows".to_owned()))?;
    Ok(Some(store))
}

/// Sobot's API, with the token that all processes on this database share.
///
/// # Errors
/// There are no credentials.
pub fn sobot(config: &Config, store: &Store) -> Result<Arc<Sobot>> {
    let shelf = Arc::new(store.shared_token(&config.sobot.appid));
    let sobot = Sobot::new(&config.sobot, Patience::default(), shelf);
    Ok(Arc::new(sobot.map_err(|error| ConfigError(error.to_string()))?))
}

/// The private server of a service that serves already: that it cannot start is PostgreSQL being away.
pub struct PrivateServer {
    task: JoinHandle<()>,
    release: oneshot::Sender<()>,
}

impl PrivateServer {
    /// Starts it, unless another database is configured or it is `running` already, and leads the store to it. The receiver
    /// learns when PostgreSQL may be reached.
    pub fn host(
        config: &Config,
        store: Store,
        circuit: Arc<Circuit>,
        running: Option<private_postgres::Server>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (reached, is_reachable) = oneshot::channel();
        let (release, mut released) = oneshot::channel();
        let is_wanted = config.database.url.is_empty() && running.is_none();
        let data_dir = config.storage.data_dir.clone();
        let task = tokio::spawn(async move {
            let started = async { if is_wanted { Some(start(&data_dir, &circuit).await) } else { running } };
            let server = tokio::select! {
                server = started => server,
                _ = &mut released => return,
            };
            if let Some(Err(error)) = server.as_ref().map(|server| store.lead_to(&server.url())) {
                tracing::error!(%error, "the private PostgreSQL has an address that cannot be used");
            }
            // Nobody waits for it while everything ends.
            let _ = reached.send(());
            let _ = released.await;
            if let Some(server) = server {
                server.stop().await;
            }
        });
        (Self { task, release }, is_reachable)
    }

    /// Ends the server, and waits for it.
    pub async fn stop(self) {
        drop(self.release);
        if self.task.await.is_err() {
            tracing::error!("the task of the private PostgreSQL panicked");
        }
    }
}

/// Tries until it has started.
async fn start(data_dir: &Path, circuit: &Circuit) -> private_postgres::Server {
    let mut complaint = String::new();
    loop {
        match private_server::start(data_dir).await {
            Ok(server) => return server,
            Err(error) => {
                if complaint != error.to_string() {
                    complaint = error.to_string();
                    tracing::error!(reason = complaint, "the private PostgreSQL does not start; trying again");
                }
                let advice = "the private PostgreSQL does not start; the log says why";
                circuit.open(&StoreError::Unusable(advice.to_owned()));
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
