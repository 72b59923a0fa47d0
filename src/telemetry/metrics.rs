//! The metrics, each recorded in one place. `docs/reference.md` lists them; a test compares.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use super::descriptions;
use crate::event::Kind;
use crate::ids::PageId;

/// What became of an event. Every event that comes in, by a request or out of the spool, gets exactly one.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    /// It is in the journal now.
    Stored,
    /// The journal had it.
    Duplicate,
    /// It is of somebody who has been erased: nothing of it is kept.
    Erased,
    /// Its body is in quarantine.
    Quarantined,
    /// Its body is in the spool, and will be received from there.
    Spooled,
    /// It was answered with 503; or with 400, and the quarantine is full.
    Refused,
}

/// What became of a message that we were asked to send.
#[derive(Debug, Clone, Copy)]
pub enum SendResult {
    Sent,
    /// Certainly not sent.
    Failed,
    /// Nobody knows.
    Unknown,
    /// An unknown one was sent after all, as something shows.
    Settled,
}

impl SendResult {
    /// All of them.
    const ALL: [Self; 4] = [Self::Sent, Self::Failed, Self::Unknown, Self::Settled];

    /// The label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Settled => "settled",
        }
    }
}

/// Where events come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// A request.
    Webhook,
    /// The spool.
    Spool,
}

/// Why the webhook did not let somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// The URL's last part is none of `webhook.secrets`.
    WrongSecret,
    /// The address is not in `webhook.allow_from`.
    Address,
    /// The signature is missing or not that of the body.
    Signature,
    /// A GET that is not the handshake with the right token.
    VerifyToken,
}

impl TurnedAway {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WrongSecret, Self::Address, Self::Signature, Self::VerifyToken];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongSecret => "wrong_secret",
            Self::Address => "address_not_allowed",
            Self::Signature => "bad_signature",
            Self::VerifyToken => "wrong_verify_token",
        }
    }
}

/// Pages whose last event is remembered; an installation has a handful.
const MAX_PAGES: usize = 1_000;

/// A page that has been silent for so long is forgotten: 90 days. Whoever watches it has had time to see that.
const PAGE_MEMORY: Duration = Duration::from_hours(90 * 24);

/// When each page's last event came.
static PAGES: LazyLock<Mutex<HashMap<String, Heard>>> = LazyLock::new(Mutex::default);

/// How long ago something was at a moment.
#[derive(Debug, Clone, Copy)]
struct Heard {
    noted_at: Instant,
    age: Duration,
}

/// Seconds from the fastest commit to one that has been tried again and again. Around the 2 s after which events go to the
/// spool they are close, to tell what only just made it.
const COMMIT_SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0];

const BATCH_EVENTS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0];

/// Starts recording. The handle renders what was recorded as Prometheus text.
///
/// # Errors
/// Metrics are being recorded already.
pub fn start() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("sobot_hook_commit_seconds".to_owned()), &COMMIT_SECONDS)?
        .set_buckets_for_metric(Matcher::Full("sobot_hook_batch_events".to_owned()), &BATCH_EVENTS)?
        .install_recorder()
        .inspect(|_| {
            descriptions::describe();
            Collector::default().describe();
            begin_at_zero();
        })
}

/// What has not happened yet is zero, not absent: an alert on an increase must see the first time.
fn begin_at_zero() {
    gauge!("sobot_hook_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for status in [200, 400, 413, 503] {
        counter!("sobot_hook_requests_total", "status" => status.to_string()).absolute(0);
    }
    for reason in TurnedAway::ALL {
        counter!("sobot_hook_turned_away_total", "reason" => reason.as_str()).absolute(0);
    }
    for outcome in [Outcome::Spooled, Outcome::Refused] {
        event("any", outcome, 0);
    }
    for kind in Kind::ALL {
        for outcome in [Outcome::Stored, Outcome::Duplicate, Outcome::Erased, Outcome::Quarantined] {
            event(kind.as_str(), outcome, 0);
        }
    }
    counter!("sobot_hook_quarantine_refused_total").absolute(0);
    for result in SendResult::ALL {
        sent(result, 0);
    }
    received(Origin::Webhook, 0);
    received(Origin::Spool, 0);
}

/// Everything as Prometheus text.
#[must_use]
pub fn render(handle: &PrometheusHandle) -> String {
    // The process's own figures: CPU, memory, file descriptors.
    Collector::default().collect();
    handle.run_upkeep();
    let pages = pages(&mut PAGES.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
    handle.render() + &pages
}

/// The pages as Prometheus text, without those that have been silent for too long. Each time by a recorder of its own:
/// one that lasts would show a forgotten page for ever.
fn pages(heard: &mut HashMap<String, Heard>, now: Instant) -> String {
    let age = |heard: &Heard| now.duration_since(heard.noted_at) + heard.age;
    heard.retain(|_, heard| age(heard) < PAGE_MEMORY);
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        descriptions::describe_pages();
        for (page, heard) in heard {
            let age = age(heard).as_secs_f64();
            gauge!("sobot_hook_page_last_event_age_seconds", "page_id" => page.clone()).set(age);
        }
    });
    recorder.handle().render()
}

/// A body that is no JSON found the quarantine full.
pub fn quarantine_refused() {
    counter!("sobot_hook_quarantine_refused_total").increment(1);
}

/// The quarantine has been measured.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn quarantine(bytes: u64) {
    gauge!("sobot_hook_quarantine_bytes").set(bytes as f64);
}

/// A request was answered.
pub fn request(status: u16) {
    counter!("sobot_hook_requests_total", "status" => status.to_string()).increment(1);
}

/// The webhook did not let somebody in.
pub fn turned_away(reason: TurnedAway) {
    counter!("sobot_hook_turned_away_total", "reason" => reason.as_str()).increment(1);
}

/// Events were found in a body; bytes that are no JSON count as one.
pub fn received(origin: Origin, events: usize) {
    let source = match origin {
        Origin::Webhook => "webhook",
        Origin::Spool => "spool",
    };
    counter!("sobot_hook_events_received_total", "source" => source).increment(events as u64);
}

/// Events came to their end. Those that are spooled or refused are of kind `any`.
pub fn event(kind: &'static str, outcome: Outcome, events: usize) {
    let outcome = match outcome {
        Outcome::Stored => "stored",
        Outcome::Duplicate => "duplicate",
        Outcome::Erased => "erased",
        Outcome::Quarantined => "quarantined",
        Outcome::Spooled => "spooled",
        Outcome::Refused => "refused",
    };
    counter!("sobot_hook_events_total", "kind" => kind, "outcome" => outcome).increment(events as u64);
}

/// So many messages that we were asked to send came to this.
pub fn sent(result: SendResult, messages: u64) {
    counter!("sobot_hook_sends_total", "result" => result.as_str()).increment(messages);
}

/// A page sent an event.
pub fn page_seen(page: &PageId) {
    let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = Heard { noted_at: Instant::now(), age: Duration::ZERO };
    if let Some(last) = pages.get_mut(page.as_str()) {
        *last = heard;
    } else if pages.len() < MAX_PAGES {
        pages.insert(page.as_str().to_owned(), heard);
    }
}

/// A page sent its last event so long ago, as the journal says; unless one has come meanwhile.
pub fn page_remembered(page: &PageId, age: Duration) {
    let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    if pages.len() < MAX_PAGES {
        pages.entry(page.as_str().to_owned()).or_insert_with(|| Heard { noted_at: Instant::now(), age });
    }
}

/// A transaction was committed.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn committed(events: usize, took: Duration) {
    histogram!("sobot_hook_batch_events").record(events as f64);
    histogram!("sobot_hook_commit_seconds").record(took.as_secs_f64());
}

/// The clocks were compared: by so much is PostgreSQL's ahead of the service's.
pub fn clock_skew(skew: TimeDelta) {
    gauge!("sobot_hook_clock_skew_seconds").set(skew.as_seconds_f64());
}

/// How many bytes may wait in the spool.
#[expect(clippy::cast_precision_loss, reason = "at most 2^40")]
pub fn spool_bound(max_bytes: u64) {
    gauge!("sobot_hook_spool_max_bytes").set(max_bytes as f64);
}

/// What waits at this moment.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn waiting(requests: usize, spool_entries: u64, spool_bytes: u64, spool_age: Duration, is_database_away: bool) {
    gauge!("sobot_hook_queue_requests").set(requests as f64);
    gauge!("sobot_hook_spool_entries").set(spool_entries as f64);
    gauge!("sobot_hook_spool_bytes").set(spool_bytes as f64);
    gauge!("sobot_hook_spool_age_seconds").set(spool_age.as_secs_f64());
    gauge!("sobot_hook_database_away").set(f64::from(u8::from(is_database_away)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_silent_for_long_disappears() {
        let start = Instant::now();
        let day = |days: u32| start + days * Duration::from_hours(24);
        let heard = |noted_at| Heard { noted_at, age: Duration::ZERO };
        let mut seen = HashMap::from([("quiet".to_owned(), heard(start)), ("busy".to_owned(), heard(day(60)))]);
        let text = pages(&mut seen, day(89));
        assert!(text.contains("{page_id=\"quiet\"} 7689600\n") && text.contains("{page_id=\"busy\"}"), "{text}");
        let text = pages(&mut seen, day(90));
        assert!(!text.contains("quiet") && text.contains("{page_id=\"busy\"} 2592000\n"), "{text}");
        assert_eq!(seen.len(), 1);
    }
}
