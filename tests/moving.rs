//! Moving to another server with the commands of `docs/operating.md`, while events keep arriving.

mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sobot_hook::private_server;
use sqlx::{AssertSqlSafe, Executor};
use support::database::{Database, connect, count};
use support::service::{SECRET, Service, program};
use support::until;
use support::wire::message;
use tempfile::TempDir;

const AT: i64 = 1_760_000_000_000;
const OPERATING: &str = include_str!("../docs/operating.md");
const SETUP: &str = include_str!("../docs/setup.md");

/// The blocks of this language in this section of a document.
fn blocks(document: &str, heading: &str, language: &str) -> Vec<String> {
    let (_, section) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut lines = section.lines();
    let mut blocks = Vec::new();
    while let Some(fence) = lines.find(|line| line.trim() == format!("```{language}")) {
        let indent = fence.len() - fence.trim_start().len();
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        blocks.push(block.map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n"));
    }
    blocks
}

/// A service with a private server, at an address that stays.
struct House {
    directory: TempDir,
    listen: String,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // So that the server's account finds its way.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { directory, listen }
    }

    fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The service with its private server, or with this database.
    fn serve(&self, database: Option<&str>) -> Service {
        let mut command = program();
        command
            .arg("serve")
            .env("SOBOT_HOOK__STORAGE__DATA_DIR", self.data_dir())
            .env("SOBOT_HOOK__HTTP__LISTEN", &self.listen)
            .env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")
            .env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET)
            .env("SOBOT_HOOK__LOG__FORMAT", "json")
            .envs(database.map(|url| ("DATABASE_URL", url)));
        Service::spawn(command)
    }

    /// Runs a documented block, with the program and PostgreSQL's in its path.
    fn run(&self, block: &str, old: &str, new: &str) {
        let program = Path::new(env!("CARGO_BIN_EXE_sobot-hook")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path: OsString = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut shell = Command::new("sh");
        shell.arg("-euc").arg(block).current_dir(self.directory.path()).env("PATH", path);
        shell.env("OLD", old).env("NEW", new).env("SOBOT_HOOK__STORAGE__DATA_DIR", self.data_dir());
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{block}\n{said}");
    }
}

/// Customers who write on and on. A proxy sends what the first service does not take to the second one.
struct Customers {
    stop: Arc<AtomicBool>,
    second: Arc<OnceLock<String>>,
    clients: Vec<tokio::task::JoinHandle<(Vec<String>, Vec<String>)>>,
}

impl Customers {
    fn of(service: &Service) -> Self {
        let (stop, second) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::<String>::new()));
        let clients = (0..4).map(|client| {
            let (stop, second, first) = (Arc::clone(&stop), Arc::clone(&second), service.webhook.clone());
            let http = service.client.clone();
            tokio::spawn(async move {
                let (mut taken, mut lost) = (Vec::new(), Vec::new());
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let mid = format!("m-{client}-{number}");
                    let body = message(&format!("2{client}"), "1", &mid, AT + number, "x");
                    let mut is_taken = false;
                    for door in std::iter::once(&first).chain(second.get()) {
                        let answer = http.post(door).body(body.clone()).send().await;
                        is_taken = is_taken || answer.is_ok_and(|answer| answer.status() == 200);
                        if is_taken {
                            break;
                        }
                    }
                    if is_taken { taken.push(mid) } else { lost.push(mid) }
                }
                (taken, lost)
            })
        });
        let clients = clients.collect();
        Self { stop, second, clients }
    }

    /// What they wrote, and of it what nobody took.
    async fn leave(self) -> (BTreeSet<String>, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut all_taken, mut all_lost) = (BTreeSet::new(), Vec::new());
        for client in self.clients {
            let (taken, lost) = client.await.unwrap();
            all_taken.extend(taken);
            all_lost.extend(lost);
        }
        (all_taken, all_lost)
    }
}

#[tokio::test]
async fn the_documented_way_to_another_server_loses_and_doubles_nothing() {
    let steps = blocks(OPERATING, "Moving to your own PostgreSQL", "sh");
    let [_where, freeze, transfer, check, _break_off] = steps.as_slice() else { panic!("{steps:#?}") };
    let house = House::new();
    let mut service = house.serve(None);
    let old = private_server::options(&house.data_dir()).running().unwrap();
    let database = Database::create().await;
    let new = database.url.as_str();
    // A role that the new server does not have.
    let analyst = blocks(SETUP, "A role for analysts", "sql").concat();
    connect(&old).execute(AssertSqlSafe(analyst.clone())).await.unwrap();
    assert_eq!(service.post("no JSON").await.0, 400);

    let customers = Customers::of(&service);
    until("events flow", async || count(&connect(&old), "select count(*) from events").await > 200).await;
    house.run(freeze, &old, new);
    until("they go to the spool", async || service.metric("sobot_hook_spool_entries").await > 20).await;
    house.run(transfer, &old, new);
    let moved = database.count("select count(*) from events").await;
    assert!(moved > 200);
    database.pool.execute(AssertSqlSafe(analyst)).await.unwrap();

    // The restart, with a second service for the time of it.
    let mut second = Service::start(new);
    customers.second.set(second.webhook.clone()).unwrap();
    assert_eq!(service.terminate().await.code(), Some(0), "{}", service.log());
    let service = house.serve(Some(new));
    let of_first = async || service.metric("sobot_hook_events_total").await;
    until("the first one takes events again", async || of_first().await > 100).await;
    let (taken, lost) = customers.leave().await;
    assert_eq!(lost, Vec::<String>::new());
    until("nothing waits", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    assert_eq!(second.metric("sobot_hook_spool_entries").await, 0);
    assert_eq!(second.terminate().await.code(), Some(0));

    house.run(check, &old, new);
    let journaled: Vec<String> =
        sqlx::query_scalar("select body->'message'->>'mid' from events").fetch_all(&database.pool).await.unwrap();
    assert_eq!(journaled.len(), taken.len(), "lost or doubled");
    assert_eq!(journaled.into_iter().collect::<BTreeSet<_>>(), taken);
    assert!(taken.len() > usize::try_from(moved).unwrap(), "events came while the data moved");
    assert_eq!(database.count("select count(*) from quarantine").await, 1);
}

#[tokio::test]
async fn a_move_that_is_broken_off_goes_on_where_it_was() {
    let steps = blocks(OPERATING, "Moving to your own PostgreSQL", "sh");
    let [_where, freeze, _transfer, _check, break_off] = steps.as_slice() else { panic!("{steps:#?}") };
    let house = House::new();
    let service = house.serve(None);
    let old = private_server::options(&house.data_dir()).running().unwrap();
    assert_eq!(service.post(message("2", "1", "before", AT, "x")).await.0, 200);
    house.run(freeze, &old, "");
    assert_eq!(service.post(message("2", "1", "meanwhile", AT, "x")).await.0, 200);
    assert_eq!(service.metric("sobot_hook_spool_entries").await, 1);
    house.run(break_off, &old, "");
    until("nothing waits", async || service.metric("sobot_hook_spool_entries").await == 0).await;
    assert_eq!(count(&connect(&old), "select count(*) from messages").await, 2);
}
