//! What acts and faults act on: the service, PostgreSQL, and the wire between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::clients::Seen;
use crate::hook::Hook;
use crate::support::PATIENCE;
use crate::support::database::{Server, create};
use crate::support::proxy::Proxy;

pub struct Stage {
    pub hook: Hook,
    pub server: Arc<Mutex<Server>>,
    pub proxy: Proxy,
    /// A superuser's way to the database, past the wire.
    pub direct: String,
    pub seen: Arc<Seen>,
    /// Removed with everything else.
    _data_dir: TempDir,
}

impl Stage {
    /// Starts PostgreSQL and makes a database. The service, which is to be this `role`, does not run yet.
    pub async fn set(role: &str, environment: &[(&str, &str)]) -> Self {
        let server = spawn_blocking(Server::start).await.unwrap();
        let direct = create(&server).await;
        let database = direct.split("localhost/").nth(1).unwrap().split('?').next().unwrap();
        let proxy = Proxy::start(&server.socket()).await;
        let wire = format!("postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
        let data_dir = tempfile::tempdir().unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let hook = Hook::new(wire, data_dir.path().to_owned(), environment.collect());
        Self { hook, server: Arc::new(Mutex::new(server)), proxy, direct, seen: Arc::default(), _data_dir: data_dir }
    }

    /// Waits until nothing is left of any fault: PostgreSQL takes events, and nothing waits for it. What waits may be much, and
    /// the machine slow, but it must get less.
    pub async fn settle(&self) {
        let service = self.hook.service();
        let (mut least, mut since) = (u64::MAX, Instant::now());
        loop {
            let readiness: Value = serde_json::from_str(&service.get("/readyz").await.1).unwrap();
            let waiting = readiness["spool"]["entries"].as_u64().unwrap();
            if waiting == 0 && readiness["database"] == "ok" {
                return;
            }
            if waiting < least {
                (least, since) = (waiting, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "the service does not recover: {readiness}\n{}", service.log());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An immediate stop, as of a crashed server.
pub async fn crash(server: &Arc<Mutex<Server>>) {
    let server = Arc::clone(server);
    spawn_blocking(move || server.lock().unwrap().crash()).await.unwrap();
}

pub async fn resume(server: &Arc<Mutex<Server>>) {
    let server = Arc::clone(server);
    spawn_blocking(move || server.lock().unwrap().resume()).await.unwrap();
}
