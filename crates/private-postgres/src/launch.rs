//! Starting the server's process: its settings, its log and its patience.
//!
//! Settings are given as arguments, because those outrank every configuration file of the cluster and whatever
//! `alter system` wrote there. Of two arguments the later one holds: the caller's come before [`GUARANTEES`].

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::account::Account;
use crate::address::PORT;
use crate::binaries::Binaries;
use crate::error::Error;
use crate::home::Home;
use crate::process::Process;

/// The settings that carry what this library guarantees.
///
/// The log can hold no text of a statement: errors of statements, which may quote a value, are left out of it (`log` ranks
/// above `error` here), as are statements, their parameters and the details of whatever is logged.
const GUARANTEES: [&str; 17] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
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

/// The processes of a killed server need a moment to notice; until then a new one refuses to start. 25 × 400 ms = 10 s.
const ATTEMPTS: u32 = 25;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(400);

/// A log that grew beyond this is set aside as `server.log.old` at the next start: 8 MiB.
const LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Everything that is needed to start the server, any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    home: Home,
    account: Account,
    binaries: Binaries,
    /// Names and values, those that shall hold last.
    settings: Vec<(String, String)>,
}

impl Launch {
    /// Prepares to serve the complete cluster in `home`.
    pub async fn prepare(home: Home, account: Account, binaries: Binaries, settings: Vec<(String, String)>) -> Self {
        let mut launch = Self { home, account, binaries, settings };
        // Cheap enough to be always on, but not part of every build. The default method costs more than it saves.
        if launch.accepts("wal_compression", "lz4").await {
            launch.settings.insert(0, ("wal_compression".to_owned(), "lz4".to_owned()));
        }
        launch
    }

    /// The cluster that is served.
    pub fn cluster(&self) -> PathBuf {
        self.home.cluster()
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`], [`Error::NotReady`], [`Error::Spawn`] or [`Error::Io`].
    pub async fn start(&self) -> Result<Process, Error> {
        let mut attempt = 1;
        loop {
            match self.spawn()?.ready(&self.home.cluster()).await {
                Err(Error::Ended { said, .. }) if attempt < ATTEMPTS && said.contains("is still in use") => {
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                done => return done,
            }
        }
    }

    /// Starts the server and returns at once.
    pub fn spawn(&self) -> Result<Process, Error> {
        let log = self.home.log();
        let (file, log_start) = open_log(&log, &self.account).map_err(Error::io("open", &log))?;
        let second = file.try_clone().map_err(Error::io("open", &log))?;
        let postgres = &self.binaries.postgres;
        let mut command = self.account.command(postgres, &self.home.dir);
        command.arg("-D").arg(self.home.cluster());
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        for setting in GUARANTEES {
            command.args(["-c", setting]);
        }
        let child = command
            .arg("-c")
            .arg(format!("port={PORT}"))
            .arg("-c")
            .arg(socket_setting(&self.home.socket_dir))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(second)
            // Ctrl-C goes to the terminal's process group; the caller finishes its work first and then ends the server.
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn { program: postgres.clone(), account: self.account.name.clone(), source })?;
        Ok(Process::new(child, log, log_start))
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

/// The setting takes a list, in which a quoted name may hold spaces.
fn socket_setting(dir: &Path) -> OsString {
    let mut setting = OsString::from("unix_socket_directories=\"");
    setting.push(dir);
    setting.push("\"");
    setting
}

/// Opens the log for appending and tells how long it is.
///
/// Its directory belongs to another account when the caller is root, so a symbolic link in its place is refused.
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
