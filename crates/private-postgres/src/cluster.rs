//! Making the cluster, once.
//!
//! Guarantee: a directory called `cluster` is a complete cluster with the caller's role and database in it, on disk. All work
//! is done in `cluster.new-<pid>`, whose renaming is the commit. A process killed before leaves only that directory,
//! which the next start removes. The name carries the process id because `initdb` may outlive a killed caller for a
//! moment, and two of them must not write into one directory.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::{Error, last_lines};
use crate::home::Home;
use crate::private_dir;

/// The database that `initdb` makes, whatever the role is called.
const MADE_BY_INITDB: &str = "postgres";

/// The start of every unfinished cluster's name.
const UNFINISHED: &str = "cluster.new-";

/// The major version that made `cluster`; `None` if there is no cluster yet.
///
/// # Errors
///
/// [`Error::NotACluster`] if the directory has no readable `PG_VERSION`.
pub(crate) fn major(cluster: &Path) -> Result<Option<u32>, Error> {
    let version = cluster.join("PG_VERSION");
    match fs::read_to_string(&version) {
        Ok(text) => {
            text.trim().parse().map(Some).map_err(|_number| Error::NotACluster { cluster: cluster.to_path_buf() })
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("read", &version)(error)),
        Err(_) if cluster.symlink_metadata().is_ok() => Err(Error::NotACluster { cluster: cluster.to_path_buf() }),
        Err(_) => Ok(None),
    }
}

/// Removes what killed processes left unfinished.
pub(crate) fn remove_unfinished(home: &Home) -> Result<(), Error> {
    let entries = home.dir.read_dir().map_err(Error::io("list", &home.dir))?;
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
/// [`Error::Program`] with the last lines of the program that gave up, [`Error::Spawn`] or
/// [`Error::Io`].
pub(crate) async fn create(
    home: &Home,
    account: &Account,
    binaries: &Binaries,
    user: &str,
    database: &str,
) -> Result<(), Error> {
    let unfinished = home.dir.join(format!("{UNFINISHED}{}", std::process::id()));

    let mut initdb = account.command(&binaries.initdb, &home.dir);
    initdb
        .arg("--pgdata")
        .arg(&unfinished)
        .arg(format!("--username={user}"))
        // Nobody but the account and root can reach the socket, so it needs no password; there is no other way in.
        .args(["--auth-local=trust", "--auth-host=reject"])
        .args(["--encoding=UTF8", "--locale=C", "--data-checksums"])
        .stdin(Stdio::null());
    run(initdb, &binaries.initdb, account).await?;

    if database != MADE_BY_INITDB {
        // A server without clients, so that the database exists before the cluster is in place.
        let mut single = account.command(&binaries.postgres, &home.dir);
        single
            .arg("--single")
            .arg("-D")
            .arg(&unfinished)
            .args(["-c", "exit_on_error=on", MADE_BY_INITDB])
            .stdin(statement(&format!("create database \"{}\"\n", database.replace('"', "\"\"")), home)?);
        run(single, &binaries.postgres, account).await?;
    }

    let cluster = home.cluster();
    fs::rename(&unfinished, &cluster).map_err(Error::io("put in place", &cluster))?;
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
fn statement(line: &str, home: &Home) -> Result<Stdio, Error> {
    let (reader, mut writer) = std::io::pipe().map_err(Error::io("open a pipe for", &home.dir))?;
    writer.write_all(line.as_bytes()).map_err(Error::io("write a statement for", &home.dir))?;
    Ok(Stdio::from(reader))
}

/// Waits for a program to succeed. It is killed when the start is given up.
async fn run(mut command: Command, program: &Path, account: &Account) -> Result<(), Error> {
    let output = command.kill_on_drop(true).output().await.map_err(|source| Error::Spawn {
        program: program.to_path_buf(),
        account: account.name.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program { program: program.to_path_buf(), status: output.status, said: last_lines(&output.stderr) })
}
