//! `PgBouncer` before a server, on a port of its own.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::Uid;
use tempfile::TempDir;

use super::until;

/// A running `PgBouncer`; dropping it ends it.
pub struct Pooler {
    process: Child,
    program: PathBuf,
    /// The server's.
    socket: PathBuf,
    port: u16,
    directory: TempDir,
}

/// Debian has it where only root's `PATH` leads.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.map(|directory| directory.join("pgbouncer")).find(|program| program.exists())
}

async fn launch(program: &Path, socket: &Path, directory: &Path, port: u16, settings: &str) -> Child {
    let file = directory.join("pgbouncer.ini");
    let host = socket.parent().unwrap().display();
    let text = format!(
        "[databases]\n* = host={host} port=5432 user=sobot_hook\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    command.arg("--quiet").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if Uid::effective().is_root() {
        // It refuses root; whom the server trusts may enter the socket's directory.
        let owner = std::fs::metadata(socket).unwrap();
        command.uid(owner.uid()).gid(owner.gid());
    }
    let process = command.spawn().unwrap();
    until("PgBouncer listens", async || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    process
}

impl Pooler {
    /// Starts one with these settings before the server of this socket. `None`, with a line that says so, where `PgBouncer`
    /// is not installed.
    pub async fn start(socket: &Path, settings: &str) -> Option<Self> {
        let Some(program) = program() else {
            // Also where the output of tests that pass is not shown.
            let _ = writeln!(std::io::stderr(), "SKIPPED: PgBouncer is not installed; ./dev test installs it");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let socket = socket.to_owned();
        let process = launch(&program, &socket, directory.path(), port, settings).await;
        Some(Self { process, program, socket, port, directory })
    }

    /// Ends it and starts it with other settings.
    pub async fn restart(&mut self, settings: &str) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = launch(&self.program, &self.socket, self.directory.path(), self.port, settings).await;
    }

    /// The way to a database of the server through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://sobot_hook@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
