//! The pages that sent events before this process began: without them, one that has fallen silent would never show in the
//! metrics of a service that was restarted.

use std::time::Duration;

use chrono::Days;

use crate::clock;
use crate::store::Store;
use crate::telemetry::metrics;

/// How far back to look: whoever has been silent for longer is no news. A journal that is too large for it is asked for less.
const DAYS: [u64; 3] = [31, 7, 1];

/// After a failure.
const RETRY: Duration = Duration::from_mins(1);

/// Reads once when each page was heard last, as soon as PostgreSQL tells.
pub async fn remember(store: Store) {
    for days in DAYS.into_iter().cycle() {
        let now = clock::now();
        match store.pages_heard(now - Days::new(days)).await {
            Ok(pages) => {
                for (page, received_at) in pages {
                    metrics::page_remembered(&page, (now - received_at).to_std().unwrap_or_default());
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, days, "could not read which pages have been heard; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
