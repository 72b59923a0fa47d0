//! What may happen a thousand times a second, and still be worth a line in the log: told when it begins, then as a count
//! a minute, and when it is over.

use std::time::{Duration, Instant};

/// A line as often as somebody who follows the log can read it.
const INTERVAL: Duration = Duration::from_mins(1);

/// How often something has happened, and how much of it the log has.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use sobot_hook::telemetry::repeated::Repeated;
/// let (mut refused, start) = (Repeated::default(), Instant::now());
/// assert_eq!(refused.happened(1, start), Some(1)); // it begins: a line
/// assert_eq!(refused.happened(7, start + Duration::from_secs(5)), None);
/// assert_eq!(refused.happened(1, start + Duration::from_secs(60)), Some(8)); // a minute later: a line with a count
/// assert_eq!(refused.ended(), Some(9)); // it is over: a line with the whole
/// assert_eq!(refused.ended(), None);
/// ```
#[derive(Debug, Default)]
pub struct Repeated {
    told_at: Option<Instant>,
    untold: u64,
    total: u64,
}

impl Repeated {
    /// It has happened so many times more. `Some` when a line is due: how often since the line before.
    pub fn happened(&mut self, times: u64, now: Instant) -> Option<u64> {
        self.untold += times;
        self.total += times;
        let is_due = self.told_at.is_none_or(|told_at| now.saturating_duration_since(told_at) >= INTERVAL);
        if !is_due || self.untold == 0 {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// It is over. `Some` when that is news: how often it happened since it began.
    pub fn ended(&mut self) -> Option<u64> {
        let ended = std::mem::take(self);
        ended.told_at.map(|_| ended.total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_has_not_happened_is_told() {
        let mut repeated = Repeated::default();
        assert_eq!(repeated.happened(0, Instant::now()), None);
        assert_eq!(repeated.ended(), None);
    }

    proptest! {
        /// Whatever comes when: at most a line a minute, no occurrence told twice, none forgotten at the end.
        #[test]
        fn lines_are_rare_and_add_up(events in prop::collection::vec((0_u64..90_000, 0_u64..5), 1..200)) {
            let (mut repeated, mut now, mut told, mut last) = (Repeated::default(), Instant::now(), 0, None);
            for (pause_ms, times) in &events {
                now += Duration::from_millis(*pause_ms);
                let Some(count) = repeated.happened(*times, now) else { continue };
                prop_assert!(count > 0);
                prop_assert!(last.is_none_or(|last| now - last >= INTERVAL));
                (told, last) = (told + count, Some(now));
            }
            let total: u64 = events.iter().map(|(_, times)| times).sum();
            prop_assert!(told <= total);
            // What happens is told at the latest by the first occurrence after a minute.
            let rest = repeated.happened(1, now + INTERVAL).unwrap();
            prop_assert_eq!(told + rest, total + 1);
            prop_assert_eq!(repeated.ended(), Some(total + 1));
        }
    }
}
