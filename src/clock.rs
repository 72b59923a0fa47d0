//! The one place that reads the wall clock, so that everything else takes time as a parameter and a
//! rebuild decides as the first receipt did.

use chrono::{DateTime, SubsecRound, Utc};

/// The present time, cut to microseconds: what PostgreSQL keeps of it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
