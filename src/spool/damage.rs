//! A damaged file: set aside whole, and what can be read of it goes into a new one.

use std::path::{Path, PathBuf};

use super::file::{File, SpoolError, Waiting};
use crate::clock;

/// Moves the files into `damaged-<time>`, which nobody touches again, and starts a new file with what a copy
/// of them still yields.
pub fn set_aside(directory: &Path, reason: &str) -> Result<(File, Waiting), SpoolError> {
    let aside = directory.join(clock::now().format("damaged-%Y%m%dT%H%M%S%6f").to_string());
    let copy = directory.join("salvage");
    // All copies before the first move: on a full disk everything stays where it was. The write-ahead log moves
    // first: beside an empty file it would be taken for a leftover and deleted.
    let moved = files(directory).and_then(|mut files| {
        files.sort();
        std::fs::create_dir_all(&aside)?;
        std::fs::create_dir_all(&copy)?;
        for file in &files {
            std::fs::copy(file, copy.join(file.file_name().unwrap_or_default()))?;
        }
        for file in files.iter().rev() {
            std::fs::rename(file, aside.join(file.file_name().unwrap_or_default()))?;
        }
        Ok(())
    });
    moved.map_err(|error| SpoolError::Unusable(error.to_string()))?;
    let readable = File::open_unchecked(&copy).map(|damaged| damaged.readable()).unwrap_or_default();
    tracing::error!(
        reason,
        salvaged = readable.len(),
        aside = %aside.display(),
        "the spool was damaged; what could be read goes on, the damaged files are set aside"
    );
    let (mut file, waiting) = File::open(directory)?;
    let waiting = file.append(readable.iter().map(|entry| (entry.received_at, &entry.body[..])), waiting)?;
    // Only the copy: the files themselves are in `aside`.
    let _ = std::fs::remove_dir_all(&copy);
    Ok((file, waiting))
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}
