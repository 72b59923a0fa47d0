//! What time it is when something is to be deleted. No single clock decides that: one that is wrong by a year would drop
//! a year.
//!
//! Three are asked: the service's clock, PostgreSQL's, and the journal, whose events tell when they happened. The earliest
//! one counts, because it deletes the least. Clocks that differ by more than [`MAX_SKEW`] delete nothing.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::Witnesses;

/// Clocks that are looked after differ by seconds.
const MAX_SKEW: TimeDelta = TimeDelta::hours(1);

/// What the clocks agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgreedTime {
    /// It is at least so late.
    At(DateTime<Utc>),
    /// Service and PostgreSQL differ by so much: one of them is wrong.
    Apart(TimeDelta),
    /// No event has told a time yet.
    Unknown,
}

/// Compares the clocks.
pub fn agreed_time(service: DateTime<Utc>, witnesses: Witnesses) -> AgreedTime {
    let Witnesses { database, newest_event } = witnesses;
    let skew = (service - database).abs();
    if skew > MAX_SKEW {
        return AgreedTime::Apart(skew);
    }
    newest_event.map_or(AgreedTime::Unknown, |event| AgreedTime::At(event.min(service).min(database)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_clock_counts_unless_they_are_apart() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-21T12:00:00Z");
        let later = |by| now + by;
        let agreed = |service, database, newest_event| agreed_time(service, Witnesses { database, newest_event });
        let (minute, year) = (TimeDelta::minutes(1), TimeDelta::days(400));
        assert_eq!(agreed(now, later(minute), Some(later(TimeDelta::hours(20)))), AgreedTime::At(now));
        assert_eq!(agreed(later(minute), now, Some(later(minute))), AgreedTime::At(now));
        // Both stand on one machine, whose clock is wrong; or no event has come for a year.
        assert_eq!(agreed(later(year), later(year), Some(now)), AgreedTime::At(now));
        assert_eq!(agreed(later(year), now, Some(now)), AgreedTime::Apart(year));
        assert_eq!(agreed(now, later(year), Some(now)), AgreedTime::Apart(year));
        assert_eq!(agreed(now, now, None), AgreedTime::Unknown);
    }
}
