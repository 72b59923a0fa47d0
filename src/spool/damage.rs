//! A damaged file: set aside whole, and what can be read of it goes into a new one.
//!
//! The new file is complete before the damaged one is touched, and both change places by renaming. Killed at any
//! moment, or on a full disk, either everything is where it was and the next start tries again, or `ready` holds
//! the new file and the next start puts it in place.

use std::path::{Path, PathBuf};

use super::file::{File, NAME, SpoolError};
use crate::clock;
use crate::data_dir::private;

/// What the name of a directory begins with that holds a damaged file.
pub const ASIDE: &str = "damaged-";

/// Bodies a transaction while salvaging.
const BATCH_ENTRIES: usize = 200;

/// Makes a new file of what a copy of the damaged one still yields, and lets them change places.
pub fn set_aside(directory: &Path, reason: &str) -> Result<(), SpoolError> {
    tracing::error!(reason, "the spool is damaged; reading what can be read of it");
    let [copy, building] = ["salvage", "building"].map(|name| directory.join(name));
    let salvaged = prepare(directory, &copy, &building).map_err(unusable).and_then(|()| salvage(&copy, &building))?;
    std::fs::rename(&building, ready(directory)).map_err(unusable)?;
    finish(directory)?;
    tracing::error!(salvaged, "the spool goes on with what could be read; the damaged files are set aside");
    Ok(())
}

/// Puts a new file that is ready in place of the damaged one, which moves into `damaged-<time>` and is never
/// touched again. Does nothing when none is ready.
pub fn finish(directory: &Path) -> Result<(), SpoolError> {
    let ready = ready(directory);
    if !ready.join(NAME).exists() {
        return Ok(());
    }
    let change_places = || {
        let mut damaged = files(directory)?;
        // The write-ahead log first: beside an empty file it would be taken for a leftover and deleted.
        damaged.sort_by(|left, right| right.cmp(left));
        if !damaged.is_empty() {
            let aside = directory.join(format!("{ASIDE}{}", clock::now().format("%Y%m%dT%H%M%S%6f")));
            private::directory(&aside)?;
            for file in damaged {
                std::fs::rename(&file, aside.join(file.file_name().unwrap_or_default()))?;
            }
        }
        std::fs::rename(ready.join(NAME), directory.join(NAME))?;
        std::fs::File::open(directory)?.sync_all()
    };
    change_places().map_err(unusable)?;
    // Only what is no longer needed: the empty directory, and the copy.
    let _ = std::fs::remove_dir_all(&ready);
    let _ = std::fs::remove_dir_all(directory.join("salvage"));
    Ok(())
}

fn ready(directory: &Path) -> PathBuf {
    directory.join("ready")
}

/// A copy to read from, since reading a file with a write-ahead log changes it; and room for the new one.
fn prepare(directory: &Path, copy: &Path, building: &Path) -> std::io::Result<()> {
    for fresh in [copy, building] {
        if fresh.exists() {
            std::fs::remove_dir_all(fresh)?;
        }
        private::directory(fresh)?;
    }
    for file in files(directory)? {
        std::fs::copy(&file, copy.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn salvage(copy: &Path, building: &Path) -> Result<usize, SpoolError> {
    let (mut file, mut waiting) = File::open(building)?;
    let mut salvaged = 0;
    if let Ok(damaged) = File::open_unchecked(copy) {
        damaged.readable(BATCH_ENTRIES, |entries| {
            // What is broken inside stays in the files that are set aside.
            let intact = || entries.iter().filter(|entry| entry.is_intact);
            waiting = file.append(intact().map(|entry| (entry.received_at, &entry.body[..])), waiting)?;
            salvaged += intact().count();
            Ok(())
        })?;
    }
    // Closed, all of it is in the one file.
    file.close()?;
    Ok(salvaged)
}

/// The files of a directory, not of those in it.
pub fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unusable(error: std::io::Error) -> SpoolError {
    SpoolError::Unusable(error.to_string())
}
