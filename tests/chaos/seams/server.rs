//! PostgreSQL: crashed, standing still as a whole or in part, without a connection left, or on a full disk.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use super::fault::{Fault, Place, Plan};
use super::processes::Stopped;
use super::table_disk::TableDisk;
use super::windows::Windows;
use crate::stage::{crash, resume};
use crate::support::database::Server;

/// Where the faults are.
pub struct Processes<'a> {
    pub server: &'a Arc<Mutex<Server>>,
    /// A superuser's way to the database.
    pub direct: &'a str,
    pub table_disk: Option<&'a TableDisk>,
}

pub async fn suffer(plan: Option<Plan>, at: &Processes<'_>, windows: &Windows) {
    let Some(Plan { fault, after, lasts, mut rng }) = plan else { return };
    sleep(after).await;
    let suffered = async {
        match fault {
            Fault::ServerCrashed => {
                crash(at.server).await;
                sleep(lasts).await;
                resume(at.server).await;
            }
            Fault::NoConnectionLeft => take_all_connections(at.direct, lasts).await,
            Fault::TableDiskFull => {
                if let Some(disk) = at.table_disk {
                    disk.be_full(lasts).await;
                }
            }
            _ => {
                let _stopped = Stopped::of(processes(fault, at, &mut rng).await);
                sleep(lasts).await;
            }
        }
    };
    windows.during(Place::Server, fault.name(), suffered).await;
}

/// Those that are to stand still: the postmaster, so that nobody new comes in; everything; or one session of the service.
async fn processes(fault: Fault, at: &Processes<'_>, rng: &mut Rng) -> Vec<Pid> {
    let postmaster = at.server.lock().unwrap().postmaster();
    if fault == Fault::PostmasterStopped {
        return vec![postmaster];
    }
    let mut connection = PgConnection::connect(at.direct).await.unwrap();
    let is_wanted = if fault == Fault::ServerStopped { "true" } else { "usename = 'keeper'" };
    let select = format!("select pid from pg_stat_activity where {is_wanted} and pid <> pg_backend_pid()");
    let found: Vec<i32> = sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_all(&mut connection).await.unwrap();
    let found: Vec<Pid> = found.into_iter().map(Pid::from_raw).collect();
    connection.close().await.unwrap();
    match fault {
        Fault::ServerStopped => [vec![postmaster], found].concat(),
        _ => rng.choice(found).into_iter().collect(),
    }
}

/// Others have all connections that there are for ordinary roles, and the service loses its own.
async fn take_all_connections(direct: &str, time: Duration) {
    let as_service = direct.replace("//sobot_hook@", "//keeper@");
    let mut taken = take_connections(&as_service).await;
    let mut superuser = PgConnection::connect(direct).await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'keeper' and application_name = 'sobot-hook'";
    sqlx::query(end).execute(&mut superuser).await.unwrap();
    taken.extend(take_connections(&as_service).await);
    sleep(time).await;
    drop(taken);
}

async fn take_connections(url: &str) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    while let Ok(connection) = PgConnection::connect(url).await {
        taken.push(connection);
    }
    taken
}
