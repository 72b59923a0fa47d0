//! Builds the service in order, and takes it down in reverse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{self, Config, ConfigError};
use crate::data_dir::{DataDir, DataDirError};
use crate::http::ops::{self, HealthState};
use crate::http::server::{self, Limits};
use crate::http::webhook::{self, WebhookState};
use crate::intake::{Circuit, Intake};
use crate::jobs::upkeep;
use crate::private_server;
use crate::spool::Spool;
use crate::store::{CONNECT_TIMEOUT, MigrationError, Store, StoreError};

/// A command has nobody waiting for its answer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// Metrics are asked for by a scraper or two.
const ADMIN_LIMITS: Limits = Limits { max_connections: 16, grace: Duration::from_secs(1) };

/// The database, ours or another's.
#[derive(Debug)]
pub struct Database {
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
            if let Some(advice) = store.pooler_advice().await {
                bail!(advice);
            }
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
        let config::Database { url, max_connections } = &config.database;
        if url.is_empty() {
            return Ok(None);
        }
        // The error would quote the URL.
        let store = Store::connect_lazily(url.expose(), *max_connections, patience)
            .map_err(|_| ConfigError("database.url (or DATABASE_URL) is no URL that PostgreSQL knows".to_owned()))?;
        Ok(Some(store))
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
    pub database: Database,
    spool: Spool,
    circuit: Circuit,
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
        let circuit = Circuit::default();
        match database.store.migrate().await {
            Ok(()) => {}
            Err(MigrationError::Away(reason)) => circuit.open(&StoreError::Away(reason)),
            // Another role brings the schema, or a grant is made: the spool takes what comes until then.
            Err(error @ (MigrationError::NotOwner | MigrationError::NotGranted)) => {
                circuit.open(&StoreError::Away(error.to_string()));
            }
            Err(error) => {
                database.close().await;
                return Err(error.into());
            }
        }
        Ok(Self { database, spool, circuit, config, _data_dir: data_dir, public, admin, metrics })
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
        let Self { database, spool, circuit, config, _data_dir, public, admin, metrics } = self;
        let intake = Arc::new(Intake::start(&database.store, &spool, circuit));
        let public_limits =
            Limits { max_connections: config.http.max_connections, grace: config.http.request_timeout() };
        let upkeep = tokio::spawn(upkeep::run(database.store.clone(), config.retention.events_months));
        let public_doors = public_doors(config, &intake, &database.store, &spool);
        let admin_doors = server::guarded(ops::metrics(metrics, Arc::clone(&intake), spool));
        let (stopped, stopping) = watch::channel(false);
        let until_stopped = |mut stopping: watch::Receiver<bool>| async move {
            // The sender lives until the service has ended.
            let _ = stopping.wait_for(|stopped| *stopped).await;
        };
        tracing::info!(webhook = %public.local_addr()?, admin = %admin.local_addr()?, "serving");
        let public = server::serve(public, public_doors, public_limits, until_stopped(stopping.clone()));
        let admin = server::serve(admin, admin_doors, ADMIN_LIMITS, until_stopped(stopping));
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

fn public_doors(config: Config, intake: &Arc<Intake>, store: &Store, spool: &Spool) -> Router {
    let webhook = webhook::router(WebhookState {
        intake: Arc::clone(intake),
        body_limit_bytes: config.http.body_limit_bytes,
        request_timeout: config.http.request_timeout(),
        config: config.webhook,
    });
    let health = HealthState { intake: Arc::clone(intake), store: store.clone(), spool: spool.clone() };
    server::observed(webhook.merge(ops::health(health)))
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({key})"))
}
