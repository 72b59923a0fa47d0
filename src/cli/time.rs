//! Times as people write them.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// A date (UTC) or an RFC 3339 time.
///
/// # Errors
/// It is neither.
pub fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let date = || text.parse::<NaiveDate>().ok().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.or_else(date).ok_or_else(|| "neither a date (2026-05-01) nor a time (2026-05-01T08:00:00Z)".to_owned())
}

/// A whole number of seconds, minutes or hours: 90s, 5m, 1h.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = [("s", 1), ("m", 60), ("h", 3_600)].into_iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(u64::from(number) * seconds)
    });
    seconds.map(Duration::from_secs).ok_or_else(|| "no time such as 90s, 5m or 1h".to_owned())
}
