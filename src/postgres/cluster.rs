//! Making the cluster, once.
//!
//! Guarantee: a directory called `cluster` is a complete cluster with the service's database in it, on disk. All work
//! is done in `cluster.new-<pid>`, whose renaming is the commit. A service killed before leaves only that directory,
//! which the next start removes. The name carries the process id because `initdb` may outlive a killed service for a
//! moment, and two of them must not write into one directory.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::account::Account;
use super::binaries::Binaries;
use super::error::{PostgresError, last_lines};
use super::home::Home;
use super::names::{DATABASE, SUPERUSER};
use super::private_dir;

/// The start of every unfinished cluster's name.
const UNFINISHED: &str = "cluster.new-";

/// The major version that made `cluster`; `None` if there is no cluster yet.
///
/// # Errors
///
/// [`PostgresError::NotACluster`] if the directory has no readable `PG_VERSION`.
pub(super) fn major(cluster: &Path) -> Result<Option<u32>, PostgresError> {
    let version = cluster.join("PG_VERSION");
    match fs::read_to_string(&version) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_number| PostgresError::NotACluster { cluster: cluster.to_path_buf() }),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(PostgresError::io("read", &version)(error)),
        Err(_) if cluster.symlink_metadata().is_ok() => {
            Err(PostgresError::NotACluster { cluster: cluster.to_path_buf() })
        }
        Err(_) => Ok(None),
    }
}

/// Removes what killed services left unfinished.
pub(super) fn remove_unfinished(home: &Home) -> Result<(), PostgresError> {
    let entries = home.dir.read_dir().map_err(PostgresError::io("list", &home.dir))?;
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            // An `initdb` that still writes there is in the way of nothing but tidiness: the next start tries again.
            tracing::warn!(
                path = %entry.path().display(),
                error = %error,
                "an unfinished database could not be removed"
            );
        }
    }
    Ok(())
}

/// Makes the cluster of a home that has none.
///
/// # Errors
///
/// [`PostgresError::Program`] with the last lines of the program that gave up, [`PostgresError::Spawn`] or
/// [`PostgresError::Io`].
pub(super) async fn create(home: &Home, account: &Account, binaries: &Binaries) -> Result<(), PostgresError> {
    let unfinished = home.dir.join(format!("{UNFINISHED}{}", std::process::id()));

    let mut initdb = account.command(&binaries.initdb, &home.dir);
    initdb
        .arg("--pgdata")
        .arg(&unfinished)
        .arg(format!("--username={SUPERUSER}"))
        // Nobody but the service can reach the socket, so it needs no password; there is no other way in.
        .args(["--auth-local=trust", "--auth-host=reject"])
        .args(["--encoding=UTF8", "--locale=C", "--data-checksums"])
        .stdin(Stdio::null());
    run(initdb, &binaries.initdb, account).await?;

    // A server without clients, so that the database exists before the cluster is in place.
    let mut single = account.command(&binaries.postgres, &home.dir);
    single
        .arg("--single")
        .arg("-D")
        .arg(&unfinished)
        .args(["-c", "exit_on_error=on", "postgres"])
        .stdin(statement(&format!("create database {DATABASE}\n"), home)?);
    run(single, &binaries.postgres, account).await?;

    let cluster = home.cluster();
    fs::rename(&unfinished, &cluster).map_err(PostgresError::io("put in place", &cluster))?;
    private_dir::sync(&home.dir)?;
    tracing::info!(
        cluster = %cluster.display(),
        version = binaries.major,
        account = account.name,
        "made a new database"
    );
    Ok(())
}

/// A pipe with one line in it, which fits into the kernel's buffer, so that nobody has to be writing.
fn statement(line: &str, home: &Home) -> Result<Stdio, PostgresError> {
    let (reader, mut writer) = std::io::pipe().map_err(PostgresError::io("open a pipe for", &home.dir))?;
    writer.write_all(line.as_bytes()).map_err(PostgresError::io("write a statement for", &home.dir))?;
    Ok(Stdio::from(reader))
}

/// Waits for a program to succeed. It is killed when the start is given up.
async fn run(mut command: Command, program: &Path, account: &Account) -> Result<(), PostgresError> {
    let output = command.kill_on_drop(true).output().await.map_err(|source| PostgresError::Spawn {
        program: program.to_path_buf(),
        account: account.name.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(PostgresError::Program {
        program: program.to_path_buf(),
        status: output.status,
        said: last_lines(&output.stderr),
    })
}
