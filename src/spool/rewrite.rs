//! Bodies that wait, without somebody who is to be erased. It works beside a running service: the file's own locks keep the
//! two apart, and a body that the service has read before is stored by a way that knows who was erased.
//!
//! A damaged file that was set aside cannot be written. If it names the person, what can be read of it goes into a new file
//! in its place, and the rest is gone with the old one.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::damage;
use super::file::{Entry, File, NAME, SpoolError};
use crate::data_dir::private;

/// Bodies a transaction while copying.
const BATCH_ENTRIES: usize = 200;

/// Prefixes of directories that stand beside that of a damaged file: a copy to read from, a new file that is being made, and
/// one that is complete.
const COPY: &str = "copy-of-";
const BUILDING: &str = "rewriting-";
const COMPLETE: &str = "rewritten-";

/// What was rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Bodies that wait, or would wait: now shorter, or gone.
    pub bodies: u64,
    /// Damaged files that were set aside, and were replaced by what could be read of them.
    pub damaged_files: u64,
}

/// Gives each body of a spool's directory the form that `rewrite` makes of it; an empty one goes. `names` tells whether the bytes
/// of a damaged file may hold what is to go. A dry run only counts.
///
/// # Errors
/// A file cannot be read or written. What was done is done, and doing it again does the rest.
pub fn bodies(
    directory: &Path,
    mut rewrite: impl FnMut(&Entry) -> Bytes,
    names: impl Fn(&[u8]) -> bool,
    dry_run: bool,
) -> Result<Rewritten, SpoolError> {
    let mut rewritten = Rewritten::default();
    // A file that is missing is not made.
    if directory.join(NAME).exists() {
        let (mut file, _) = File::open(directory)?;
        rewritten.bodies = file.rewrite(&mut rewrite, dry_run)?;
        file.close()?;
    }
    for aside in set_aside(directory)? {
        if is_named(&aside, &mut rewrite, &names)? {
            rewritten.damaged_files += 1;
            if !dry_run {
                replace(&aside, &mut rewrite)?;
            }
        }
    }
    Ok(rewritten)
}

/// The directories of the damaged files.
fn set_aside(directory: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let named = |prefix: &str| -> Result<Vec<PathBuf>, SpoolError> {
        let entries = std::fs::read_dir(directory).map_err(unusable)?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        Ok(paths.filter(is_named).collect())
    };
    if !directory.exists() {
        return Ok(Vec::new());
    }
    for complete in named(COMPLETE)? {
        take_place(&complete)?;
    }
    named(damage::ASIDE)
}

/// By its plain bytes, or by what can be read of it.
fn is_named(
    aside: &Path,
    rewrite: &mut impl FnMut(&Entry) -> Bytes,
    names: &impl Fn(&[u8]) -> bool,
) -> Result<bool, SpoolError> {
    for file in damage::files(aside).map_err(unusable)? {
        if names(&std::fs::read(file).map_err(unusable)?) {
            return Ok(true);
        }
    }
    let mut is_named = false;
    read(aside, |entries| {
        is_named |= entries.iter().any(|entry| rewrite(entry) != entry.body);
        Ok(())
    })?;
    Ok(is_named)
}

/// Killed in between, either the damaged file is as it was, or the next time goes on from the complete new one.
fn replace(aside: &Path, rewrite: &mut impl FnMut(&Entry) -> Bytes) -> Result<(), SpoolError> {
    let building = fresh(aside, BUILDING)?;
    let (mut file, mut waiting) = File::open(&building)?;
    read(aside, |entries| {
        let left = entries.iter().map(|entry| (entry.received_at, rewrite(entry)));
        let left: Vec<_> = left.filter(|(_, body)| !body.is_empty()).collect();
        waiting = file.append(left.iter().map(|(received_at, body)| (*received_at, &body[..])), waiting)?;
        Ok(())
    })?;
    file.close()?;
    let complete = beside(aside, COMPLETE);
    std::fs::rename(&building, &complete).map_err(unusable)?;
    take_place(&complete)
}

/// Puts the complete new file in the place of the damaged one.
fn take_place(complete: &Path) -> Result<(), SpoolError> {
    let name = complete.file_name().unwrap_or_default().to_string_lossy();
    let aside = complete.with_file_name(name.trim_start_matches(COMPLETE));
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(unusable)?;
    }
    std::fs::rename(complete, aside).map_err(unusable)
}

/// Hands over what can be read of a damaged file: of a copy, since reading it would change it.
fn read(aside: &Path, take: impl FnMut(&[Entry]) -> Result<(), SpoolError>) -> Result<(), SpoolError> {
    let copy = fresh(aside, COPY)?;
    for file in damage::files(aside).map_err(unusable)? {
        std::fs::copy(&file, copy.join(file.file_name().unwrap_or_default())).map_err(unusable)?;
    }
    let outcome = match File::open_unchecked(&copy) {
        Ok(damaged) => damaged.readable(BATCH_ENTRIES, take),
        // Nothing can be read of it.
        Err(_) => Ok(()),
    };
    std::fs::remove_dir_all(&copy).map_err(unusable)?;
    outcome
}

/// An empty directory beside another one.
fn fresh(aside: &Path, prefix: &str) -> Result<PathBuf, SpoolError> {
    let fresh = beside(aside, prefix);
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(unusable)?;
    }
    private::directory(&fresh).map_err(unusable)?;
    Ok(fresh)
}

fn beside(aside: &Path, prefix: &str) -> PathBuf {
    aside.with_file_name(format!("{prefix}{}", aside.file_name().unwrap_or_default().to_string_lossy()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unusable(error: std::io::Error) -> SpoolError {
    SpoolError::Unusable(error.to_string())
}
