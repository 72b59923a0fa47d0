//! How much of what Meta allows is used up, as the headers of its answers say. Absent means that Meta does not say, not
//! that nothing is used.
//!
//! ```text
//! X-App-Usage: {"call_count":12,"total_cputime":0,"total_time":0}      also {"call_volume":…,"cpu_time":…}, or 17%
//! X-Page-Usage: the same
//! X-Business-Use-Case-Usage: {"<id>":[{"type":"messenger","call_count":95,…,"estimated_time_to_regain_access":0}], …}
//! ```

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::json::{self, Document, Json};

const HEADERS: [&str; 3] = ["x-app-usage", "x-page-usage", "x-business-use-case-usage"];

/// Minutes, in the third header.
const WAIT: &str = "estimated_time_to_regain_access";

/// What the headers of one answer say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The highest of all percentages; it may exceed 100.
    percent: Option<u64>,
    /// The longest of all times to wait.
    wait: Option<Duration>,
}

impl Usage {
    /// Reads all three headers, however often each is there.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = HEADERS.iter().flat_map(|name| headers.get_all(*name));
        values.fold(Self::default(), |usage, value| usage.and(&Self::of_value(value)))
    }

    /// The highest percentage that is used up, if Meta says.
    pub fn percent(&self) -> Option<u64> {
        self.percent
    }

    /// How long Meta says to wait. 0 minutes also come with 95 %: they say nothing.
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    fn and(self, other: &Self) -> Self {
        Self { percent: self.percent.max(other.percent), wait: self.wait.max(other.wait) }
    }

    fn of_value(value: &HeaderValue) -> Self {
        let body = Bytes::copy_from_slice(value.as_bytes());
        let Ok(document) = Document::parse(&body) else {
            return Self { percent: bare_percent(value), wait: None };
        };
        // Whatever the nesting (an object, an array of objects, several ids): every number counts by its name.
        let members = document.root().descendants().flat_map(Json::members);
        members.fold(Self::default(), |usage, (name, value)| match (name.string().as_deref(), whole(value)) {
            (Some(WAIT), Some(minutes)) => usage.and(&Self {
                percent: None,
                wait: Some(Duration::from_secs(minutes.saturating_mul(60))).filter(|wait| !wait.is_zero()),
            }),
            (Some(_), Some(percent)) => usage.and(&Self { percent: Some(percent), wait: None }),
            _ => usage,
        })
    }
}

/// `17%`
fn bare_percent(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().strip_suffix('%')?.trim().parse().ok()
}

fn whole(value: Json<'_>) -> Option<u64> {
    u64::try_from(json::number(value)?.scaled(0)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(name: &'static str, value: &'static str) -> (Option<u64>, Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_static(value));
        let usage = Usage::of(&headers);
        (usage.percent(), usage.wait().map(|wait| wait.as_secs()))
    }

    #[test]
    fn every_form_of_the_headers_is_read() {
        let cases = [
            ("x-app-usage", r#"{"call_count":12,"total_cputime":0,"total_time":3}"#, (Some(12), None)),
            ("x-app-usage", r#"{"call_count":144,"total_cputime":1,"total_time":1}"#, (Some(144), None)),
            ("x-app-usage", r#"{"call_volume":5,"cpu_time":"81"}"#, (Some(81), None)),
            ("x-app-usage", "17%", (Some(17), None)),
            ("x-page-usage", r#"{"call_count":0,"total_cputime":0,"total_time":0}"#, (Some(0), None)),
            (
                "x-business-use-case-usage",
                r#"{"1":[{"type":"messenger","call_count":96,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}]}"#,
                (Some(96), None),
            ),
            (
                "x-business-use-case-usage",
                r#"{"1":[{"type":"pages","call_count":1},{"type":"messenger","call_count":2,"estimated_time_to_regain_access":3}],"17841":{"type":"instagram","call_count":101,"estimated_time_to_regain_access":"4"}}"#,
                (Some(101), Some(240)),
            ),
            ("x-app-usage", "{}", (None, None)),
            ("x-app-usage", "much", (None, None)),
            ("x-other", r#"{"call_count":12}"#, (None, None)),
        ];
        for (name, value, expected) in cases {
            assert_eq!(usage(name, value), expected, "{name}: {value}");
        }
    }
}
