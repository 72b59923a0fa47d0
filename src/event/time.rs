//! Which times state may rely on.

use chrono::{DateTime, TimeDelta, Utc};

use super::terms::Note;

/// Facebook opened on 4 February 2004; what claims to be older has a broken clock.
const EARLIEST_SECOND: i64 = 1_075_852_800;

/// How far ahead of ours a sender's clock may run.
const TOLERANCE: TimeDelta = TimeDelta::hours(24);

/// When an event came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// By the service's clock.
    pub received_at: DateTime<Utc>,
    /// By how much PostgreSQL's clock was ahead of it, if they were apart; none also where nobody knows.
    pub clock_skew: Option<TimeDelta>,
}

impl Receipt {
    /// By a clock of which nobody knows whether it is right.
    #[must_use]
    pub fn at(received_at: DateTime<Utc>) -> Self {
        Self { received_at, clock_skew: None }
    }

    /// The latest time that is believed. Of two clocks the later one counts, whichever is wrong: a clock that is behind would
    /// cost every event its state, one that is ahead only lets the absurd ones of a sender through.
    fn latest_plausible(self) -> DateTime<Utc> {
        let ahead = self.clock_skew.unwrap_or_default().max(TimeDelta::zero());
        self.received_at.checked_add_signed(ahead + TOLERANCE).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// A told time as one that state may rely on.
///
/// # Errors
/// Before 2004-02-04, or more than 24 h later than the receipt by the later of both clocks: a false far-future watermark would mark
/// everything read for ever.
pub fn plausible(micros: i128, receipt: Receipt) -> Result<DateTime<Utc>, Note> {
    if micros < i128::from(EARLIEST_SECOND) * 1_000_000 {
        return Err(Note::TimeTooEarly);
    }
    i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .filter(|time| *time <= receipt.latest_plausible())
        .ok_or(Note::TimeTooLate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_clocks_the_later_one_counts() {
        let received_at: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let is_plausible = |told: DateTime<Utc>, clock_skew| {
            plausible(told.timestamp_micros().into(), Receipt { received_at, clock_skew }).is_ok()
        };
        let (hour, day) = (TimeDelta::hours(1), TimeDelta::days(1));
        let (in_time, late) = (received_at + day, received_at + day + hour);
        // A clock that is ahead of PostgreSQL's takes nothing away: PostgreSQL's may be the wrong one.
        for clock_skew in [None, Some(-day), Some(TimeDelta::MIN)] {
            assert!(is_plausible(in_time, clock_skew) && !is_plausible(late, clock_skew), "{clock_skew:?}");
        }
        assert!(is_plausible(late, Some(hour)) && !is_plausible(late, Some(hour - TimeDelta::microseconds(1))));
        assert!(is_plausible(late, Some(TimeDelta::microseconds(i64::MAX))));
    }
}
