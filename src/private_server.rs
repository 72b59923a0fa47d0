//! The private PostgreSQL of a service that was given no database: what `private_postgres` is told, and what its
//! errors leave out.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use private_postgres::{Error, Options, Server};

/// The variable that names the directory to look for the server's programs in first.
const BIN_DIR: &str = "SOBOT_HOOK_PG_BIN";

/// The role, and the database that it owns.
const NAME: &str = "sobot_hook";

/// `shared_buffers` hold the pages that ten thousand active customers touch, `work_mem` the conversations that a question
/// about a month joins, and both together are little enough for a machine of one gigabyte.
///
/// `min_wal_size`: files of the log are used again instead of removed, up to a gigabyte. A commit that has to make a new
/// one waits some 50 ms for it, and so does everyone behind it.
const SETTINGS: [(&str, &str); 5] = [
    ("max_connections", "50"),
    ("shared_buffers", "256MB"),
    ("work_mem", "16MB"),
    ("max_wal_size", "2GB"),
    ("min_wal_size", "1GB"),
];

/// The server that belongs to a data directory.
#[must_use]
pub fn options(data_dir: &Path) -> Options {
    Options {
        application: "sobot-hook".to_owned(),
        user: NAME.to_owned(),
        database: NAME.to_owned(),
        bin_dir: std::env::var_os(BIN_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from),
        settings: SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Options::new(data_dir)
    }
}

/// Starts it.
///
/// # Errors
/// [`Error`], as one line that also says what can be set here.
pub async fn start(data_dir: &Path) -> Result<Server> {
    options(data_dir).start().await.map_err(|error| anyhow!(explained(&error)))
}

fn explained(error: &Error) -> String {
    let hint = match error {
        Error::NoPrograms => {
            "SOBOT_HOOK_PG_BIN to the directory that holds `postgres` and `initdb`, or set DATABASE_URL to a server of \
             your own"
        }
        Error::BadBinDir { dir } => {
            return format!(
                "{BIN_DIR} is {}, which does not hold `postgres` and `initdb`: set it to the directory that does, or \
                 unset it to have the usual places searched",
                dir.display()
            );
        }
        Error::MissingMajor { .. } => "SOBOT_HOOK_PG_BIN to its programs",
        Error::Spawn { .. } => "SOBOT_HOOK_PG_BIN to other programs",
        Error::NoAccount => "DATABASE_URL to a server of your own",
        _ => return error.to_string(),
    };
    format!("{error}, or set {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_programs_one_line_says_what_to_install_or_set() {
        let error = explained(&Error::NoPrograms);
        for part in ["apt-get install postgresql", "SOBOT_HOOK_PG_BIN", "DATABASE_URL"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
}
