//! Which times state may rely on.

use chrono::{DateTime, TimeDelta, Utc};

use super::terms::Note;

/// Facebook opened on 4 February 2004; what claims to be older has a broken clock.
const EARLIEST_SECOND: i64 = 1_075_852_800;

/// How far ahead of ours a sender's clock may run.
const TOLERANCE: TimeDelta = TimeDelta::hours(24);

/// A told time as one that state may rely on.
///
/// # Errors
/// Before 2004-02-04, or later than receipt + 24 h: a false far-future watermark would mark
/// everything read for ever.
pub fn plausible(micros: i128, received_at: DateTime<Utc>) -> Result<DateTime<Utc>, Note> {
    if micros < i128::from(EARLIEST_SECOND) * 1_000_000 {
        return Err(Note::TimeTooEarly);
    }
    i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .filter(|time| *time <= received_at + TOLERANCE)
        .ok_or(Note::TimeTooLate)
}
