//! A PostgreSQL that speaks TLS with a certificate as old programs make them.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sobot_hook::private_server;
use support::service::{Service, program};
use support::until;
use support::wire::message;
use tempfile::TempDir;

const AT: i64 = 1_760_000_000_000;

/// A server on a port of loopback, with a self-made certificate of X.509 version 1.
struct TlsServer {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl TlsServer {
    /// `access`: what `pg_hba.conf` says of connections over TCP.
    async fn start(access: &str, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        // Made and stopped by the library, which would open no port; then started by hand.
        let made = private_server::options(directory.path()).start().await.unwrap();
        let postgres = made.bin_dir().join("postgres");
        made.stop().await;
        let home = directory.path().join("postgres");
        certificate(&home);
        std::fs::write(home.join("hba.conf"), access).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = run(&postgres, &home, port, settings);
        let server = Self { child, port, _directory: directory };
        // It listens earlier, and sends everybody away.
        let status = home.join("cluster/postmaster.pid");
        let is_ready = async || std::fs::read_to_string(&status).is_ok_and(|status| status.contains("ready"));
        until("it takes connections", is_ready).await;
        server
    }

    fn url(&self, mode: &str) -> String {
        format!("postgres://sobot_hook:hidden@127.0.0.1:{}/sobot_hook{mode}", self.port)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

fn run(postgres: &Path, home: &Path, port: u16, more: &[&str]) -> Child {
    let owner = home.metadata().unwrap();
    let mut command = Command::new(postgres);
    if nix::unistd::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let file = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", file("socket")),
        format!("hba_file={}", file("hba.conf")),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", file("v1.crt")),
        format!("ssl_key_file={}", file("v1.key")),
    ];
    for setting in settings.iter().map(String::as_str).chain(more.iter().copied()) {
        command.args(["-c", setting]);
    }
    command.arg("-D").arg(home.join("cluster")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Signed without extensions, as `openssl x509 -req` does, it is of version 1.
fn certificate(home: &Path) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(home).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    openssl(&[
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old", "-keyout", "v1.key", "-out", "v1.csr",
    ]);
    openssl(&["x509", "-req", "-in", "v1.csr", "-signkey", "v1.key", "-out", "v1.crt"]);
    assert!(openssl(&["x509", "-in", "v1.crt", "-noout", "-text"]).contains("Version: 1"));
    let (key, owner): (PathBuf, _) = (home.join("v1.key"), home.metadata().unwrap());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    chown(&key, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn migrate(url: &str) -> (Option<i32>, String) {
    let output = program().arg("migrate").env("DATABASE_URL", url).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn an_old_certificate_is_passed_by_where_tls_is_only_preferred() {
    let server = TlsServer::start("host all all 127.0.0.1/32 trust\n", &[]).await;
    let service = Service::start(&server.url(""));
    assert_eq!(service.post(message("2", "1", "m", AT, "x")).await.0, 200);
    until("it is stored, not spooled", async || {
        service.metric(r#"sobot_hook_events_total{kind="message",outcome="stored"}"#).await == 1
    })
    .await;
    assert!(service.log().contains("sslmode=disable"), "what to set is told: {}", service.log());
    for command in [&["rebuild", "--check"][..], &["replay"]] {
        let output = program().args(command).env("DATABASE_URL", server.url("?sslmode=prefer")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // Where it is demanded, nothing goes without it.
    for mode in ["?sslmode=require", "?sslmode=verify-full"] {
        let (code, said) = migrate(&server.url(mode));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("version 3") && said.contains("sslmode=disable"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_insists_on_tls_with_an_old_certificate_is_told_as_such() {
    let server = TlsServer::start("hostssl all all 127.0.0.1/32 trust\n", &[]).await;
    let (code, said) = migrate(&server.url(""));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("certificate") && said.contains("version 3"), "{said}");
}

#[tokio::test]
async fn a_server_whose_tls_is_too_old_is_handled_alike() {
    let old = ["ssl_min_protocol_version=TLSv1", "ssl_max_protocol_version=TLSv1.1"];
    let server = TlsServer::start("host all all 127.0.0.1/32 trust\n", &old).await;
    let (code, said) = migrate(&server.url(""));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = migrate(&server.url("?sslmode=require"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("TLS with PostgreSQL failed") && said.contains("sslmode=disable"), "{said}");
}
