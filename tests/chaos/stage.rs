//! What acts and faults act on: the service, PostgreSQL, and the wire between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::clients::Seen;
use crate::hook::Hook;
use crate::support::database::Server;
use crate::support::proxy::Proxy;

/// What is stuck never settles. What is only slow does in the end, also where other builds take most of the machine.
const PATIENCE: Duration = Duration::from_mins(10);

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
    /// With this database of a server. The service, which is to be this `role`, does not run yet.
    pub async fn set(server: Server, direct: String, role: &str, environment: &[(&str, &str)]) -> Self {
        let database = direct.split("localhost/").nth(1).unwrap().split('?').next().unwrap();
        let proxy = Proxy::start(&server.socket()).await;
        let wire = format!("postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
        let data_dir = tempfile::tempdir().unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let hook = Hook::new(wire, data_dir.path().to_owned(), environment.collect());
        Self { hook, server: Arc::new(Mutex::new(server)), proxy, direct, seen: Arc::default(), _data_dir: data_dir }
    }

    /// Waits until nothing is left of any fault: PostgreSQL takes events, and nothing waits for it.
    pub async fn settle(&self) {
        let service = self.hook.service();
        let end = Instant::now() + PATIENCE;
        loop {
            let readiness: Value = serde_json::from_str(&service.get("/readyz").await.1).unwrap();
            if readiness["spool"]["entries"] == 0 && readiness["database"] == "ok" {
                return;
            }
            assert!(Instant::now() < end, "the service does not recover: {readiness}\n{}", service.log());
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
