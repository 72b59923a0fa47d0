//! A small disk that can get full.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A disk in memory, mounted until it is dropped.
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one of so many bytes. `None` where that is not allowed: only root can.
    pub fn mount(bytes: u64, path: &Path) -> Option<Self> {
        let options = format!("size={bytes},mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self { path: path.to_owned() })
    }

    /// Makes it larger or smaller.
    pub fn resize(&self, bytes: u64) {
        assert!(self.try_resize(bytes), "the disk holds more than {bytes} bytes");
    }

    fn try_resize(&self, bytes: u64) -> bool {
        let remount = ["-o", &format!("remount,size={bytes}")];
        let remount = Command::new("mount").args(remount).arg(&self.path).stderr(Stdio::null()).status();
        remount.unwrap().success()
    }

    /// Makes it so small that nothing more fits on it.
    pub fn fill(&self) {
        // What is being written meanwhile may be more than what was there a moment ago.
        while !self.try_resize(self.used()) {}
    }

    fn used(&self) -> u64 {
        let said = Command::new("df").args(["--block-size=1", "--output=used"]).arg(&self.path).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.lines().last().unwrap().trim().parse().unwrap()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}
