//! One HTTP call: what both APIs share. It knows whether a request can have reached the other side, which decides whether
//! it may be repeated.

use std::error::Error;
use std::time::Duration;

use backon::ExponentialBuilder;
use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};

use crate::config::Secret;

/// A longer answer is given up. A hundred subscribers, or twenty messages with all their fields, are some ten thousand.
pub const MAX_ANSWER_BYTES: usize = 8 << 20;

/// How long to wait for the other side.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the whole call, from the connection to the last byte of the answer. A send that takes longer is of unknown
    /// outcome, so this is generous.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(30) }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request never left.
    #[error("no connection to {host} ({problem}); check the network and its base_url")]
    NotConnected { host: String, problem: String },
    /// It left, and no answer or only a part of one came back.
    #[error("{host} broke the connection off before its answer was complete ({problem})")]
    Broken { host: String, problem: String },
    /// It left, and the answer was not complete within [`Patience::answer`].
    #[error("{host} did not answer within {} s", patience.as_secs_f32())]
    TooSlow { host: String, patience: Duration },
    /// The answer is longer than [`MAX_ANSWER_BYTES`].
    #[error("the answer of {host} is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong { host: String },
}

/// What came back, whole. It has no `Debug`, because it may hold a token or a text.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Speaks to one host.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    patience: Patience,
    host: String,
}

/// A builder of HTTP clients that has what TLS needs. Every client of this program is made of one: without a provider of
/// cryptography `reqwest` panics.
pub fn builder() -> reqwest::ClientBuilder {
    // It fails when the process has one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

impl Client {
    /// A client for what lies under this URL.
    ///
    /// # Errors
    /// The system has no certificates to check others by.
    pub fn new(base: &reqwest::Url, patience: Patience) -> Result<Self, CallError> {
        let host = base.host_str().unwrap_or_default().to_owned();
        let http = builder()
            .user_agent(concat!("sobot-hook/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .timeout(patience.answer)
            // Neither API redirects, and the token is for its host alone.
            .redirect(Policy::none())
            .build();
        let http = http.map_err(|error| CallError::NotConnected { host: host.clone(), problem: reason(error) })?;
        Ok(Self { http, patience, host })
    }

    pub fn get(&self, url: reqwest::Url) -> RequestBuilder {
        self.http.get(url)
    }

    /// A POST with a JSON body.
    pub fn post(&self, url: reqwest::Url, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http.post(url).header("content-type", "application/json").body(body)
    }

    /// Sends a request once and reads its whole answer, whatever its status.
    ///
    /// # Errors
    /// There is no whole answer.
    pub async fn call(&self, request: RequestBuilder) -> Result<Answer, CallError> {
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(CallError::TooLong { host: self.host.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    fn failed(&self, error: reqwest::Error) -> CallError {
        let host = self.host.clone();
        // What cannot even be written as a request has not left either.
        if error.is_connect() || error.is_builder() {
            CallError::NotConnected { host, problem: reason(error) }
        } else if error.is_timeout() {
            CallError::TooSlow { host, patience: self.patience.answer }
        } else {
            CallError::Broken { host, problem: reason(error) }
        }
    }
}

/// A token as the value of a header, which neither `Debug` nor a log shows.
///
/// # Errors
/// It has characters that no header can carry.
pub fn sensitive(prefix: &str, token: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{prefix}{}", token.expose()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How often, and after which pauses, a question that changes nothing is asked again: twice, after about 0.2 and 0.4 s.
pub fn retries() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_times(2).with_jitter()
}

/// The innermost cause: `Connection refused (os error 111)`. The outer ones only repeat what kind of failure it is, and
/// the outermost holds the URL.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
