//! The service's wall clock, which jumps forwards and backwards, while the clock that timers go by runs on.
//!
//! libfaketime is loaded into the service and reads the offset from a file with each question, so the clock of a running
//! process jumps. PostgreSQL's clock stays right.

use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::sleep;

use super::fault::{Place, Plan};
use super::windows::Windows;
use crate::setting;

/// Where Debian, Fedora and a build by hand put libfaketime, below which some have a directory of the architecture.
const PLACES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"];

/// Events that claim to be from later than a day after their receipt are journaled with a note and change no state. By
/// default the clock goes wrong by less, so that this proves loss and doubling alone.
const HOURS: i64 = 20;

pub struct Clock {
    directory: TempDir,
}

impl Clock {
    /// A clock that is right so far, for services with this environment. `None` where libfaketime is not installed.
    pub fn of(environment: &mut Vec<(String, String)>) -> Option<Self> {
        let library = library()?;
        let clock = Self { directory: tempfile::tempdir().unwrap() };
        clock.set(0);
        let settings = [
            ("LD_PRELOAD", library.to_str()?),
            ("FAKETIME_TIMESTAMP_FILE", clock.file().to_str()?),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        environment.extend(settings);
        Some(clock)
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }

    /// Sets it so many seconds ahead. Whoever asks finds the old or the new file whole.
    fn set(&self, seconds: i64) {
        let new = self.directory.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, self.file()).unwrap();
    }
}

fn library() -> Option<PathBuf> {
    let below = |place: &str| fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    let directories = PLACES.iter().flat_map(|place| below(place).chain([PathBuf::from(place)]));
    let files = directories
        .flat_map(|directory| ["faketime/libfaketimeMT.so.1", "libfaketimeMT.so.1"].map(|file| directory.join(file)));
    let mut files = files.filter(|file| file.is_file());
    files.next()
}

/// Two jumps, and back. Seconds and days alike are likely.
pub async fn suffer(plan: Option<Plan>, clock: Option<&Clock>, windows: &Windows) {
    let (Some(Plan { fault, after, lasts, mut rng }), Some(clock)) = (plan, clock) else { return };
    sleep(after).await;
    let jumps = [jump(&mut rng), jump(&mut rng)];
    let what = format!("{} by {:+} s, then {:+} s", fault.name(), jumps[0], jumps[1]);
    let suffered = async {
        for seconds in jumps {
            clock.set(seconds);
            sleep(lasts / 2).await;
        }
        clock.set(0);
    };
    windows.during(Place::Clock, &what, suffered).await;
}

fn jump(rng: &mut Rng) -> i64 {
    let most = setting("CHAOS_CLOCK_HOURS", HOURS) * 3_600;
    let most = [60, 3_600, most][rng.usize(..3)].min(most);
    rng.i64(-most..=most)
}

/// What libfaketime leaves behind of a killed process: it would meet the next one with the same number.
pub fn forget(process: Pid) {
    for file in ["faketime_shm", "sem.faketime_sem"] {
        let _ = fs::remove_file(Path::new("/dev/shm").join(format!("{file}_{process}")));
    }
}
