//! A small disk that can get full.

use std::path::{Path, PathBuf};
use std::process::Command;

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
        let remount = ["-o", &format!("remount,size={bytes}")];
        assert!(Command::new("mount").args(remount).arg(&self.path).status().unwrap().success());
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
