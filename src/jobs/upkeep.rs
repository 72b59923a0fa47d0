//! The journal's months: the next one is made ahead of time, old ones are dropped.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};

use crate::clock;
use crate::store::{Store, StoreError};

/// How often the calendar is looked at.
const INTERVAL: Duration = Duration::from_hours(1);

/// After a failure, PostgreSQL being away as a rule.
const RETRY: Duration = Duration::from_mins(1);

/// Looks after the months now and every hour, for ever. The journal keeps `events_months` months beside the
/// present one; 0 for all.
pub async fn run(store: Store, events_months: u32) {
    loop {
        let pause = match look_after(&store, clock::now(), events_months).await {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "could not look after the journal's months; trying again");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn look_after(store: &Store, now: DateTime<Utc>, events_months: u32) -> Result<(), StoreError> {
    for ahead in 0..=1 {
        store.make_month(now + Months::new(ahead)).await?;
    }
    if let Some(before) = oldest_kept(now, events_months) {
        let months = store.drop_months(before).await?;
        if !months.is_empty() {
            tracing::info!(?months, "dropped months of the journal");
        }
    }
    Ok(())
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
