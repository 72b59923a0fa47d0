//! What a run costs, told by the kernel and by PostgreSQL: CPU time of processes, so that a busy neighbour does not
//! count; bytes of log, tables and indexes.

use std::fs;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};
use sqlx::PgPool;

/// Counters that only grow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU time of the server under test.
    pub server_seconds: f64,
    /// CPU time of all of PostgreSQL's processes.
    pub postgres_seconds: f64,
    pub wal_bytes: f64,
    pub table_bytes: f64,
    pub index_bytes: f64,
}

impl Usage {
    /// Of a server process (none: there is none beside PostgreSQL), of a PostgreSQL and of a schema in it.
    pub async fn read(server: Option<u32>, postmaster: u32, database: &PgPool, schema: &str) -> Result<Self> {
        let (wal_bytes, table_bytes, index_bytes) = sqlx::query_as(
            "select
                (pg_current_wal_insert_lsn() - '0/0')::float8,
                sum(pg_table_size(oid))::float8,
                sum(pg_indexes_size(oid))::float8
             from pg_class
             where relkind = 'r' and relnamespace = $1::text::regnamespace",
        )
        .bind(schema)
        .fetch_one(database)
        .await?;
        Ok(Self {
            server_seconds: server.map_or(Ok(0.0), |pid| Process::read(pid).map(|process| process.cpu_seconds))?,
            postgres_seconds: postgres_seconds(postmaster)?,
            wal_bytes,
            table_bytes,
            index_bytes,
        })
    }

    pub fn since(self, earlier: Self) -> Self {
        Self {
            server_seconds: self.server_seconds - earlier.server_seconds,
            postgres_seconds: self.postgres_seconds - earlier.postgres_seconds,
            wal_bytes: self.wal_bytes - earlier.wal_bytes,
            table_bytes: self.table_bytes - earlier.table_bytes,
            index_bytes: self.index_bytes - earlier.index_bytes,
        }
    }
}

/// From now on the peak is counted anew.
pub fn forget_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// The most memory that a process has had resident.
pub fn peak_mebibytes(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024.0)
}

struct Process {
    parent: u32,
    cpu_seconds: f64,
    /// Of children that have ended.
    past_seconds: f64,
}

impl Process {
    /// `/proc/PID/stat`, see proc(5).
    fn read(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
        let ticks_per_second = f64::from(i32::try_from(ticks_per_second)?);
        let seconds = |index: usize| -> Result<f64> { Ok(fields[index].parse::<f64>()? / ticks_per_second) };
        Ok(Self {
            parent: fields[1].parse()?,
            cpu_seconds: seconds(11)? + seconds(12)?,
            past_seconds: seconds(13)? + seconds(14)?,
        })
    }
}

fn postgres_seconds(postmaster: u32) -> Result<f64> {
    let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A process may end while it is looked at; the postmaster then has its time.
    let children = pids.filter_map(|pid| Process::read(pid).ok()).filter(|process| process.parent == postmaster);
    let running: f64 = children.map(|process| process.cpu_seconds).sum();
    let own = Process::read(postmaster)?;
    Ok(own.cpu_seconds + own.past_seconds + running)
}
