//! The service as its supervisor runs it: again and again, on the same data directory and the same wire.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clients::Target;
use crate::support::service::{Service, program, serve};

pub struct Hook {
    /// The way to PostgreSQL.
    pub wire: String,
    pub data_dir: PathBuf,
    pub environment: Vec<(String, String)>,
    pub target: Target,
    service: Option<Service>,
}

impl Hook {
    pub fn new(wire: String, data_dir: PathBuf, environment: Vec<(String, String)>) -> Self {
        Self { wire, data_dir, environment, target: Target::default(), service: None }
    }

    /// Starts it and waits until it serves, whatever PostgreSQL does.
    pub async fn start(&mut self) {
        let mut command = program();
        serve(&mut command, &self.wire, &self.data_dir);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let service = tokio::task::spawn_blocking(|| Service::launch(command)).await.unwrap();
        self.target.lock().unwrap().clone_from(&service.webhook);
        self.service = Some(service);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.service.take().unwrap().kill();
    }

    /// SIGTERM, after which it must end well.
    pub async fn terminate(&mut self) {
        let mut service = self.service.take().unwrap();
        assert_eq!(service.terminate().await.code(), Some(0), "{}", service.log());
    }

    pub fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// Where the clients post.
    pub fn target(&self) -> Target {
        Arc::clone(&self.target)
    }
}
