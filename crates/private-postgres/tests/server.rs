//! The private PostgreSQL server, run for real: real programs, real files, real kill -9.
//!
//! The suite is meant to be run twice, as root and as an ordinary user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use private_postgres::{Options, Server};
use tempfile::TempDir;

/// Longer than anything a test waits for takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// A data directory that every account can enter, and the places outside it that the server may have used.
struct Data {
    root: TempDir,
    dir: PathBuf,
}

impl Data {
    fn new(mode: u32, below: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
        let dir = root.path().join(below);
        Self { root, dir }
    }

    fn open() -> Self {
        Self::new(0o755, "data")
    }

    /// What the program of the command line uses, too.
    fn options(&self) -> Options {
        Options::new(&self.dir)
    }

    fn cluster(&self) -> PathBuf {
        self.dir.join("postgres/cluster")
    }

    fn server_pid(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.cluster().join("postmaster.pid")).ok()?;
        file.lines().next()?.parse().ok().map(Pid::from_raw)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Ok(home) = fs::read_link(self.dir.join("postgres"))
            && home.starts_with("/var/lib/private-postgres")
        {
            let _ = fs::remove_dir_all(home);
        }
    }
}

/// Asks through the URL, as a client does.
fn ask(url: &str, sql: &str) -> String {
    let output = psql(url, sql);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn psql(url: &str, sql: &str) -> Output {
    Command::new("psql").args(["-XAtq", url, "-c", sql]).output().unwrap()
}

async fn start(data: &Data) -> Server {
    data.options().start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// A second process that runs the server, until its standard input is closed.
fn program(data: &Data) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-postgres"));
    command.arg("--data-dir").arg(&data.dir).arg("cat").stdin(Stdio::piped());
    Process(command.spawn().unwrap())
}

/// A process that is killed -9 when dropped, so that a failed test leaves none behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn answers_stops_and_keeps_its_data() {
    let data = Data::new(0o755, "it's a dir of 100%");
    let options = Options { user: "its owner".to_owned(), database: "a \"shop\"/1".to_owned(), ..data.options() };
    assert_eq!(options.running(), None);
    let server = options.start().await.unwrap();
    assert_eq!(options.running(), Some(server.url()));
    assert_eq!(ask(&server.url(), "select 1"), "1");
    let pasted =
        Command::new("sh").arg("-c").arg(format!("{} -Atc 'select 2'", server.psql_command())).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&pasted.stdout), "2\n", "{pasted:?}");

    let setup = "select concat_ws(' ', current_setting('data_checksums'), current_setting('server_encoding'), \
                 (select datcollate from pg_database where datname = current_database()), \
                 '<' || current_setting('listen_addresses') || '>', current_setting('fsync'), current_user, current_database())";
    assert_eq!(ask(&server.url(), setup), "on UTF8 C <> on its owner a \"shop\"/1");
    assert_eq!(ask(&server.url_of("template1"), "select current_database()"), "template1");
    let owner = fs::metadata(data.cluster()).unwrap();
    assert_eq!(owner.mode() & 0o777, 0o700);
    assert_ne!(owner.uid(), 0);

    ask(&server.url(), "create table kept as select 42 as answer");
    // Errors that would quote a value, a statement and a row in an ordinary log.
    for sql in [
        "select 'xyzzy'::int",
        "select xyzzy",
        "do $$ begin raise exception 'xyzzy'; end $$",
        "do $$ begin raise warning 'xyzzy'; end $$",
    ] {
        psql(&server.url(), sql);
    }
    server.stop().await;
    assert_eq!(options.running(), None);
    let log = fs::read_to_string(data.dir.join("postgres/server.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
    assert!(!log.contains("xyzzy"), "{log}");

    let server = options.start().await.unwrap();
    assert_eq!(ask(&server.url(), "select answer from kept"), "42");
    server.stop().await;
}

#[tokio::test]
async fn takes_settings_except_those_that_it_guarantees() {
    let data = Data::open();
    let settings = [("work_mem", "5MB"), ("fsync", "off"), ("listen_addresses", "*")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let server = Options { settings, ..data.options() }.start().await.unwrap();
    let setup = "select concat_ws(' ', current_setting('work_mem'), current_setting('fsync'), \
                 '<' || current_setting('listen_addresses') || '>')";
    assert_eq!(ask(&server.url(), setup), "5MB on <>");
    server.stop().await;
}

#[tokio::test]
async fn takes_the_place_of_a_server_whose_program_was_killed() {
    let data = Data::open();
    let killed = program(&data);
    until("the program's server runs", || {
        data.options().running().is_some_and(|url| psql(&url, "create table orphaned ()").status.success())
    })
    .await;
    drop(killed);
    let orphan = data.server_pid().unwrap();
    kill(orphan, None).expect("the server outlives its program");

    let server = start(&data).await;
    assert_ne!(data.server_pid(), Some(orphan));
    assert_eq!(ask(&server.url(), "select count(*) from orphaned"), "0");
    server.stop().await;
}

#[tokio::test]
async fn is_not_fooled_by_a_cluster_that_was_never_finished() {
    let data = Data::open();
    let killed = program(&data);
    let home = data.dir.join("postgres");
    until("initdb is at work", || {
        fs::read_dir(&home)
            .is_ok_and(|mut entries| entries.any(|entry| entry.unwrap().path().join("PG_VERSION").exists()))
    })
    .await;
    drop(killed);
    assert!(!data.cluster().exists());

    let server = start(&data).await;
    assert_eq!(ask(&server.url(), "select 1"), "1");
    server.stop().await;
}

#[tokio::test]
async fn a_stale_pid_file_neither_blocks_it_nor_costs_a_stranger_its_life() {
    let data = Data::open();
    start(&data).await.stop().await;

    // A living process of the same account is what PostgreSQL itself takes for a running server.
    let owner = fs::metadata(data.cluster()).unwrap();
    let mut stranger = Command::new("sleep");
    stranger.arg("600");
    if geteuid().is_root() {
        stranger.uid(owner.uid()).gid(owner.gid());
    }
    let mut stranger = Process(stranger.spawn().unwrap());
    for pid in [stranger.0.id(), 4_194_303] {
        let file = format!("{pid}\n{0}\n1700000000\n5432\n{0}\n\n  1  1\nready   \n", data.cluster().display());
        fs::write(data.cluster().join("postmaster.pid"), file).unwrap();
        assert_eq!(data.options().running(), None);
        let server = start(&data).await;
        assert_eq!(ask(&server.url(), "select 1"), "1");
        server.stop().await;
    }
    assert_eq!(stranger.0.try_wait().unwrap(), None);
}

#[tokio::test]
async fn is_started_again_when_it_dies_and_ends_when_it_is_dropped() {
    let data = Data::open();
    let server = start(&data).await;
    ask(&server.url(), "create table survived ()");
    for _ in 0..2 {
        let first = data.server_pid().unwrap();
        kill(first, Signal::SIGKILL).unwrap();
        until("another server answers", || {
            data.server_pid().is_some_and(|pid| pid != first)
                && psql(&server.url(), "select * from survived").status.success()
        })
        .await;
    }
    drop(server);
    until("the server has ended", || data.server_pid().is_none()).await;
}

#[tokio::test]
async fn works_below_a_directory_that_only_its_owner_may_enter() {
    let data = Data::new(0o700, "data");
    let server = start(&data).await;
    assert_eq!(ask(&server.url(), "create table t (); select 1"), "1");
    assert_eq!(data.dir.join("postgres").is_symlink(), geteuid().is_root());
    if let Ok(home) = fs::read_link(data.dir.join("postgres")) {
        // The account passes through the one to the other; nobody can list either.
        let modes = [home.parent().unwrap(), &home].map(|dir| fs::metadata(dir).unwrap().mode() & 0o777);
        assert_eq!(modes, [0o711, 0o700]);
    }
    assert_eq!(data.options().running(), Some(server.url()));
    server.stop().await;

    let server = start(&data).await;
    assert_eq!(ask(&server.url(), "select count(*) from t"), "0");
    server.stop().await;
}

#[tokio::test]
async fn works_where_a_socket_s_path_would_be_too_long() {
    let data = Data::new(0o755, &"d".repeat(150));
    let server = start(&data).await;
    assert_eq!(ask(&server.url(), "select 1"), "1");
    assert_eq!(data.options().running(), Some(server.url()));
    let socket_dir = ask(&server.url(), "show unix_socket_directories");
    assert!(socket_dir.starts_with("\"/tmp/private-postgres-"), "{socket_dir}");
    let socket_dir = PathBuf::from(socket_dir.trim_matches('"'));
    assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
    server.stop().await;

    // Somebody else's link under that name is not followed.
    assert!(!socket_dir.exists());
    std::os::unix::fs::symlink(data.root.path(), &socket_dir).unwrap();
    let error = data.options().start().await.unwrap_err().to_string();
    fs::remove_file(&socket_dir).unwrap();
    assert!(error.contains("is not a directory of the account"), "{error}");
}
