//! What is looked after while the service runs: the journal's months, of which the next one is made ahead of time and old
//! ones are dropped; and the quarantine, which is bounded in days and bytes.

use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Months, NaiveTime, Utc};
use tokio::time::timeout;

use super::agreed_time::{AgreedTime, agreed_time};
use crate::clock;
use crate::config::{ConfigError, Retention};
use crate::store::{CONNECT_TIMEOUT, Store, StoreError};

/// How often the calendar is looked at.
const INTERVAL: Duration = Duration::from_hours(1);

/// After a failure, PostgreSQL being away as a rule; and how often the quarantine is measured.
const MINUTE: Duration = Duration::from_mins(1);

/// The first version that detaches a month without stopping the intake.
const DETACHES_CONCURRENTLY: i32 = 140_000;

/// Looks after everything, for ever.
pub async fn run(store: Store, retention: Retention) {
    // Dropping a month may wait for hours, as long as somebody reads it.
    tokio::join!(watch_calendar(&store, retention), watch_quarantine(&store));
}

/// Refuses a retention that this server cannot do. One that does not tell at once is asked again with each look at the
/// calendar.
///
/// # Errors
/// It is older than PostgreSQL 14 and months are to be dropped.
pub async fn check(store: &Store, retention: Retention) -> Result<(), ConfigError> {
    if retention.events_months == 0 {
        return Ok(());
    }
    match timeout(CONNECT_TIMEOUT, store.server_version()).await {
        Ok(Ok(version)) => check_version(version).map_err(ConfigError),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

fn check_version(server: i32) -> Result<(), String> {
    if server >= DETACHES_CONCURRENTLY {
        return Ok(());
    }
    Err(format!(
        "retention.events_months needs PostgreSQL 14 or later, and this server is {}.{}; upgrade it, or set \
         retention.events_months to 0",
        server / 10_000,
        server % 10_000
    ))
}

async fn watch_calendar(store: &Store, retention: Retention) {
    let mut told = None;
    loop {
        let (pause, trouble) = match look_after(store, clock::now(), retention).await {
            Ok(doubt) => (INTERVAL, doubt),
            Err(error) => (MINUTE, Some(format!("could not look after the journal's months: {error}"))),
        };
        tell(&mut told, trouble);
        tokio::time::sleep(pause).await;
    }
}

async fn watch_quarantine(store: &Store) {
    let mut told = None;
    loop {
        let trouble = store.watch_quarantine().await.err();
        tell(&mut told, trouble.map(|error| format!("could not measure the quarantine: {error}")));
        tokio::time::sleep(MINUTE).await;
    }
}

/// Once for each trouble, not with each look.
fn tell(told: &mut Option<String>, trouble: Option<String>) {
    if let Some(reason) = trouble.as_deref().filter(|_| *told != trouble) {
        tracing::warn!("{reason}");
    }
    *told = trouble;
}

/// Makes the months of the next time, and drops what is older than it may be. `now` is the service's clock, which alone
/// decides nothing. Returns why less is dropped than it asks for.
///
/// # Errors
/// PostgreSQL is away. The next look finishes what is half done.
pub async fn look_after(store: &Store, now: DateTime<Utc>, retention: Retention) -> Result<Option<String>, StoreError> {
    for ahead in 0..=1 {
        store.make_month(now + Months::new(ahead)).await?;
    }
    let Retention { events_months, quarantine_days, .. } = retention;
    if events_months == 0 && quarantine_days == 0 {
        return Ok(None);
    }
    let witnesses = store.witnesses().await?;
    let agreed = match agreed_time(now, witnesses) {
        AgreedTime::At(time) => time,
        AgreedTime::Unknown => return Ok(None),
        AgreedTime::Apart(skew) => {
            return Ok(Some(format!(
                "the clocks of this service and of PostgreSQL are {} minutes apart: nothing is dropped until they agree",
                skew.num_minutes()
            )));
        }
    };
    if let Some(before) = agreed.checked_sub_days(Days::new(quarantine_days.into())).filter(|_| quarantine_days > 0) {
        let bodies = store.drop_quarantined(before).await?;
        if bodies > 0 {
            tracing::info!(bodies, "dropped from the quarantine what is older than retention.quarantine_days");
        }
    }
    let Some(before) = oldest_kept(agreed, events_months) else { return Ok(None) };
    if let Err(problem) = check_version(store.server_version().await?) {
        return Ok(Some(problem));
    }
    let months = store.drop_months(before).await?;
    if !months.is_empty() {
        tracing::info!(?months, "took months out of the journal");
    }
    let is_behind = oldest_kept(now.min(witnesses.database), events_months) != Some(before);
    Ok(is_behind.then(|| {
        format!("the newest event that tells its time is of {agreed}, long before now: months are counted back from it")
    }))
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

    #[test]
    fn a_server_before_14_is_refused_by_its_version() {
        assert_eq!(check_version(140_000), Ok(()));
        assert_eq!(check_version(180_001), Ok(()));
        let refusal = check_version(130_021).unwrap_err();
        assert!(refusal.contains("needs PostgreSQL 14 or later, and this server is 13.21;"), "{refusal}");
    }
}
