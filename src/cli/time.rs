//! Times as people write them.

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
