//! Builds the service in order, and takes it down in reverse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::http::{self, Hook, Limits};
use crate::intake::Intake;
use crate::postgres::{self, Embedded};
use crate::store::{MigrationError, Store};

/// How long to wait before asking an absent PostgreSQL again.
const RETRY: Duration = Duration::from_secs(1);

/// Metrics are asked for by a scraper or two.
const ADMIN_CONNECTIONS: usize = 16;

/// The database, ours or another's.
#[derive(Debug)]
pub struct Database {
    /// The way to it.
    pub store: Store,
    /// The private server, if this process runs it.
    pub server: Option<Embedded>,
    _data_dir: Option<DataDir>,
}

impl Database {
    /// Connects to the configured database, or starts the private one.
    ///
    /// # Errors
    /// A bad URL; no server programs; another service on the same directory.
    pub async fn open(config: &Config) -> Result<Self> {
        let max_connections = config.database.max_connections;
        if let Some(url) = config.database.url() {
            let store = Store::connect_lazily(url, max_connections)
                .context("database.url (or DATABASE_URL) is no PostgreSQL URL")?;
            return Ok(Self { store, server: None, _data_dir: None });
        }
        let data_dir = DataDir::lock(&config.storage.data_dir)?;
        let server = postgres::start(&config.storage.data_dir).await?;
        let store = Store::connect_lazily(&server.url(), max_connections)?;
        Ok(Self { store, server: Some(server), _data_dir: Some(data_dir) })
    }

    /// As [`Database::open`], but beside a service that runs on the same directory.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_beside(config: &Config) -> Result<Self> {
        let opened = Self::open(config).await;
        let is_in_use = |error: &anyhow::Error| matches!(error.downcast_ref(), Some(DataDirError::InUse(_)));
        match opened {
            Err(error) if is_in_use(&error) => {
                let url = postgres::running(&config.storage.data_dir).ok_or(error)?;
                let store = Store::connect_lazily(&url, config.database.max_connections)?;
                Ok(Self { store, server: None, _data_dir: None })
            }
            opened => opened,
        }
    }

    /// Ends the connections, and the private server with them.
    pub async fn close(self) {
        self.store.close().await;
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

/// The service, listening but not yet serving.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub database: Database,
    config: Config,
    public: TcpListener,
    admin: TcpListener,
    metrics: PrometheusHandle,
}

impl App {
    /// Takes the ports, opens the database and brings its schema up to date. An absent PostgreSQL is no
    /// error: the schema follows when it comes.
    ///
    /// # Errors
    /// A port is taken; the database cannot be opened; a migration fails.
    pub async fn start(config: Config, metrics: PrometheusHandle) -> Result<Self> {
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let public = listen("http.listen", config.http.listen).await?;
        let admin = listen("admin.listen", config.admin.listen).await?;
        let database = Database::open(&config).await?;
        match database.store.migrate().await {
            Ok(()) => {}
            Err(MigrationError::Away(reason)) => {
                tracing::warn!(reason, "PostgreSQL is away; requests are refused until it comes");
                tokio::spawn(migrate_later(database.store.clone()));
            }
            Err(error) => {
                database.close().await;
                return Err(error.into());
            }
        }
        Ok(Self { database, config, public, admin, metrics })
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
        let Self { database, config, public, admin, metrics } = self;
        let intake = Arc::new(Intake::start(&database.store));
        let limits = http::limits(&config);
        let request_timeout = config.http.request_timeout();
        let hook = Arc::new(Hook {
            intake: Arc::clone(&intake),
            store: database.store.clone(),
            body_limit_bytes: config.http.body_limit_bytes,
            request_timeout,
            webhook: config.webhook,
        });
        let (stopped, stopping) = watch::channel(false);
        let until_stopped = |mut stopping: watch::Receiver<bool>| async move {
            // The sender lives until the service has ended.
            let _ = stopping.wait_for(|stopped| *stopped).await;
        };
        let admin_limits = Limits { max_connections: ADMIN_CONNECTIONS, ..limits };
        let admin_routes = http::admin_router(metrics, Arc::clone(&intake));
        tracing::info!(webhook = %public.local_addr()?, admin = %admin.local_addr()?, "serving");
        let public = http::serve(public, http::router(hook), limits, until_stopped(stopping.clone()), request_timeout);
        let admin = http::serve(admin, admin_routes, admin_limits, until_stopped(stopping), Duration::from_secs(1));
        tokio::join!(public, admin, async {
            stop.await;
            tracing::info!("stopping");
            stopped.send_replace(true);
        });
        intake.close().await;
        database.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({key})"))
}

async fn migrate_later(store: Store) {
    loop {
        tokio::time::sleep(RETRY).await;
        match store.migrate().await {
            Ok(()) => return tracing::info!("PostgreSQL has come; the schema is up to date"),
            Err(MigrationError::Away(_)) => {}
            Err(error) => tracing::error!(%error, "the database cannot be used"),
        }
    }
}
