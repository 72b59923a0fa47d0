//! Who takes part: real processes on one private PostgreSQL, each with a database of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use axum::Router;
use sobot_hook::store::Store;
use sqlx::{Executor, PgPool};
use tokio::net::TcpListener;

use crate::support::database::{self, Server};
use crate::support::service::{Service, program_at};

/// A server that takes posts.
pub struct Contender {
    pub webhook: String,
    pub database: PgPool,
    process: Process,
}

enum Process {
    Hook(Service),
    Own(Child),
}

impl Contender {
    /// The service as it is.
    pub fn hook(url: &str) -> Self {
        Self::service(Service::start(url), database::connect(url))
    }

    /// Another build of the service.
    pub fn hook_of(program: &Path, url: &str) -> Self {
        Self::service(Service::start_program(program_at(program), url, &[]), database::connect(url))
    }

    /// The service while its PostgreSQL is away.
    pub fn spooling(beside: &PgPool) -> Self {
        // Nothing is ever drained.
        let room = [("SOBOT_HOOK__SPOOL__MAX_BYTES", "1099511627776")];
        let service = Service::start_with("postgres://nobody@localhost/nothing?host=/nonexistent", &room);
        Self::service(service, beside.clone())
    }

    fn service(service: Service, database: PgPool) -> Self {
        Self { webhook: service.webhook.clone(), database, process: Process::Hook(service) }
    }

    pub async fn naive(server: &Server) -> Result<Self> {
        let url = database::create(server).await;
        let store = Store::connect_lazily(&url, 2, crate::support::PATIENCE)?;
        store.migrate(crate::support::PATIENCE).await?;
        store.close().await;
        let database = database::connect(&url);
        database.execute("create table events_all partition of events default").await?;
        Self::own(&["serve-naive", &url], database)
    }

    pub fn parse_only(beside: &PgPool) -> Result<Self> {
        Self::own(&["serve-parse-only"], beside.clone())
    }

    /// Runs this very program again as the server.
    fn own(arguments: &[&str], database: PgPool) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut address)?;
        let webhook = format!("http://{}/webhook", address.trim());
        Ok(Self { webhook, database, process: Process::Own(child) })
    }

    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Hook(service) => service.pid().as_raw().unsigned_abs(),
            Process::Own(child) => child.id(),
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        if let Process::Own(child) = &mut self.process {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Serves on a free port, whose address is told on standard output, until it is killed.
pub async fn serve(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}
