//! Starting, stopping and everything that goes wrong in between, with real processes killed and a real
//! PostgreSQL stopped.

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::database::Database;
use support::service::{SECRET, Service, program, program_at};
use support::until;
use support::wire::message;

const AT: i64 = 1_760_000_000_000;

/// Posts messages from eight clients until it is told to stop, and remembers which were acknowledged.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(service: &Service) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..8).map(|client| {
            let (stop, http, url) = (Arc::clone(&stop), service.client.clone(), service.webhook.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let mid = format!("m-{client}-{number}");
                    match http.post(&url).body(message("2", "1", &mid, AT + number, "x")).send().await {
                        Ok(answer) if answer.status() == 200 => acknowledged.push(mid),
                        Ok(_) => {}
                        Err(_) => break,
                    }
                }
                acknowledged
            })
        });
        let clients = clients.collect();
        Self { stop, clients }
    }

    async fn acknowledged(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for client in self.clients {
            acknowledged.extend(client.await.unwrap());
        }
        acknowledged
    }
}

async fn assert_journaled_once(database: &Database, acknowledged: &[String]) {
    assert!(!acknowledged.is_empty());
    let mids: Vec<String> =
        sqlx::query_scalar("select body->'message'->>'mid' from events").fetch_all(&database.pool).await.unwrap();
    let journaled: std::collections::HashSet<_> = mids.iter().collect();
    assert_eq!(journaled.len(), mids.len(), "doubled");
    let lost: Vec<_> = acknowledged.iter().filter(|mid| !journaled.contains(mid)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let database = Database::create().await;
    let mut service = Service::start(&database.url);
    let load = Load::on(&service);
    until("events flow", async || database.count("select count(*) from events").await > 300).await;
    service.kill();
    assert_journaled_once(&database, &load.acknowledged().await).await;
}

#[tokio::test]
async fn sigterm_answers_what_was_asked_and_exits_0() {
    let database = Database::create().await;
    let mut service = Service::start(&database.url);
    let load = Load::on(&service);
    until("events flow", async || database.count("select count(*) from events").await > 300).await;
    let status = service.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", service.log());
    assert_journaled_once(&database, &load.acknowledged().await).await;
}

/// Runs the program to its end.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    program().args(arguments).envs(environment.iter().copied()).output().unwrap()
}

/// The exit code and the one line that a failure prints.
fn failure(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run(arguments, environment);
    (output.status.code(), String::from_utf8(output.stderr).unwrap().trim_end().to_owned())
}

#[test]
fn a_bad_configuration_ends_with_64_and_one_line_that_helps() {
    let directory = tempfile::tempdir().unwrap();
    let with_file = |text: &str| {
        let file = directory.path().join("my.toml");
        std::fs::write(&file, text).unwrap();
        let (code, line) = failure(&["config", "--config", file.to_str().unwrap()], &[]);
        assert_eq!(code, Some(64), "{line}");
        line.replace(file.to_str().unwrap(), "my.toml")
    };
    assert_eq!(
        with_file("[http]\nlistn = \"x\""),
        "sobot-hook: my.toml: there is no key http.listn; the nearest is http.listen"
    );
    assert_eq!(
        with_file("[weebhook]\nsecrets = []"),
        "sobot-hook: my.toml: there is no key weebhook.secrets; the nearest is webhook.secrets"
    );
    assert_eq!(
        with_file("[http]\nbody_limit_bytes = \"2 MB\""),
        "sobot-hook: my.toml: http.body_limit_bytes must be of type integer, not string"
    );
    assert!(with_file("[webhook]\nsecrets = [\"hidden").contains("my.toml line 2 is no TOML"));
    assert!(!with_file("[webhook]\nsecrets = [\"hidden").contains("hidden"));
    assert!(with_file("[http]\nrequest_timeout_ms = 1").contains("it must lie between 100 and 600000"));
    assert!(with_file("[http]\nlisten = \"here\"").contains("http.listen"));
    assert!(with_file("[webhook]\nallow_from = [\"10.0.0.0/99\"]").contains("10.0.0.0/99"));
    let refused = [
        ("SOBOT_HOOK__HTTP__LISTEN", "0.0.0.0:8080", "webhook.secrets is empty"),
        ("SOBOT_HOOK__WEBHOOK__SECRETS", "with/slash", "letters, digits"),
        ("SOBOT_HOOK__HTTP__PORT", "80", "there is no key http.port"),
        ("SOBOT_HOOK__HTTP__MAX_CONNECTIONS", "many", "whole number"),
        ("SOBOT_HOOK_HTTP_LISTEN", "127.0.0.1:80", "SOBOT_HOOK__HTTP__LISTEN"),
        ("SOBOT_HOOK_PG_BINN", "/usr/bin", "SOBOT_HOOK_PG_BIN"),
        ("DATABASE_URL", "postgres://me:with/slash@db/x", "percent-encoded"),
    ];
    for (name, value, line) in refused {
        let (code, told) = failure(&["serve"], &[(name, value)]);
        assert_eq!((code, told.contains(line), told.lines().count()), (Some(64), true, 1), "{told}");
        assert!(!told.contains("with/slash"));
    }
    assert_eq!(failure(&["sreve"], &[]).0, Some(64));
    assert_eq!(failure(&[], &[]).0, Some(64));
    assert_eq!(run(&["--help"], &[]).status.code(), Some(0));
}

#[test]
fn kubernetes_services_of_our_name_are_no_configuration() {
    // What a Service `sobot-hook` with the ports `http` and `admin` puts into every pod, and one `sobot-hook-admin`.
    let environment = [
        ("SOBOT_HOOK_SERVICE_HOST", "10.96.12.7"),
        ("SOBOT_HOOK_SERVICE_PORT", "8080"),
        ("SOBOT_HOOK_SERVICE_PORT_HTTP", "8080"),
        ("SOBOT_HOOK_PORT", "tcp://10.96.12.7:8080"),
        ("SOBOT_HOOK_PORT_8080_TCP", "tcp://10.96.12.7:8080"),
        ("SOBOT_HOOK_PORT_8080_TCP_PROTO", "tcp"),
        ("SOBOT_HOOK_PORT_8080_TCP_PORT", "8080"),
        ("SOBOT_HOOK_PORT_8080_TCP_ADDR", "10.96.12.7"),
        ("SOBOT_HOOK_ADMIN_SERVICE_HOST", "10.96.12.8"),
        ("SOBOT_HOOK_ADMIN_PORT", "tcp://10.96.12.8:9090"),
    ];
    let (code, said) = failure(&["config"], &environment);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

/// The permissions of a file or directory, in octal.
fn mode(path: &Path) -> String {
    format!("{:o}", path.symlink_metadata().unwrap().permissions().mode() & 0o7777)
}

#[tokio::test]
async fn the_private_server_lies_in_a_directory_that_nobody_else_can_list() {
    for umask in ["000", "077"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let data_dir = directory.path().join("data");
        let mut command = program_at(Path::new("/bin/sh"));
        command
            .args(["-c", &format!("umask {umask}; exec \"$0\" serve"), env!("CARGO_BIN_EXE_sobot-hook")])
            .env("SOBOT_HOOK__STORAGE__DATA_DIR", &data_dir)
            .env("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0")
            .env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")
            .env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET)
            .env("SOBOT_HOOK__LOG__FORMAT", "json");
        let mut service = Service::spawn(command);
        assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);
        // The server of a service run by root has another account, which passes through; in vain it would list.
        let passable = if nix::unistd::geteuid().is_root() { "711" } else { "700" };
        let modes = [data_dir.clone(), data_dir.join("lock"), data_dir.join("spool"), data_dir.join("postgres")];
        assert_eq!(modes.map(|path| mode(&path)), [passable, "600", "700", "700"]);
        assert!(data_dir.join("postgres").symlink_metadata().unwrap().is_dir(), "it is where it belongs");
        assert_eq!(service.terminate().await.code(), Some(0));
    }
}

#[test]
fn the_configuration_in_force_is_printed_with_secrets_masked() {
    let defaults = run(&["config"], &[]);
    let documented: toml::Table = include_str!("../config.toml").parse().unwrap();
    assert_eq!(String::from_utf8(defaults.stdout).unwrap().parse::<toml::Table>().unwrap(), documented);
    let environment = [
        ("DATABASE_URL", "postgres://me:hidden@db/x"),
        ("SOBOT_HOOK__DATABASE__URL", "postgres://other"),
        ("SOBOT_HOOK__WEBHOOK__SECRETS", "hidden-1,hidden-2"),
        ("SOBOT_HOOK__WEBHOOK__APP_SECRET", "hidden"),
        ("SOBOT_HOOK__HTTP__LISTEN", "0.0.0.0:80"),
        ("SOBOT_HOOK__WEBHOOK__ALLOW_FROM", "10.0.0.0/8, 192.0.2.1"),
    ];
    let output = String::from_utf8(run(&["config"], &environment).stdout).unwrap();
    assert!(!output.contains("hidden"), "{output}");
    let config: toml::Table = output.parse().unwrap();
    assert_eq!(config["webhook"]["secrets"].as_array().unwrap().len(), 2);
    assert_eq!(config["http"]["listen"].as_str(), Some("0.0.0.0:80"));
    assert_eq!(config["webhook"]["allow_from"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn commands_work_beside_a_service_on_its_private_database() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let private = |command: &mut Command| {
        command
            .env("SOBOT_HOOK__STORAGE__DATA_DIR", &data_dir)
            .env("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0")
            .env("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")
            .env("SOBOT_HOOK__WEBHOOK__SECRETS", SECRET)
            .env("SOBOT_HOOK__LOG__FORMAT", "json");
    };
    let start = || {
        let mut command = program();
        private(command.arg("serve"));
        Service::spawn(command)
    };
    let mut service = start();
    assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);

    let mut migrate = program();
    private(migrate.arg("migrate"));
    let output = migrate.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"the schema is up to date\n".as_slice()));
    let mut second = program();
    private(second.arg("serve"));
    let output = second.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("another sobot-hook is running on"));
    let (port, check) = (service.base.strip_prefix("http://").unwrap().to_owned(), ["healthcheck"]);
    assert_eq!(run(&check, &[("SOBOT_HOOK__HTTP__LISTEN", &port)]).status.code(), Some(0));
    assert_eq!(failure(&check, &[("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:1")]).0, Some(1));

    // Killed, it leaves its server behind; the next one takes over.
    service.kill();
    let mut service = start();
    assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);
    assert!(service.metrics().await.contains(r#"sobot_hook_events_total{kind="message",outcome="duplicate"} 1"#));
    assert_eq!(service.terminate().await.code(), Some(0));
    remove_relocated(&data_dir);
}

/// Run by root in a directory that only root may enter, the private database lies elsewhere.
fn remove_relocated(data_dir: &Path) {
    if let Ok(home) = std::fs::read_link(data_dir.join("postgres")) {
        std::fs::remove_dir_all(home).unwrap();
    }
}

#[test]
fn a_directory_without_postgresql_s_programs_is_named_with_its_variable() {
    let directory = tempfile::tempdir().unwrap();
    let (data_dir, empty) = (directory.path().join("data"), directory.path().to_str().unwrap());
    let environment = [
        ("SOBOT_HOOK__STORAGE__DATA_DIR", data_dir.to_str().unwrap()),
        ("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0"),
        ("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0"),
        ("SOBOT_HOOK_PG_BIN", empty),
    ];
    let (code, said) = failure(&["migrate"], &environment);
    assert_eq!(code, Some(1), "{said}");
    let problem = format!("SOBOT_HOOK_PG_BIN is {empty}, which does not hold `postgres` and `initdb`: set it to");
    assert!(said.contains(&problem), "{said}");
    remove_relocated(&data_dir);
}

#[test]
fn the_demo_tells_its_story_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["demo", "--once"]).current_dir(directory.path());
    let ports = [("SOBOT_HOOK__HTTP__LISTEN", "127.0.0.1:0"), ("SOBOT_HOOK__ADMIN__LISTEN", "127.0.0.1:0")];
    let output = command.envs(ports).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.matches("200 EVENT_RECEIVED").count(), 10, "{told}");
    for part in ["not_json", "┆ read ", "Asia/Shanghai", "matched", "psql", "/webhook/"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    remove_relocated(&directory.path().join("data/demo"));
}
