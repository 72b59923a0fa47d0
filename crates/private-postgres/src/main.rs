//! `private-postgres`: runs a command with a PostgreSQL of its own. The library does the work.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use clap::Parser;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use private_postgres::{Options, Server};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};

/// What `env` and `timeout` answer, too: they failed themselves; the command cannot be run; there is no such command.
const FAILED: u8 = 125;
const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What shells add to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

/// Variables of libpq that would lead the command to another server.
const MISLEADING: [&str; 2] = ["PGHOSTADDR", "PGSERVICE"];

/// Runs COMMAND with a PostgreSQL server of its own
///
/// COMMAND finds the server in `DATABASE_URL`, and in `PGHOST`, `PGPORT`, `PGUSER` and `PGDATABASE`. `PATH` is extended
/// by the directory of the server's programs. When COMMAND has ended, the server is stopped. The exit code is COMMAND's;
/// 128 and the signal's number if a signal ended it; 127 if there is no such command, 126 if it cannot be run; 125 if
/// there is no server.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Keep the database below DIR; without this it is gone with the server
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The role that owns everything
    #[arg(long, value_name = "NAME", default_value = "postgres")]
    user: String,
    /// The database; made when the server first starts
    #[arg(long, value_name = "NAME", default_value = "postgres")]
    database: String,
    /// Where `postgres` and `initdb` are, if not in PATH or in one of the usual places
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Why there is no exit code of the command's.
struct Failure(u8, String);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to do when even this cannot be written.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS };
        }
    };
    let code = run(arguments).await.unwrap_or_else(|Failure(code, problem)| {
        eprintln!("private-postgres: {problem}");
        code
    });
    ExitCode::from(code)
}

/// Starts the server, runs the command, stops the server.
async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let signals = Signals::catch().map_err(|error| failed("catch signals", &error))?;
    let temporary = match arguments.data_dir {
        Some(_) => None,
        None => Some(temporary_dir().map_err(|error| failed("make a directory in /tmp", &error))?),
    };
    let data_dir = arguments.data_dir.or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()));
    let options = Options {
        user: arguments.user,
        database: arguments.database,
        bin_dir: arguments.bin_dir,
        ..Options::new(data_dir.unwrap_or_default())
    };
    let server = options.start().await.map_err(|error| Failure(FAILED, error.to_string()))?;
    let status = run_beside(&server, &arguments.command, signals).await;
    server.stop().await;
    let status = status?;
    let code = status.code().unwrap_or_else(|| BY_SIGNAL + status.signal().unwrap_or_default());
    Ok(u8::try_from(code).unwrap_or(FAILED))
}

/// A directory that the server's account can enter: below `/tmp`, whatever `TMPDIR` says, and open whatever the umask.
/// What is private about the server is closed one level below.
fn temporary_dir() -> io::Result<TempDir> {
    let dir = tempfile::Builder::new().prefix("private-postgres-").tempdir_in("/tmp")?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    Ok(dir)
}

/// Runs the command to its end.
async fn run_beside(server: &Server, words: &[OsString], signals: Signals) -> Result<ExitStatus, Failure> {
    let [program, arguments @ ..] = words else { unreachable!("the command line requires a command") };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::env::split_paths(&path).chain([server.bin_dir().to_owned()]));
    let mut command = Command::new(program);
    command.args(arguments).envs(server.environment()).envs(path.map(|path| ("PATH", path)));
    for name in MISLEADING {
        command.env_remove(name);
    }
    let child = command.spawn().map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
        Failure(code, format!("could not run {}: {error}", program.display()))
    })?;
    signals.wait_for(child).await.map_err(|error| failed("wait for the command", &error))
}

/// What would end this process before it has stopped the server. Caught before that is started, and kept until the
/// command is there.
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the command to end, and passes on to it what arrives meanwhile.
    async fn wait_for(mut self, mut child: Child) -> io::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status,
                // Ctrl-C: the terminal tells the command, too.
                _ = self.interrupt.recv() => continue,
                _ = self.terminate.recv() => Signal::SIGTERM,
                _ = self.hangup.recv() => Signal::SIGHUP,
            };
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                // It fails only for a command that has ended just now, which is what is wanted.
                let _ = signal::kill(Pid::from_raw(pid), signal);
            }
        }
    }
}

fn failed(to: &str, error: &io::Error) -> Failure {
    Failure(FAILED, format!("could not {to}: {error}"))
}
