//! The metrics, each recorded in one place. `README.md` lists them; a test compares.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::ids::PageId;

/// What became of an event. Every event that comes in gets exactly one.
#[derive(Debug, Clone, Copy)]
pub enum Outcome {
    /// It is in the journal now.
    Stored,
    /// The journal had it.
    Duplicate,
    /// Its body is in quarantine.
    Quarantined,
}

/// Pages whose last event is remembered; an installation has a handful.
const MAX_PAGES: usize = 1_000;

/// When each page's last event came.
static PAGES: LazyLock<Mutex<HashMap<String, Instant>>> = LazyLock::new(Mutex::default);

/// Seconds from the fastest commit to the longest that a request waits for.
const COMMIT_SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

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
}

/// Everything as Prometheus text.
#[must_use]
pub fn render(handle: &PrometheusHandle) -> String {
    for (page, last) in PAGES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        gauge!("sobot_hook_page_last_event_age_seconds", "page_id" => page.clone()).set(last.elapsed().as_secs_f64());
    }
    handle.run_upkeep();
    handle.render()
}

/// A request was answered.
pub fn request(status: u16) {
    counter!("sobot_hook_requests_total", "status" => status.to_string()).increment(1);
}

/// Events were found in a request, or a body that is none.
pub fn received(events: usize) {
    counter!("sobot_hook_events_received_total").increment(events as u64);
}

/// An event came to its end.
pub fn event(kind: &'static str, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Stored => "stored",
        Outcome::Duplicate => "duplicate",
        Outcome::Quarantined => "quarantined",
    };
    counter!("sobot_hook_events_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// A page sent an event.
pub fn page_seen(page: &PageId) {
    let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(last) = pages.get_mut(page.as_str()) {
        *last = Instant::now();
    } else if pages.len() < MAX_PAGES {
        pages.insert(page.as_str().to_owned(), Instant::now());
    }
}

/// A transaction was committed.
#[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 events")]
pub fn committed(events: usize, took: Duration) {
    histogram!("sobot_hook_batch_events").record(events as f64);
    histogram!("sobot_hook_commit_seconds").record(took.as_secs_f64());
}

/// Requests wait for a writer.
#[expect(clippy::cast_precision_loss, reason = "the queue is far below 2^52 requests")]
pub fn queue_depth(requests: usize) {
    gauge!("sobot_hook_queue_requests").set(requests as f64);
}
