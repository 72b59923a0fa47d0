//! Running the server's process: its settings, its log, its beginning and its end.
//!
//! Settings are given as arguments, because those outrank every configuration file of the cluster and whatever
//! `alter system` wrote there.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::process::Child;

use super::PORT;
use super::account::Account;
use super::binaries::Binaries;
use super::error::{PostgresError, last_lines};
use super::home::Home;
use super::pid_file::{FAST_WITHIN, IMMEDIATE_WITHIN, PidFile};

/// Settings that do not depend on the machine.
///
/// The log can hold no message text: errors of statements, which may quote a value, are left out of it (`log` ranks
/// above `error` here), as are statements, their parameters and the details of whatever is logged.
const SETTINGS: [&str; 20] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=50",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "log_destination=stderr",
    "logging_collector=off",
    "log_line_prefix=%m [%p] ",
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_statement=none",
    "log_min_duration_statement=-1",
    "log_parameter_max_length=0",
    "log_parameter_max_length_on_error=0",
    "log_checkpoints=off",
    "lc_messages=C",
];

/// Recovery after a crash replays up to `max_wal_size`; this is minutes only on a very slow disk.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// How often the pid file is read while the server starts.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The processes of a killed server need a moment to notice; until then a new one refuses to start. 25 × 400 ms = 10 s.
const ATTEMPTS: u32 = 25;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(400);

/// A log that grew beyond this is set aside as `server.log.old` at the next start: 8 MiB.
const LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Everything that is needed to start the server, any number of times.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    home: Home,
    account: Account,
    binaries: Binaries,
    wal_compression: &'static str,
}

/// A server process that is our child. Dropping it asks the server to end and does not wait.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: PathBuf,
    /// Where this process's lines begin in the log, in bytes.
    log_start: u64,
}

impl Launch {
    /// Prepares to serve the complete cluster in `home`.
    pub async fn prepare(home: Home, account: Account, binaries: Binaries) -> Self {
        let mut launch = Self { home, account, binaries, wal_compression: "off" };
        // Cheap enough to be always on, but not part of every build. The default method costs more than it saves.
        if launch.accepts("wal_compression", "lz4").await {
            launch.wal_compression = "lz4";
        }
        launch
    }

    /// The log that every server started from here appends to.
    pub fn log(&self) -> PathBuf {
        self.home.dir.join("server.log")
    }

    /// The cluster that is served.
    pub fn cluster(&self) -> PathBuf {
        self.home.cluster()
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// [`PostgresError::Ended`], [`PostgresError::NotReady`], [`PostgresError::Spawn`] or [`PostgresError::Io`].
    pub async fn start(&self) -> Result<Server, PostgresError> {
        let mut attempt = 1;
        loop {
            match self.spawn()?.ready(&self.home.cluster()).await {
                Err(PostgresError::Ended { said, .. }) if attempt < ATTEMPTS && said.contains("is still in use") => {
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                done => return done,
            }
        }
    }

    /// Starts the server and returns at once.
    pub fn spawn(&self) -> Result<Server, PostgresError> {
        let log = self.log();
        let (file, log_start) = open_log(&log, &self.account).map_err(PostgresError::io("open", &log))?;
        let second = file.try_clone().map_err(PostgresError::io("open", &log))?;
        let postgres = &self.binaries.postgres;
        let mut command = self.account.command(postgres, &self.home.dir);
        command.arg("-D").arg(self.home.cluster());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let child = command
            .arg("-c")
            .arg(format!("port={PORT}"))
            .arg("-c")
            .arg(format!("wal_compression={}", self.wal_compression))
            .arg("-c")
            .arg(socket_setting(&self.home.socket_dir))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(second)
            // Ctrl-C goes to the terminal's process group; the service drains first and then ends the server.
            .process_group(0)
            .spawn()
            .map_err(|source| PostgresError::Spawn {
                program: postgres.clone(),
                account: self.account.name.clone(),
                source,
            })?;
        Ok(Server { child, log, log_start })
    }

    /// Whether this build of the server accepts `value` for `setting`.
    async fn accepts(&self, setting: &str, value: &str) -> bool {
        self.account
            .command(&self.binaries.postgres, &self.home.dir)
            .arg("-D")
            .arg(self.home.cluster())
            .args(["-C", setting, "-c", &format!("{setting}={value}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await
            .is_ok_and(|status| status.success())
    }
}

impl Server {
    /// The process id; `None` once the process has been waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the process to end.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// The last lines this process logged, joined by ` | `.
    pub fn said(&self) -> String {
        let mut log = Vec::new();
        // The log explains an error that is reported anyway.
        let _ = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.log_start))?;
            file.take(LOG_BYTES).read_to_end(&mut log)
        });
        last_lines(&log)
    }

    /// Passes itself on as soon as it accepts connections, which it announces in its pid file.
    async fn ready(mut self, cluster: &Path) -> Result<Self, PostgresError> {
        let announced = async {
            loop {
                match self.child.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => return Err(self.ended_at_once(status)),
                    Err(error) => return Err(PostgresError::io("wait for", cluster)(error)),
                }
                let own = PidFile::read(cluster).filter(|file| u32::try_from(file.pid).ok() == self.child.id());
                if own.is_some_and(|file| file.ready) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(READY_WITHIN, announced).await {
            Ok(Ok(())) => Ok(self),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => {
                let error = PostgresError::NotReady {
                    waited_s: READY_WITHIN.as_secs(),
                    log: self.log.clone(),
                    said: self.said(),
                };
                self.shut_down().await;
                Err(error)
            }
        }
    }

    fn ended_at_once(&self, status: ExitStatus) -> PostgresError {
        PostgresError::Ended { status, log: self.log.clone(), said: self.said() }
    }

    /// Ends the server: fast, and at once if that takes too long. Open transactions are rolled back.
    pub async fn shut_down(&mut self) {
        for (signal, within) in [(Signal::SIGINT, FAST_WITHIN), (Signal::SIGQUIT, IMMEDIATE_WITHIN)] {
            self.signal(signal);
            if tokio::time::timeout(within, self.child.wait()).await.is_ok() {
                return;
            }
            tracing::warn!(signal = signal.as_str(), "the database server does not end");
        }
        if let Err(error) = self.child.kill().await {
            tracing::error!(error = %error, "the database server could not be killed");
        }
    }

    /// Sends a signal to a process that has not been waited for, so the id cannot be another's.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It fails only for a process that has ended just now, which is what is wanted.
            let _ = signal::kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}

/// The setting takes a list, in which a quoted name may hold spaces.
fn socket_setting(dir: &Path) -> OsString {
    let mut setting = OsString::from("unix_socket_directories=\"");
    setting.push(dir);
    setting.push("\"");
    setting
}

/// Opens the log for appending and tells how long it is.
///
/// Its directory belongs to another account when the service is root, so a symbolic link in its place is refused.
fn open_log(path: &Path, account: &Account) -> io::Result<(File, u64)> {
    if path.symlink_metadata().is_ok_and(|log| log.len() > LOG_BYTES) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    let file =
        OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
    let metadata = file.metadata()?;
    if metadata.uid() != account.uid {
        fchown(&file, Some(account.uid), Some(account.gid))?;
    }
    Ok((file, metadata.len()))
}
