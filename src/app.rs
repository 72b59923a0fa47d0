//! Builds the service in order, and takes it down in reverse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::database::{self, COMMAND_LIMIT, PrivateServer};
use crate::http::ops::{self, HealthState};
use crate::http::server::{self, Limits};
use crate::http::webhook::{self, Strangers, WebhookState};
use crate::intake::{Circuit, Intake};
use crate::jobs::{heal, outbox, pages, upkeep};
use crate::outbound::client::Patience;
use crate::outbound::graph::Graph;
use crate::outbound::sobot::Sobot;
use crate::private_server;
use crate::spool::Spool;
use crate::store::{CONNECT_TIMEOUT, Store};

/// Where no server is, until the private one runs.
const NOWHERE: &str = "postgres://localhost/?host=/nonexistent";

/// Metrics are asked for by a scraper or two.
const ADMIN_LIMITS: Limits = Limits { max_connections: 16, grace: Duration::from_secs(1) };

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
        let store = match database::configured(&config, CONNECT_TIMEOUT)? {
            Some(store) => store,
            None => Store::connect_lazily(NOWHERE, config.database.max_connections, CONNECT_TIMEOUT)?,
        };
        upkeep::check(&store, config.retention).await?;
        store.limit_quarantine(config.retention.quarantine_max_bytes);
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
        let (private_server, reached) = PrivateServer::host(&config, store.clone(), Arc::clone(&circuit), server);
        let intake = Arc::new(Intake::start(&store, &spool, Arc::clone(&circuit), reached));
        let public_limits =
            Limits { max_connections: config.http.max_connections, grace: config.http.request_timeout() };
        let (retention, jobs_store, sobot) = (config.retention, store.clone(), sobot(&config, &store)?);
        let (graph, heal_spool, heal_pause) = (graph(&config)?, spool.clone(), minutes(config.graph.heal_minutes));
        let jobs = tokio::spawn(async move {
            circuit.until_closed().await;
            let sending = async {
                if let Some(sobot) = sobot {
                    outbox::run(jobs_store.clone(), sobot).await;
                }
            };
            let healing = async {
                if let Some(graph) = graph {
                    heal::run(jobs_store.clone(), graph, heal_spool, heal_pause).await;
                }
            };
            let (upkeep, remembering) =
                (upkeep::run(jobs_store.clone(), retention), pages::remember(jobs_store.clone()));
            tokio::join!(upkeep, remembering, sending, healing);
        });
        let place = if config.database.url.is_empty() { "private".to_owned() } else { store.place() };
        let data_path = std::path::absolute(&config.storage.data_dir)?;
        let public_doors = public_doors(config, &intake, &spool);
        let admin_doors = server::guarded(ops::metrics(metrics, Arc::clone(&intake), spool));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            webhook = %public.local_addr()?,
            admin = %admin.local_addr()?,
            database = place,
            data_dir = %data_path.display(),
            "serving"
        );
        let public = server::serve(public, public_doors, public_limits, until_stopped(stopping.clone()));
        let admin = server::serve(admin, admin_doors, ADMIN_LIMITS, until_stopped(stopping));
        tokio::join!(public, admin, async {
            stop.await;
            tracing::info!("stopping");
            stopped.send_replace(true);
        });
        jobs.abort();
        intake.close().await;
        store.close().await;
        private_server.stop().await;
        drop(data_dir);
        tracing::info!("stopped");
        Ok(())
    }
}

fn public_doors(config: Config, intake: &Arc<Intake>, spool: &Spool) -> Router {
    let webhook = webhook::router(WebhookState {
        intake: Arc::clone(intake),
        body_limit_bytes: config.http.body_limit_bytes,
        request_timeout: config.http.request_timeout(),
        config: config.webhook,
        strangers: Strangers::default(),
    });
    let health = HealthState { intake: Arc::clone(intake), spool: spool.clone() };
    server::observed(webhook.merge(ops::health(health)))
}

/// Sobot's API, if there are credentials for it.
fn sobot(config: &Config, store: &Store) -> Result<Option<Arc<Sobot>>> {
    if config.sobot.appid.is_empty() && config.sobot.app_key.is_empty() {
        return Ok(None);
    }
    Ok(Some(database::sobot(config, store)?))
}

/// Meta's API, if the service is to look for what it has missed.
fn graph(config: &Config) -> Result<Option<Graph>> {
    if config.graph.heal_minutes == 0 {
        return Ok(None);
    }
    Ok(Some(Graph::new(&config.graph, Patience::default())?))
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_mins(u64::from(minutes))
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({key})"))
}
