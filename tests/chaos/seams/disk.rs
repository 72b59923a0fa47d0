//! The disk of the data directory, which others fill.

use std::fs::{File, remove_file};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fault::{Place, Plan};
use super::windows::Windows;
use crate::support::disk::Disk;

/// Room for all that waits during the longest bout, several times over: only the ballast fills it.
const BYTES: u64 = 128 << 20;

/// What the service gives back is taken at once.
const TOP_UP: Duration = Duration::from_millis(20);

pub struct SmallDisk {
    disk: Disk,
}

impl SmallDisk {
    /// Mounts it where the service keeps its spool. `None` where that is not allowed.
    pub fn mount(data_dir: &Path) -> Option<Self> {
        Disk::mount(BYTES, data_dir).map(|disk| Self { disk })
    }

    fn ballast(&self) -> PathBuf {
        self.disk.path().join("ballast")
    }

    async fn fill(&self, time: Duration) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let end = Instant::now() + time;
        while Instant::now() < end {
            // To the last byte.
            for bytes in [1 << 20, 4 << 10, 1] {
                let bytes = vec![0; bytes];
                while ballast.write(&bytes).is_ok_and(|written| written > 0) {}
            }
            sleep(TOP_UP).await;
        }
        remove_file(self.ballast()).unwrap();
    }
}

pub async fn suffer(plan: Option<Plan>, disk: Option<&SmallDisk>, windows: &Windows) {
    let (Some(Plan { fault, after, lasts, .. }), Some(disk)) = (plan, disk) else { return };
    sleep(after).await;
    windows.during(Place::Disk, fault.name(), disk.fill(lasts)).await;
}
