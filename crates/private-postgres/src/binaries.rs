//! Finding the PostgreSQL server's programs.
//!
//! Distributions keep several major versions side by side and most of them keep the server's programs out of `PATH`.
//! A cluster can be opened only by the major version that made it, so an existing one decides; a new one is made by
//! the first programs found.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The oldest major version that knows every setting of `launch.rs`.
const OLDEST: u32 = 13;

/// Where distributions put the programs of one major version: parent, name before the version, directory below.
const PLACES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // the PostgreSQL project's RPMs
    ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew on Intel
    ("/usr/libexec", "postgresql", ""),          // Alpine
    ("/usr/lib", "postgresql", "bin"),           // Alpine's older releases, Gentoo
];

/// One installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// Where they are.
    pub dir: PathBuf,
    /// The major version, such as 15.
    pub major: u32,
    /// The server itself.
    pub postgres: PathBuf,
    /// The program that makes a cluster.
    pub initdb: PathBuf,
    /// The interactive client, which some distributions package apart.
    pub psql: Option<PathBuf>,
}

impl Binaries {
    /// Searches this machine, first in the directory that the caller named. `cluster` is an existing cluster's
    /// directory and the major version that made it.
    ///
    /// # Errors
    ///
    /// [`Error::BadBinDir`], [`Error::NoPrograms`] or [`Error::MissingMajor`].
    pub fn find(named: Option<&Path>, cluster: Option<(&Path, u32)>) -> Result<Self, Error> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        choose(&directories(named, &path)?, &path, cluster)
    }
}

/// Every directory that holds the programs, in the order of preference.
fn directories(named: Option<&Path>, path: &OsStr) -> Result<Vec<PathBuf>, Error> {
    let mut directories = Vec::new();
    if let Some(named) = named {
        // The programs run in another directory than the caller, so a relative path has to be resolved here.
        let dir = std::path::absolute(named).unwrap_or_else(|_unresolved| named.to_path_buf());
        if !holds_server(&dir) {
            return Err(Error::BadBinDir { dir });
        }
        directories.push(dir);
    }
    directories.extend(std::env::split_paths(path).filter(|dir| dir.is_absolute()));
    for (parent, prefix, below) in PLACES {
        directories.extend(versioned(Path::new(parent), prefix, below));
    }
    directories.retain(|dir| holds_server(dir));
    Ok(directories)
}

/// The directories `<parent>/<prefix><version>/<below>`, newest version first, one without a version last.
fn versioned(parent: &Path, prefix: &str, below: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = parent
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?;
            let version = if version.is_empty() { 0 } else { version.parse().ok()? };
            Some((version, entry.path().join(below)))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_version, dir)| dir).collect()
}

fn holds_server(dir: &Path) -> bool {
    dir.join("postgres").is_file() && dir.join("initdb").is_file()
}

/// The first directory whose programs can serve the cluster, or make one where there is none yet.
fn choose(directories: &[PathBuf], path: &OsStr, cluster: Option<(&Path, u32)>) -> Result<Binaries, Error> {
    let mut others: Vec<u32> = Vec::new();
    for dir in directories {
        let Some(major) = major_of(&dir.join("postgres")) else {
            continue;
        };
        if major >= OLDEST && cluster.is_none_or(|(_cluster, wanted)| wanted == major) {
            return Ok(Binaries {
                dir: dir.clone(),
                major,
                postgres: dir.join("postgres"),
                initdb: dir.join("initdb"),
                psql: std::iter::once(dir.clone())
                    .chain(std::env::split_paths(path))
                    .map(|dir| dir.join("psql"))
                    .find(|psql| psql.is_file()),
            });
        }
        others.push(major);
    }
    let Some((cluster, wanted)) = cluster else {
        return Err(Error::NoPrograms);
    };
    others.sort_unstable();
    others.dedup();
    let found: Vec<String> = others.iter().map(u32::to_string).collect();
    Err(Error::MissingMajor {
        cluster: cluster.to_path_buf(),
        wanted,
        found: if found.is_empty() { "no server".to_owned() } else { found.join(", ") },
    })
}

/// Asks a server program for its version; `None` if it cannot be run or answers something else.
///
/// The answer takes a few milliseconds, so waiting for it blocks nobody worth mentioning.
fn major_of(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").env("LC_ALL", "C").output().ok()?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `postgres (PostgreSQL) 15.16 (Debian 15.16-0+deb12u1)` as 15, and `18beta1` as 18.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL)")?.1.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory of programs that know nothing but their version.
    fn install(root: &Path, name: &str, version: &str) -> PathBuf {
        let dir = root.join(name);
        fs::create_dir_all(&dir).unwrap();
        for program in ["postgres", "initdb"] {
            let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
            fs::write(dir.join(program), script).unwrap();
            fs::set_permissions(dir.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        dir
    }

    #[test]
    fn versions_are_read_with_and_without_a_minor_number() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.16 (Debian 15.16-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("something else 15\n", None),
        ] {
            assert_eq!(parse_major(text), major, "{text}");
        }
    }

    #[test]
    fn newer_versions_come_first_by_number_not_by_name() {
        let root = tempfile::tempdir().unwrap();
        for name in ["pg9", "pg17", "pg", "pg16", "pgother"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let names: Vec<PathBuf> = versioned(root.path(), "pg", "bin");
        let wanted = ["pg17", "pg16", "pg9", "pg"].map(|name| root.path().join(name).join("bin"));
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_cluster_takes_its_own_version_and_a_new_one_takes_the_first() {
        let root = tempfile::tempdir().unwrap();
        let dirs = ["9.6.1", "17.2", "15.16"].map(|v| install(root.path(), v, v));
        let path = OsStr::new("");
        assert_eq!(choose(&dirs, path, None).unwrap().major, 17);

        let cluster = Path::new("/data/postgres/cluster");
        let fifteen = choose(&dirs, path, Some((cluster, 15))).unwrap();
        assert_eq!((fifteen.major, fifteen.postgres), (15, dirs[2].join("postgres")));

        let missing = choose(&dirs, path, Some((cluster, 16))).unwrap_err().to_string();
        assert!(missing.contains("made by PostgreSQL 16, and this machine has 9, 15, 17"), "{missing}");
        assert!(missing.contains("postgresql-16"), "{missing}");
    }

    #[test]
    fn without_programs_one_line_says_what_to_install() {
        let error = choose(&[], OsStr::new(""), None).unwrap_err().to_string();
        assert!(error.contains("apt-get install postgresql"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_named_directory_without_programs_is_an_error_not_a_hint() {
        let empty = tempfile::tempdir().unwrap();
        let error = directories(Some(empty.path()), OsStr::new("")).unwrap_err();
        assert!(matches!(error, Error::BadBinDir { .. }), "{error}");
    }
}
