//! The real program as a process, spoken to over real HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::PATIENCE;

pub const SECRET: &str = "a-secret-for-tests-0123456789";

/// A running service. Dropping it kills it.
pub struct Service {
    child: Child,
    pub webhook: String,
    pub base: String,
    pub admin: String,
    pub client: reqwest::Client,
    /// Gone with the service, unless the test has one of its own.
    directory: Option<TempDir>,
    log: Arc<Mutex<Vec<String>>>,
}

/// The program.
pub fn program() -> Command {
    program_at(Path::new(env!("CARGO_BIN_EXE_sobot-hook")))
}

/// Any build of it, with nothing of the environment that the tests run in but what processes need.
pub fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "TMPDIR"].contains(&name.as_str())));
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Makes a program serve on this database and data directory, on free ports.
pub fn serve(program: &mut Command, url: &str, data_dir: &Path) {
    program
        .arg("serve")
        .env("DATABASE_URL", url)
        .env("SOBOT_HOOK__STORAGE__DATA_DIR", data_dir)
        .env("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0")
        .env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")
        .env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET)
        .env("SOBOT_HOOK__LOG__FORMAT", "json");
}

impl Service {
    /// Starts a service on this database, on free ports, and waits until it serves.
    pub fn start(url: &str) -> Self {
        Self::start_with(url, &[])
    }

    /// The same with more environment.
    pub fn start_with(url: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_program(program(), url, environment)
    }

    /// The same with any build of the program.
    pub fn start_program(mut program: Command, url: &str, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        serve(&mut program, url, directory.path());
        program.envs(environment.iter().copied());
        let mut service = Self::spawn(program);
        service.directory = Some(directory);
        service
    }

    /// The same with any command that serves: waits until it has found out whether PostgreSQL takes events.
    pub fn spawn(command: Command) -> Self {
        let service = Self::launch(command);
        let deadline = Instant::now() + PATIENCE;
        while ["starting", "migrating"].iter().any(|state| service.readiness().contains(state)) {
            assert!(Instant::now() < deadline, "the service does not get ready: {}", service.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        service
    }

    /// What it answers to `/readyz`, asked without a runtime.
    fn readiness(&self) -> String {
        let address = self.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Waits only until it serves, whatever PostgreSQL does.
    pub fn launch(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (serving, addresses) = channel();
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Ok(entry) = serde_json::from_str::<serde_json::Value>(&line)
                    && entry["fields"]["message"] == "serving"
                {
                    let field = |name: &str| entry["fields"][name].as_str().unwrap_or_default().to_owned();
                    let _ = serving.send((field("webhook"), field("admin")));
                }
                lines.lock().unwrap().push(line);
            }
        });
        let (webhook, admin) = Self::wait_for_addresses(&mut child, &addresses, &log);
        let client = sobot_hook::outbound::client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Self {
            child,
            webhook: format!("http://{webhook}/webhook/{SECRET}"),
            base: format!("http://{webhook}"),
            admin: format!("http://{admin}"),
            client,
            directory: None,
            log,
        }
    }

    fn wait_for_addresses(
        child: &mut Child,
        addresses: &Receiver<(String, String)>,
        log: &Mutex<Vec<String>>,
    ) -> (String, String) {
        addresses.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the service does not serve: {:?}", log.lock().unwrap());
        })
    }

    /// Posts a body to the webhook.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        self.try_post(body).await.unwrap()
    }

    pub async fn try_post(&self, body: impl Into<reqwest::Body>) -> reqwest::Result<(u16, String)> {
        let answer = self.client.post(&self.webhook).body(body).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Gets a path of the public listener.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn metrics(&self) -> String {
        let answer = self.client.get(format!("{}/metrics", self.admin)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The sum of a metric's values over all labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.metrics().await;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        metrics.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// kill -9
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how the process then ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the service ends after SIGTERM")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
