//! PostgreSQL away, slow or back, the disk full or damaged: what was acknowledged is never lost.

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::Value;
use sqlx::Executor;
use support::database::{Server, connect, count, create};
use support::disk::Disk;
use support::service::{Service, program, program_at};
use support::until;
use support::wire::message;

const AT: i64 = 1_760_000_000_000;

fn serve(url: &str, data_dir: &Path, environment: &[(&str, &str)]) -> Service {
    let mut environment = environment.to_vec();
    environment.push(("SOBOT_HOOK__STORAGE__DATA_DIR", data_dir.to_str().unwrap()));
    Service::start_with(url, &environment)
}

async fn readiness(service: &Service) -> (u16, Value) {
    let (status, text) = service.get("/readyz").await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn until_drained(service: &Service) {
    until("the spool is drained", async || {
        let (_, readiness) = readiness(service).await;
        readiness["spool"]["entries"] == 0 && readiness["database"] == "ok"
    })
    .await;
}

/// Posts messages until one is refused, and tells which were acknowledged.
async fn post_until_refused(service: &Service, text: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let mid = format!("full-{number}");
        match service.post(message("2", "1", &mid, AT + number, text)).await.0 {
            200 => acknowledged.push(mid),
            503 => break,
            status => panic!("{status}"),
        }
    }
    acknowledged
}

async fn assert_journaled_once(url: &str, acknowledged: &[String]) {
    let pool = connect(url);
    let mids: Vec<String> =
        sqlx::query_scalar("select body->'message'->>'mid' from events order by 1").fetch_all(&pool).await.unwrap();
    let mut expected = acknowledged.to_vec();
    expected.sort();
    assert_eq!(mids, expected);
    pool.close().await;
}

#[tokio::test]
async fn what_is_acknowledged_while_postgresql_is_away_survives_kill_9_and_is_stored_when_it_is_back() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let mut service = serve(&url, directory.path(), &[]);
    let mut acknowledged = Vec::new();
    let mut post = async |service: &Service, mid: String| {
        assert_eq!(service.post(message("2", "1", &mid, AT, "x")).await, (200, "EVENT_RECEIVED".to_owned()), "{mid}");
        acknowledged.push(mid);
    };
    post(&service, "before".to_owned()).await;
    server.stop();
    for number in 0..200 {
        post(&service, format!("away-{number}")).await;
    }
    assert_eq!(service.post("no JSON at all").await.0, 400);
    let (status, parts) = readiness(&service).await;
    assert_eq!((status, &parts["spool"]["state"], &parts["spool"]["entries"]), (200, &"ok".into(), &201.into()));
    assert_ne!(parts["database"], "ok");
    assert_eq!(service.get("/healthz").await.0, 200);
    service.kill();

    // It starts without PostgreSQL, too.
    let service = serve(&url, directory.path(), &[]);
    post(&service, "after-kill".to_owned()).await;
    let shown = program().args(["spool"]).env("SOBOT_HOOK__STORAGE__DATA_DIR", directory.path()).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().starts_with("entries 202\n"));
    server.resume();
    until_drained(&service).await;
    post(&service, "back".to_owned()).await;
    assert_journaled_once(&url, &acknowledged).await;
    let pool = connect(&url);
    assert_eq!(count(&pool, "select count(*) from quarantine where raw = 'no JSON at all'").await, 1);
    pool.close().await;
    assert_eq!(
        service.metric("sobot_hook_events_received_total").await,
        service.metric("sobot_hook_events_total").await
    );
}

#[tokio::test]
async fn a_full_spool_refuses_and_takes_again_when_there_is_space() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let service = serve(
        &url,
        directory.path(),
        &[("SOBOT_HOOK__SPOOL__MAX_BYTES", "1048576"), ("SOBOT_HOOK__HTTP__BODY_LIMIT_BYTES", "100000")],
    );
    server.stop();
    let mut acknowledged = post_until_refused(&service, &"x".repeat(50_000)).await;
    assert!((15..21).contains(&acknowledged.len()), "{}", acknowledged.len());
    let answer = service.client.post(&service.webhook).body("x".repeat(60_000)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    let (status, parts) = readiness(&service).await;
    assert_eq!((status, &parts["spool"]["state"]), (503, &"full".into()), "{parts}");
    server.resume();
    until_drained(&service).await;
    assert_eq!(service.post(message("2", "1", "again", AT, "x")).await.0, 200);
    acknowledged.push("again".to_owned());
    assert_journaled_once(&url, &acknowledged).await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_takes_again_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::mount(4 << 20, directory.path());
    let Some(disk) = disk else { return eprintln!("not tried: only root can mount a small disk") };
    let mut server = Server::start();
    let url = create(&server).await;
    let service = serve(&url, directory.path(), &[]);
    server.stop();
    let mut acknowledged = post_until_refused(&service, &"x".repeat(50_000)).await;
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    assert_eq!(readiness(&service).await.0, 503);
    disk.resize(16 << 20);
    until("there is space", async || {
        let mid = format!("space-{}", acknowledged.len());
        let status = service.post(message("2", "1", &mid, AT, &"x".repeat(50_000))).await.0;
        if status == 200 {
            acknowledged.push(mid);
        }
        status == 200
    })
    .await;
    server.resume();
    until_drained(&service).await;
    assert_journaled_once(&url, &acknowledged).await;
}

#[tokio::test]
async fn a_damaged_spool_is_set_aside_and_what_can_be_read_goes_on() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let mut service = serve(&url, directory.path(), &[]);
    server.stop();
    for number in 0..300 {
        assert_eq!(service.post(message("2", "1", &format!("m{number:03}"), AT, &"x".repeat(2_000))).await.0, 200);
    }
    // A clean end puts everything into the one file.
    service.terminate().await;
    let spool = directory.path().join("spool");
    let file = spool.join("spool.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xAA);
    std::fs::write(&file, &bytes).unwrap();

    let service = serve(&url, directory.path(), &[]);
    assert!(service.log().contains("the spool is damaged"), "{}", service.log());
    assert_eq!(service.post(message("2", "1", "new", AT, "x")).await.0, 200);
    server.resume();
    until_drained(&service).await;
    let pool = connect(&url);
    let stored = count(&pool, "select count(*) from events where body->'message'->>'text' like 'xxx%'").await;
    assert!((200..300).contains(&stored), "{stored}");
    assert_eq!(
        count(&pool, "select count(*) from events where body->'message'->>'mid' in ('m000', 'm299', 'new')").await,
        3
    );
    pool.close().await;
    let mut beside = std::fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().path());
    let aside = beside.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("damaged-")).unwrap();
    assert_eq!(std::fs::read(aside.join("spool.sqlite")).unwrap(), bytes);
}

/// Every file and directory below with its permissions, if anybody but the owner has some.
fn open_to_others(directory: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
        if mode != if path.is_dir() { 0o700 } else { 0o600 } {
            open.push(format!("{} {mode:o}", path.display()));
        }
        if path.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}

fn serve_with_umask(umask: &str, url: &str, data_dir: &Path) -> Service {
    let mut shell = program_at(Path::new("/bin/sh"));
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_sobot-hook")]);
    Service::start_program(shell, url, &[("SOBOT_HOOK__STORAGE__DATA_DIR", data_dir.to_str().unwrap())])
}

#[tokio::test]
async fn what_waits_is_its_owner_s_alone_whatever_the_umask_and_whatever_was_before() {
    let (nowhere, directory) = ("postgres://nobody@127.0.0.1:1/none", tempfile::tempdir().unwrap());
    let data_dir = directory.path().join("data");
    for umask in ["000", "777"] {
        let mut service = serve_with_umask(umask, nowhere, &data_dir);
        for mid in ["a", "b"] {
            assert_eq!(service.post(message("2", "1", mid, AT, &"x".repeat(10_000))).await.0, 200);
        }
        // With the log and the shared memory of SQLite beside the file.
        assert!(data_dir.join("spool/spool.sqlite-wal").exists());
        assert_eq!(open_to_others(&data_dir), [""; 0]);
        assert_eq!(service.terminate().await.code(), Some(0));
    }

    // Left by a version that knew better of others, with a file that is damaged.
    let spool = data_dir.join("spool");
    for old in ["damaged-20260101T000000000000", "salvage"] {
        std::fs::create_dir(spool.join(old)).unwrap();
        std::fs::write(spool.join(old).join("spool.sqlite"), "old").unwrap();
    }
    for entry in [&data_dir, &spool].into_iter().flat_map(|place| std::fs::read_dir(place).unwrap()) {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    std::fs::write(spool.join("spool.sqlite"), "no database at all, but long enough to be read as one".repeat(20))
        .unwrap();
    let service = serve_with_umask("000", nowhere, &data_dir);
    assert!(service.log().contains("the spool is damaged"), "{}", service.log());
    assert_eq!(service.post(message("2", "1", "c", AT, "x")).await.0, 200);
    assert_eq!(open_to_others(&data_dir), [""; 0]);
}

/// `sobot-hook spool` by somebody to whom the directory is closed.
fn looked_into_by_a_stranger(data_dir: &Path) -> std::process::Output {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    // Where the program lies, others may not be able to go.
    let copy = place.path().join("sobot-hook");
    std::fs::copy(env!("CARGO_BIN_EXE_sobot-hook"), &copy).unwrap();
    let mut stranger = program_at(&copy);
    stranger.current_dir(place.path()).arg("spool").env("SOBOT_HOOK__STORAGE__DATA_DIR", data_dir);
    if nix::unistd::geteuid().is_root() {
        stranger.uid(65_534).gid(65_534);
    } else {
        std::fs::set_permissions(data_dir.join("spool"), Permissions::from_mode(0o000)).unwrap();
    }
    let output = stranger.output().unwrap();
    std::fs::set_permissions(data_dir.join("spool"), Permissions::from_mode(0o700)).unwrap();
    output
}

#[tokio::test]
async fn a_spool_that_may_not_be_read_is_not_shown_as_empty() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let data_dir = directory.path().join("data");
    let service = serve("postgres://nobody@127.0.0.1:1/none", &data_dir, &[]);
    assert_eq!(service.post(message("2", "1", "a", AT, "x")).await.0, 200);
    let output = tokio::task::spawn_blocking(move || looked_into_by_a_stranger(&data_dir)).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{said}");
    assert!(said.contains("the user who runs the service") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn an_interrupted_change_of_files_is_finished_at_the_next_start() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let mut service = serve(&url, directory.path(), &[]);
    server.stop();
    for number in 0..20 {
        assert_eq!(service.post(message("2", "1", &format!("m{number:02}"), AT, "x")).await.0, 200);
    }
    service.terminate().await;
    // As if killed after the damaged file had been moved away, before the new one took its place.
    let spool = directory.path().join("spool");
    std::fs::create_dir(spool.join("ready")).unwrap();
    std::fs::rename(spool.join("spool.sqlite"), spool.join("ready/spool.sqlite")).unwrap();
    let service = serve(&url, directory.path(), &[]);
    server.resume();
    until_drained(&service).await;
    assert_journaled_once(&url, &(0..20).map(|number| format!("m{number:02}")).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn bodies_of_many_events_are_drained_a_thousand_events_at_a_time() {
    let server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let service = serve(&url, directory.path(), &[]);
    let pool = connect(&url);
    let mut blocker = pool.begin().await.unwrap();
    blocker.execute("lock table events in exclusive mode").await.unwrap();
    for body in 0..6 {
        let events: Vec<_> = (0..5_000).map(|number| (body * 5_000 + number).to_string()).collect();
        let body = format!(r#"{{"entry":[{{"id":"1","time":{AT},"messaging":[{}]}}]}}"#, events.join(","));
        assert_eq!(service.post(body).await.0, 200);
    }
    blocker.rollback().await.unwrap();
    until_drained(&service).await;
    assert_eq!(count(&pool, "select count(*) from events").await, 30_000);
    pool.close().await;
}

#[tokio::test]
async fn a_spool_that_cannot_be_used_costs_nothing_while_postgresql_is_there() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    std::fs::write(directory.path().join("spool"), "a file where the directory should be").unwrap();
    let service = serve(&url, directory.path(), &[]);
    assert_eq!(service.post(message("2", "1", "stored", AT, "x")).await.0, 200);
    assert_eq!(readiness(&service).await.0, 200);
    server.stop();
    assert_eq!(service.post(message("2", "1", "refused", AT, "x")).await.0, 503);
    // Anyone may ask: neither a path nor the system's words.
    let (status, parts) = readiness(&service).await;
    assert_eq!((status, &parts["spool"]["state"]), (503, &"unusable".into()), "{parts}");
    // The sender alone sees the answers: the log has their code, once.
    for _ in 0..5 {
        assert_eq!(service.post(message("2", "1", "refused", AT, "x")).await.0, 503);
    }
    until("it is in the log", async || service.log().contains(r#""code":"not_stored""#)).await;
    assert_eq!(service.log().matches(r#""code":"not_stored""#).count(), 1, "{}", service.log());
    server.resume();
    until("it stores again", async || service.post(message("2", "1", "again", AT, "x")).await.0 == 200).await;
    assert_journaled_once(&url, &["stored".to_owned(), "again".to_owned()]).await;
}

#[tokio::test]
async fn slow_is_handled_as_away() {
    let server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let service = serve(&url, directory.path(), &[]);
    assert_eq!(service.post(message("2", "1", "before", AT, "x")).await.0, 200);
    let pool = connect(&url);
    let mut blocker = pool.begin().await.unwrap();
    blocker.execute("lock table conversations in exclusive mode").await.unwrap();
    assert_eq!(service.post(message("2", "1", "during", AT, "x")).await.0, 200);
    let (status, parts) = readiness(&service).await;
    assert_eq!((status, &parts["spool"]["entries"]), (200, &1.into()));
    blocker.rollback().await.unwrap();
    until_drained(&service).await;
    pool.close().await;
    assert_journaled_once(&url, &["before".to_owned(), "during".to_owned()]).await;
}

#[tokio::test]
async fn a_poisoned_body_leaves_the_spool_for_the_quarantine() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let service = serve(&url, directory.path(), &[]);
    let pool = connect(&url);
    pool.execute("alter table messages add constraint no_such check (text <> 'poison')").await.unwrap();
    pool.close().await;
    server.stop();
    for (mid, text) in [("a", "x"), ("b", "poison"), ("c", "x")] {
        assert_eq!(service.post(message("2", "1", mid, AT, text)).await.0, 200);
    }
    server.resume();
    until_drained(&service).await;
    assert_journaled_once(&url, &["a".to_owned(), "c".to_owned()]).await;
    let pool = connect(&url);
    assert_eq!(count(&pool, "select count(*) from quarantine").await, 1);
    pool.close().await;
}

#[tokio::test]
async fn a_schema_that_is_made_anew_under_a_running_service_is_filled_again() {
    let server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let service = serve(&url, directory.path(), &[]);
    assert_eq!(service.post(message("2", "1", "gone", AT, "x")).await.0, 200);
    let pool = connect(&url);
    pool.execute("drop schema public cascade; create schema public").await.unwrap();
    pool.close().await;
    assert_eq!(service.post(message("2", "1", "kept", AT, "x")).await.0, 200);
    until_drained(&service).await;
    assert_eq!(service.post(message("2", "1", "later", AT, "x")).await.0, 200);
    assert_journaled_once(&url, &["kept".to_owned(), "later".to_owned()]).await;
}

#[tokio::test]
async fn a_schema_of_a_newer_version_does_not_keep_the_spool_from_draining() {
    let mut server = Server::start();
    let (url, directory) = (create(&server).await, tempfile::tempdir().unwrap());
    let service = serve(&url, directory.path(), &[]);
    let pool = connect(&url);
    pool.execute(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'newer', true, '', 0)",
    )
    .await
    .unwrap();
    pool.close().await;
    server.stop();
    assert_eq!(service.post(message("2", "1", "away", AT, "x")).await.0, 200);
    server.resume();
    until_drained(&service).await;
    assert_journaled_once(&url, &["away".to_owned()]).await;
}
