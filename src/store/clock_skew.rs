//! How far PostgreSQL's clock is from the service's: measured with every look at the server, which the drain takes each two
//! seconds. Which of the two is wrong it does not tell.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::telemetry::metrics;

/// Clocks that are looked after differ by less, and whoever looks at one for a moment cannot err by so much.
const BOUND: TimeDelta = TimeDelta::minutes(1);

/// The last measurement.
#[derive(Debug, Default)]
pub struct ClockSkew(Mutex<Option<TimeDelta>>);

impl ClockSkew {
    /// By how much PostgreSQL's clock is ahead; none before the first look.
    pub fn known(&self) -> Option<TimeDelta> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same if the clocks are apart.
    pub fn noteworthy(&self) -> Option<TimeDelta> {
        self.known().filter(are_apart)
    }

    /// Takes in what PostgreSQL answered between two moments: that is the time in their middle.
    pub fn learn(&self, asked_at: DateTime<Utc>, told: DateTime<Utc>, answered_at: DateTime<Utc>) {
        let skew = skew(asked_at, told, answered_at);
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(skew);
        metrics::clock_skew(skew);
        match (before.is_some_and(|before| are_apart(&before)), are_apart(&skew)) {
            (false, true) => tracing::warn!(
                skew_seconds = skew.num_seconds(),
                "the clocks of this service and of PostgreSQL are apart; set the wrong one"
            ),
            (true, false) => tracing::info!("the clocks of this service and of PostgreSQL agree again"),
            _ => {}
        }
    }
}

/// In whole microseconds, which is what PostgreSQL keeps.
fn skew(asked_at: DateTime<Utc>, told: DateTime<Utc>, answered_at: DateTime<Utc>) -> TimeDelta {
    let middle = i64::midpoint(asked_at.timestamp_micros(), answered_at.timestamp_micros());
    TimeDelta::microseconds(told.timestamp_micros().saturating_sub(middle))
}

fn are_apart(skew: &TimeDelta) -> bool {
    skew.abs() > BOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_skew() {
        let asked_at: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let after = |seconds| asked_at + TimeDelta::seconds(seconds);
        assert_eq!(skew(asked_at, after(1), after(2)), TimeDelta::zero());
        assert_eq!(skew(asked_at, after(3601), after(2)), TimeDelta::hours(1));
        assert_eq!(skew(asked_at, after(-3599), after(2)), TimeDelta::hours(-1));
        // Set back between question and answer.
        assert_eq!(skew(after(86_400), after(86_400), asked_at), TimeDelta::hours(12));
    }
}
