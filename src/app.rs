//! Builds the service in order, and takes it down in reverse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Config, ConfigError};
use crate::data_dir::{DataDir, DataDirError};
use crate::http::{self, Hook, Limits};
use crate::intake::Intake;
use crate::private_server;
use crate::spool::Spool;
use crate::store::{CONNECT_TIMEOUT, MigrationError, Store, StoreError};
use crate::upkeep;

/// A command has nobody waiting for its answer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// Metrics are asked for by a scraper or two.
const ADMIN_CONNECTIONS: usize = 16;

/// The database, ours or another's.
#[derive(Debug)]
pub struct Database {
    /// The way to it.
    pub store: Store,
    /// The private server, if this process runs it.
    pub server: Option<private_postgres::Server>,
    /// Kept as long as the private server runs on it.
    data_dir: Option<Arc<DataDir>>,
}

impl Database {
    /// Connects to the configured database, or starts the private one on a directory that is ours.
    ///
    /// # Errors
    /// A bad URL; no server programs.
    async fn open(config: &Config, data_dir: Arc<DataDir>, patience: Duration) -> Result<Self> {
        if let Some(store) = Self::configured(config, patience)? {
            return Ok(Self { store, server: None, data_dir: None });
        }
        let server = private_server::start(&config.storage.data_dir).await?;
        let store = Store::connect_lazily(&server.url(), config.database.max_connections, patience)?;
        Ok(Self { store, server: Some(server), data_dir: Some(data_dir) })
    }

    /// For a command: the configured database, or the private one, which a running service may have started.
    ///
    /// # Errors
    /// A bad URL; no server programs.
    pub async fn open_beside(config: &Config) -> Result<Self> {
        if let Some(store) = Self::configured(config, COMMAND_PATIENCE)? {
            return Ok(Self { store, server: None, data_dir: None });
        }
        match DataDir::lock(&config.storage.data_dir) {
            Ok(data_dir) => Self::open(config, Arc::new(data_dir), COMMAND_PATIENCE).await,
            Err(error @ DataDirError::InUse(_)) => {
                let url = private_server::options(&config.storage.data_dir).running().ok_or(error)?;
                let store = Store::connect_lazily(&url, config.database.max_connections, COMMAND_PATIENCE)?;
                Ok(Self { store, server: None, data_dir: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn configured(config: &Config, patience: Duration) -> Result<Option<Store>> {
        let connect = |url| Store::connect_lazily(url, config.database.max_connections, patience);
        let store = config.database.url().map(connect).transpose();
        // The error would quote the URL.
        store.map_err(|_| {
            ConfigError("database.url (or DATABASE_URL) is no URL that PostgreSQL knows".to_owned()).into()
        })
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

/// The service, listening but not yet serving.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub database: Database,
    spool: Spool,
    is_away: Option<StoreError>,
    config: Config,
    _data_dir: Arc<DataDir>,
    public: TcpListener,
    admin: TcpListener,
    metrics: PrometheusHandle,
}

impl App {
    /// Takes the ports and the data directory, opens spool and database, and brings the schema up to date. An
    /// absent PostgreSQL is no error: the spool takes what comes, and the schema follows.
    ///
    /// # Errors
    /// A port is taken; another service has the directory; the database cannot be opened; a migration fails.
    pub async fn start(config: Config, metrics: PrometheusHandle) -> Result<Self> {
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let public = listen("http.listen", config.http.listen).await?;
        let admin = listen("admin.listen", config.admin.listen).await?;
        let data_dir = Arc::new(DataDir::lock(&config.storage.data_dir)?);
        let spool = Spool::open(&config.storage.data_dir, config.spool.max_bytes).await;
        if let Err(error) = spool.check() {
            tracing::error!(%error, "while PostgreSQL is away, requests will be refused");
        }
        let database = Database::open(&config, Arc::clone(&data_dir), CONNECT_TIMEOUT).await?;
        let is_away = match database.store.migrate().await {
            Ok(()) => None,
            Err(MigrationError::Away(reason)) => Some(StoreError::Away(reason)),
            Err(error) => {
                database.close().await;
                return Err(error.into());
            }
        };
        Ok(Self { database, spool, is_away, config, _data_dir: data_dir, public, admin, metrics })
    }

    /// The public listener's address.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.public.local_addr()?)
    }

    /// Serves until `stop` resolves; then answers what has been asked, writes what has been accepted, and
    /// ends everything.
    ///
    /// # Errors
    /// None while serving; every failure is answered where it happens.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<()> {
        let Self { database, spool, is_away, config, _data_dir, public, admin, metrics } = self;
        let intake = Arc::new(Intake::start(&database.store, &spool, is_away.as_ref()));
        let limits = http::limits(&config);
        let request_timeout = config.http.request_timeout();
        let hook = Arc::new(Hook {
            intake: Arc::clone(&intake),
            store: database.store.clone(),
            spool: spool.clone(),
            body_limit_bytes: config.http.body_limit_bytes,
            request_timeout,
            webhook: config.webhook,
        });
        let upkeep = tokio::spawn(upkeep::run(database.store.clone(), config.retention.events_months));
        let (stopped, stopping) = watch::channel(false);
        let until_stopped = |mut stopping: watch::Receiver<bool>| async move {
            // The sender lives until the service has ended.
            let _ = stopping.wait_for(|stopped| *stopped).await;
        };
        let admin_limits = Limits { max_connections: ADMIN_CONNECTIONS, ..limits };
        let admin_routes = http::admin_router(metrics, Arc::clone(&intake), spool);
        tracing::info!(webhook = %public.local_addr()?, admin = %admin.local_addr()?, "serving");
        let public = http::serve(public, http::router(hook), limits, until_stopped(stopping.clone()), request_timeout);
        let admin = http::serve(admin, admin_routes, admin_limits, until_stopped(stopping), Duration::from_secs(1));
        tokio::join!(public, admin, async {
            stop.await;
            tracing::info!("stopping");
            stopped.send_replace(true);
        });
        upkeep.abort();
        intake.close().await;
        database.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({key})"))
}
