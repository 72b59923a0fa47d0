//! How fast one account may be asked: what Meta's headers and refusals add to the two calls a second.

use std::time::{Duration, Instant};

use super::error::{GraphError, Limit};
use super::usage::Usage;

/// From so much used up on, calls become rarer.
const SLOW_PERCENT: u64 = 80;

/// Between two calls when everything is used up. Meta counts over a sliding hour, so a minute gives back a sixtieth.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// After a refusal that names no time.
const UNTOLD_WAIT: Duration = Duration::from_mins(1);

/// Meta counts calls over an hour: what it said before is no longer true.
const MEMORY: Duration = Duration::from_hours(1);

/// What is known of an account.
#[derive(Debug, Default)]
pub struct Pace {
    /// The percentage that was last told, and when.
    used: Option<(u64, Instant)>,
    /// Until when Meta does not want to be asked.
    until: Option<Instant>,
}

impl Pace {
    /// What an answer, of success or not, says.
    pub fn learn(&mut self, usage: &Usage, error: Option<&GraphError>, now: Instant) {
        if let Some(percent) = usage.percent() {
            self.used = Some((percent, now));
        }
        let refused = match error {
            Some(GraphError::RateLimited(Limit { wait, .. })) => Some(wait.unwrap_or(UNTOLD_WAIT)),
            _ => None,
        };
        if let Some(wait) = usage.wait().max(refused) {
            self.until = self.until.max(Some(now + wait));
        }
    }

    /// How long to wait before the next call.
    pub fn rests(&self, now: Instant) -> Duration {
        let told = self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        told.max(self.slowed(now))
    }

    /// From 80 % used up to 100 % the pause grows evenly from nothing to a minute.
    fn slowed(&self, now: Instant) -> Duration {
        let Some((percent, told_at)) = self.used else { return Duration::ZERO };
        let age = now.saturating_duration_since(told_at);
        if age > MEMORY {
            return Duration::ZERO;
        }
        let over = u32::try_from(percent.clamp(SLOW_PERCENT, 100) - SLOW_PERCENT).unwrap_or_default();
        // The pause begins with the answer that told.
        (LONGEST_PAUSE * over / 20).saturating_sub(age)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn usage(json: &str) -> Usage {
        let mut headers = HeaderMap::new();
        headers.append("x-business-use-case-usage", HeaderValue::from_str(json).unwrap());
        Usage::of(&headers)
    }

    #[test]
    fn calls_become_rarer_from_80_percent_on_and_absence_is_not_zero() {
        let start = Instant::now();
        let seconds = |percent: u64| {
            let mut pace = Pace::default();
            pace.learn(&usage(&format!("{{\"1\":[{{\"call_count\":{percent}}}]}}")), None, start);
            // An answer that says nothing changes nothing.
            pace.learn(&Usage::default(), None, start);
            pace.rests(start).as_secs()
        };
        assert_eq!([0, 79, 80, 81, 90, 100, 144].map(seconds), [0, 0, 0, 3, 30, 60, 60]);
    }

    #[test]
    fn a_pause_passes() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.learn(&usage(r#"{"1":[{"call_count":90}]}"#), None, start);
        assert_eq!(pace.rests(start + Duration::from_secs(10)), Duration::from_secs(20));
        assert_eq!(pace.rests(start + Duration::from_secs(31)), Duration::ZERO);
    }

    #[test]
    fn what_meta_says_is_waited_for_and_a_zero_of_its_says_nothing() {
        let start = Instant::now();
        let refused = |wait| GraphError::RateLimited(Limit { code: 613, wait });
        let rests = |json: &str, error: Option<GraphError>| {
            let mut pace = Pace::default();
            pace.learn(&usage(json), error.as_ref(), start);
            pace.rests(start).as_secs()
        };
        assert_eq!(rests(r#"{"1":[{"estimated_time_to_regain_access":0}]}"#, None), 0);
        assert_eq!(rests(r#"{"1":[{"estimated_time_to_regain_access":7}]}"#, None), 420);
        assert_eq!(rests("{}", Some(refused(None))), 60);
        assert_eq!(rests("{}", Some(refused(Some(Duration::from_mins(2))))), 120);
        assert_eq!(rests("{}", Some(GraphError::Gone)), 0);
    }
}
