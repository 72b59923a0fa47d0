//! Builds the service in order, and takes it down in reverse.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::config::{self, Config, ConfigError};
use crate::data_dir::{DataDir, DataDirError};
use crate::http::ops::{self, HealthState};
use crate::http::server::{self, Limits};
use crate::http::webhook::{self, WebhookState};
use crate::intake::{Circuit, Intake};
use crate::jobs::upkeep;
use crate::private_server;
use crate::spool::Spool;
use crate::store::{CONNECT_TIMEOUT, Store, StoreError};

/// A command has nobody waiting for its answer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// What a command waits for PostgreSQL to do.
pub const COMMAND_LIMIT: Duration = Duration::from_hours(1);

/// A private server that does not start is tried again after so long.
const SERVER_RETRY: Duration = Duration::from_secs(5);

/// Where no server is, until the private one runs.
const NOWHERE: &str = "postgres://localhost/?host=/nonexistent";

/// Metrics are asked for by a scraper or two.
const ADMIN_LIMITS: Limits = Limits { max_connections: 16, grace: Duration::from_secs(1) };

/// The database as a command sees it, ours or another's.
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
        if let Some(store) = Self::configured(config, COMMAND_PATIENCE)? {
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
    config: Config,
    store: Store,
    spool: Spool,
    data_dir: Arc<DataDir>,
    /// The private server, if this process runs it and it has been started already.
    server: Option<private_postgres::Server>,
    public: TcpListener,
    admin: TcpListener,
    metrics: PrometheusHandle,
}

impl App {
    /// Takes the ports and the data directory, and opens the spool. PostgreSQL is not waited for: the spool takes what comes.
    ///
    /// # Errors
    /// A port is taken; another service has the directory; the database's URL is none.
    pub async fn start(config: Config, metrics: PrometheusHandle) -> Result<Self> {
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let public = listen("http.listen", config.http.listen).await?;
        let admin = listen("admin.listen", config.admin.listen).await?;
        let data_dir = Arc::new(DataDir::lock(&config.storage.data_dir)?);
        let store = match Database::configured(&config, CONNECT_TIMEOUT)? {
            Some(store) => store,
            None => Store::connect_lazily(NOWHERE, config.database.max_connections, CONNECT_TIMEOUT)?,
        };
        let spool = Spool::open(&config.storage.data_dir, config.spool.max_bytes).await;
        if let Err(error) = spool.check() {
            tracing::error!(%error, "while PostgreSQL is away, requests will be refused");
        }
        Ok(Self { config, store, spool, data_dir, server: None, public, admin, metrics })
    }

    /// Starts the private server before anything is served, for whoever wants to know whether it starts. Returns the
    /// command that opens an SQL prompt.
    ///
    /// # Errors
    /// It does not start, or its schema cannot be brought up to date.
    pub async fn start_private_server(&mut self) -> Result<String> {
        let server = private_server::start(&self.config.storage.data_dir).await?;
        self.store.lead_to(&server.url())?;
        let command = server.psql_command();
        self.server = Some(server);
        self.store.migrate(COMMAND_LIMIT).await?;
        Ok(command)
    }

    pub fn store(&self) -> &Store {
        &self.store
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
        let Self { config, store, spool, data_dir, server, public, admin, metrics } = self;
        let circuit = Arc::new(Circuit::default());
        let (stopped, stopping) = watch::channel(false);
        let until_stopped = |mut stopping: watch::Receiver<bool>| async move {
            // The sender lives until the service has ended.
            let _ = stopping.wait_for(|stopped| *stopped).await;
        };
        let (reached, is_reachable) = oneshot::channel();
        let (release, released) = oneshot::channel::<()>();
        let private_server = PrivateServer {
            is_wanted: config.database.url.is_empty(),
            running: server,
            data_dir: config.storage.data_dir.clone(),
            store: store.clone(),
            circuit: Arc::clone(&circuit),
        };
        let private_server = tokio::spawn(private_server.run(reached, released));
        // Ended unsent, it has not been reached, and the end of everything is near.
        let is_reachable = async move {
            if is_reachable.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let intake = Arc::new(Intake::start(&store, &spool, circuit, is_reachable));
        let public_limits =
            Limits { max_connections: config.http.max_connections, grace: config.http.request_timeout() };
        let upkeep = tokio::spawn(upkeep::run(store.clone(), config.retention.events_months));
        let public_doors = public_doors(config, &intake, &spool);
        let admin_doors = server::guarded(ops::metrics(metrics, Arc::clone(&intake), spool));
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
        store.close().await;
        drop(release);
        if private_server.await.is_err() {
            tracing::error!("the private database server was lost sight of");
        }
        drop(data_dir);
        tracing::info!("stopped");
        Ok(())
    }
}

/// The private server of a service that serves already: that it cannot start is PostgreSQL being away.
struct PrivateServer {
    is_wanted: bool,
    running: Option<private_postgres::Server>,
    data_dir: PathBuf,
    store: Store,
    circuit: Arc<Circuit>,
}

impl PrivateServer {
    /// Says when PostgreSQL may be reached, and ends the server once `released` resolves.
    async fn run(self, reached: oneshot::Sender<()>, mut released: oneshot::Receiver<()>) {
        let server = match self.running {
            None if self.is_wanted => tokio::select! {
                server = start_in_the_end(&self.data_dir, &self.circuit) => Some(server),
                _ = &mut released => return,
            },
            running => running,
        };
        if let Some(Err(error)) = server.as_ref().map(|server| self.store.lead_to(&server.url())) {
            tracing::error!(%error, "the private database server has an unusable address");
        }
        // Nobody waits for it while everything ends.
        let _ = reached.send(());
        let _ = released.await;
        if let Some(server) = server {
            server.stop().await;
        }
    }
}

async fn start_in_the_end(data_dir: &Path, circuit: &Circuit) -> private_postgres::Server {
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
        tokio::time::sleep(SERVER_RETRY).await;
    }
}

fn public_doors(config: Config, intake: &Arc<Intake>, spool: &Spool) -> Router {
    let webhook = webhook::router(WebhookState {
        intake: Arc::clone(intake),
        body_limit_bytes: config.http.body_limit_bytes,
        request_timeout: config.http.request_timeout(),
        config: config.webhook,
    });
    let health = HealthState { intake: Arc::clone(intake), spool: spool.clone() };
    server::observed(webhook.merge(ops::health(health)))
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({key})"))
}
