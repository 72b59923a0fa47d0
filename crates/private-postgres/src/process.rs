//! One process of the server, from its readiness to its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::error::{Error, last_lines};
use crate::pid_file::{FAST_WITHIN, IMMEDIATE_WITHIN, PidFile};

/// Recovery after a crash replays up to `max_wal_size`; this is minutes only on a very slow disk.
const READY_WITHIN: Duration = Duration::from_mins(5);

/// How often the pid file is read while the server starts.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How much of a log is read for its last lines, from the end: 8 KiB.
const SAID_BYTES: u64 = 8 * 1024;

/// A server process that is our child. Dropping it asks the server to end and does not wait.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where this process's lines begin in the log, in bytes.
    log_start: u64,
}

impl Process {
    /// Takes charge of a process that appends to `log`, which is `log_start` bytes long so far.
    pub fn new(child: Child, log: PathBuf, log_start: u64) -> Self {
        Self { child, log, log_start }
    }

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
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(self.log_start.max(end.saturating_sub(SAID_BYTES))))?;
            file.take(SAID_BYTES).read_to_end(&mut log)
        });
        last_lines(&log)
    }

    /// Passes itself on as soon as it accepts connections, which it announces in its pid file.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`], [`Error::NotReady`] or [`Error::Io`].
    pub async fn ready(mut self, cluster: &Path) -> Result<Self, Error> {
        let announced = async {
            loop {
                match self.child.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => return Err(self.ended_at_once(status)),
                    Err(error) => return Err(Error::io("wait for", cluster)(error)),
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
                let error =
                    Error::NotReady { waited_s: READY_WITHIN.as_secs(), log: self.log.clone(), said: self.said() };
                self.shut_down().await;
                Err(error)
            }
        }
    }

    fn ended_at_once(&self, status: ExitStatus) -> Error {
        Error::Ended { status, log: self.log.clone(), said: self.said() }
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

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}
