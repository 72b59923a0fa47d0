//! `postmaster.pid`, by which a running server makes itself known in its cluster.
//!
//! The file outlives a server that was killed, and process ids are used again, in a container within seconds. So a
//! file alone proves nothing: the process must also turn out to be a PostgreSQL server of that very cluster.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::error::Error;

/// How long a server gets to end by itself. A fast shutdown writes a checkpoint: seconds, on a slow disk a few more.
pub(crate) const FAST_WITHIN: Duration = Duration::from_secs(30);

/// How long it gets for an immediate shutdown, which writes nothing but waits 5 s for its children.
pub(crate) const IMMEDIATE_WITHIN: Duration = Duration::from_secs(10);

/// How often a process that is not our child is looked at while it ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a server wrote about itself; fields come one by one while it starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    /// The server's process id, positive.
    pub pid: i32,
    /// The port, which is part of the socket's name.
    pub port: Option<u16>,
    /// The directory of the socket.
    pub socket_dir: Option<PathBuf>,
    /// Whether connections are accepted.
    pub ready: bool,
}

impl PidFile {
    /// Reads the file of `cluster`; `None` if there is none or it does not begin with a process id.
    pub fn read(cluster: &Path) -> Option<Self> {
        Self::parse(&fs::read(path(cluster)).ok()?)
    }

    /// The lines are: pid, cluster, start time, port, socket directory, address, shared memory key, state.
    fn parse(content: &[u8]) -> Option<Self> {
        let lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
        let text = |index: usize| {
            let line = std::str::from_utf8(lines.get(index)?).ok()?.trim();
            (!line.is_empty()).then_some(line)
        };
        // A single-user server writes its id negated.
        let pid = text(0)?.parse::<i32>().ok()?.checked_abs()?;
        Some(Self {
            pid: (pid > 0).then_some(pid)?,
            port: text(3).and_then(|port| port.parse().ok()),
            socket_dir: text(4).map(PathBuf::from),
            ready: text(7) == Some("ready"),
        })
    }

    /// The file of the server that runs on `cluster` now; `None` if none does.
    pub fn of_running(cluster: &Path) -> Option<Self> {
        Self::read(cluster).filter(|file| serves(file.pid, cluster))
    }
}

/// Leaves `cluster` without a server and without a pid file that would keep the next one from starting.
///
/// The caller owns the data directory, so a server found here lost the process that ran it. It is not adopted but ended: it may
/// be of an older configuration, and only a child's death is noticed at once.
///
/// # Errors
///
/// [`Error::OrphanStays`] if it does not end, [`Error::Io`] if a stale file cannot be removed.
pub(crate) async fn clear(cluster: &Path) -> Result<(), Error> {
    let Some(file) = PidFile::read(cluster) else {
        return Ok(());
    };
    let pid = file.pid;
    if serves(pid, cluster) {
        tracing::info!(pid, "stopping the database server that an earlier process left behind");
        if !ends(pid, cluster, Signal::SIGINT, FAST_WITHIN).await
            && !ends(pid, cluster, Signal::SIGQUIT, IMMEDIATE_WITHIN).await
        {
            return Err(Error::OrphanStays { pid, cluster: cluster.to_path_buf() });
        }
    }
    // PostgreSQL itself would refuse to start when the id now belongs to any other process of the same user. Should a
    // child of the old server still live, the shared memory segment it is attached to keeps the new one out.
    match fs::remove_file(path(cluster)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path(cluster))(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Sends `signal` and tells whether the server was gone in time.
async fn ends(pid: i32, cluster: &Path, signal: Signal, within: Duration) -> bool {
    // A failure shows in the process staying.
    let _ = signal::kill(Pid::from_raw(pid), signal);
    let gone = async {
        while serves(pid, cluster) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(within, gone).await.is_ok()
}

fn path(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

/// Whether `pid` is alive and a PostgreSQL server of `cluster`.
fn serves(pid: i32, cluster: &Path) -> bool {
    if signal::kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    if Path::new("/proc/self/cmdline").exists() { serves_by_proc(pid, cluster) } else { serves_by_ps(pid, cluster) }
}

/// Linux tells a process's arguments to everybody, even where a container's root may not look at its directory.
fn serves_by_proc(pid: i32, cluster: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    // A process that has ended and waits for its parent has no arguments.
    let Ok(arguments) = fs::read(proc.join("cmdline")) else {
        return false;
    };
    let mut arguments = arguments.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let program = arguments.next().map(Path::new).and_then(Path::file_name);
    if !program.is_some_and(|name| name == "postgres" || name == "postmaster") {
        return false;
    }
    let Ok(cluster) = fs::canonicalize(cluster) else {
        return false;
    };
    let named = arguments.skip_while(|argument| *argument != "-D").nth(1);
    // A server that somebody started by hand may have got its cluster in another way, but always works in it.
    [named.map(PathBuf::from), Some(proc.join("cwd"))]
        .into_iter()
        .flatten()
        .any(|dir| fs::canonicalize(dir).is_ok_and(|dir| dir == cluster))
}

/// Elsewhere `ps` prints the arguments in one line. The server was started with the cluster's path as given here.
fn serves_by_ps(pid: i32, cluster: &Path) -> bool {
    let Ok(output) = Command::new("ps").args(["-ww", "-o", "command=", "-p"]).arg(pid.to_string()).output() else {
        return false;
    };
    let line = String::from_utf8_lossy(&output.stdout);
    let (Some(cluster), Some((program, arguments))) = (cluster.to_str(), line.split_once(" -D ")) else {
        return false;
    };
    let rest = arguments.strip_prefix(cluster);
    program.ends_with("postgres") && rest.is_some_and(|rest| rest.starts_with([' ', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_while_it_grows() {
        let full = b"4711\n/d/cluster\n1700000000\n5432\n/d/socket\n\n 123 456\nready   \n";
        assert_eq!(
            PidFile::parse(full),
            Some(PidFile { pid: 4711, port: Some(5432), socket_dir: Some(PathBuf::from("/d/socket")), ready: true })
        );
        let partial = PidFile::parse(b"4711\n/d/cluster\n").unwrap();
        assert_eq!((partial.pid, partial.port, partial.ready), (4711, None, false));
        assert_eq!(PidFile::parse(b"-12\n").unwrap().pid, 12);
        for none in [&b""[..], b"\n", b"0\n", b"x\n"] {
            assert_eq!(PidFile::parse(none), None);
        }
    }

    #[test]
    fn this_process_serves_no_cluster() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let here = std::env::current_dir().unwrap();
        assert!(!serves_by_proc(pid, &here));
        assert!(!serves_by_ps(pid, &here));
    }
}
