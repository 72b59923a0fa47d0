//! What each metric means, for whoever reads `/metrics`: the `HELP` lines.

use metrics::{describe_counter, describe_gauge, describe_histogram};

const COUNTERS: [(&str, &str); 7] = [
    ("sobot_hook_requests_total", "Requests answered on http.listen, by status."),
    ("sobot_hook_turned_away_total", "Requests that the webhook let nobody in for, by the reason."),
    ("sobot_hook_events_received_total", "Events that came in, from the webhook or again from the spool."),
    ("sobot_hook_events_total", "What became of the events, by kind and outcome."),
    ("sobot_hook_quarantine_refused_total", "Bodies that were not JSON and not kept: the quarantine was full."),
    ("sobot_hook_missed_messages_total", "Messages that the webhook has missed, and whether Meta told them since."),
    ("sobot_hook_sends_total", "What became of the messages that this service was asked to send."),
];

const GAUGES: [(&str, &str); 9] = [
    ("sobot_hook_build_info", "1; the label tells the version of the program."),
    ("sobot_hook_queue_requests", "Requests that wait for a writer."),
    ("sobot_hook_spool_entries", "Bodies that wait in the spool."),
    ("sobot_hook_spool_bytes", "Bytes that wait in the spool, as spool.max_bytes counts them."),
    ("sobot_hook_spool_max_bytes", "Bytes that may wait in the spool (spool.max_bytes)."),
    ("sobot_hook_spool_age_seconds", "How long the oldest body has been waiting in the spool; 0 when none waits."),
    ("sobot_hook_database_away", "1 after PostgreSQL has failed to take an event, 0 as soon as it takes one again."),
    (
        "sobot_hook_clock_skew_seconds",
        "By how much PostgreSQL's clock is ahead of the service's; negative if it is behind.",
    ),
    ("sobot_hook_quarantine_bytes", "Size of the quarantine, measured once a minute."),
];

const HISTOGRAMS: [(&str, &str); 2] = [
    ("sobot_hook_batch_events", "Events in a transaction."),
    ("sobot_hook_commit_seconds", "Duration of a transaction, including retries; beyond 2 s its events are spooled."),
];

/// Has a recorder of its own.
const PAGES: (&str, &str) =
    ("sobot_hook_page_last_event_age_seconds", "Seconds since an event of the page last reached PostgreSQL.");

/// Describes the pages' gauge to its recorder.
pub fn describe_pages() {
    describe_gauge!(PAGES.0, PAGES.1);
}

/// Describes all others to the recorder.
pub fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(name, help);
    }
}
