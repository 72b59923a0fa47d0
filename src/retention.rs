//! Keeping the journal for so many months.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};

use crate::clock;
use crate::store::Store;

/// How often old months are looked for.
const INTERVAL: Duration = Duration::from_hours(1);

/// Drops old months now and every hour, for ever. Does nothing for 0 months.
pub async fn run(store: Store, events_months: u32) {
    while let Some(before) = oldest_kept(clock::now(), events_months) {
        match store.drop_months(before).await {
            Ok(months) if months.is_empty() => {}
            Ok(months) => tracing::info!(?months, "dropped months of the journal"),
            Err(error) => tracing::warn!(%error, "cannot drop old months of the journal; trying again later"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The first day of the oldest month that is kept: the present one and `events_months` before it.
fn oldest_kept(now: DateTime<Utc>, events_months: u32) -> Option<DateTime<Utc>> {
    let month = now.date_naive().with_day(1)?.checked_sub_months(Months::new(events_months))?;
    (events_months > 0).then(|| month.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_months_are_kept() {
        let now = "2026-03-31T23:00:00Z".parse().unwrap();
        let kept = |months| oldest_kept(now, months).map(|time| time.to_rfc3339());
        assert_eq!(kept(1).as_deref(), Some("2026-02-01T00:00:00+00:00"));
        assert_eq!(kept(15).as_deref(), Some("2024-12-01T00:00:00+00:00"));
        assert_eq!(kept(0), None);
    }
}
