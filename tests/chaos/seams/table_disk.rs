//! The disk that PostgreSQL has its tables on, while its log is on another one.

use std::os::unix::fs::{MetadataExt, chown};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::database::{Server, create_with};
use crate::support::disk::Disk;

/// More than any run writes. What is not used is not taken from the machine's memory.
const BYTES: u64 = 8 << 30;

pub struct TableDisk {
    // Unmounted before the directory is removed.
    disk: Disk,
    _directory: TempDir,
    tablespace: &'static str,
}

impl TableDisk {
    /// Mounts one and makes a tablespace on it. `None` where that is not allowed.
    pub async fn mount(server: &Server) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::mount(BYTES, directory.path())?;
        let owner = std::fs::metadata(server.socket()).unwrap();
        chown(directory.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let tablespace = "small";
        let create = format!("create tablespace {tablespace} location '{}'", directory.path().display());
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        connection.close().await.unwrap();
        Some(Self { disk, _directory: directory, tablespace })
    }

    /// Makes a database on it, and tells its URL.
    pub async fn create(&self, server: &Server) -> String {
        create_with(server, &format!("tablespace {}", self.tablespace)).await
    }

    /// No table or index can grow for so long.
    pub async fn be_full(&self, time: Duration) {
        self.disk.fill();
        sleep(time).await;
        self.disk.resize(BYTES);
    }
}
