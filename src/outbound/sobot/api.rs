//! The client: a call to an endpoint with the token that counts.

use std::num::NonZero;
use std::sync::Arc;

use backon::Retryable;
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{RequestBuilder, Url};
use serde::Serialize;

use super::answer::accepted;
use super::code::Code;
use super::error::SobotError;
use super::shelf::{Shelved, TokenShelf};
use super::token::Tokens;
use crate::config;
use crate::outbound::client::{Answer, CallError, Client, Patience, retries, sensitive};

/// Sobot's API with the credentials of one customer.
#[derive(Debug)]
pub struct Sobot {
    client: Client,
    /// `https://sg.sobot.com/`
    base: Url,
    tokens: Tokens,
    /// `sobot.sends_per_second`, evenly spread.
    sends: DefaultDirectRateLimiter,
}

/// Why an endpoint gave no answer: for a send the difference counts.
#[derive(Debug)]
pub enum Failure {
    /// No token could be had: nothing was asked, or what was asked was refused for its token.
    Token(SobotError),
    /// The call itself failed.
    Call(CallError),
}

impl From<Failure> for SobotError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Token(error) => error,
            Failure::Call(error) => error.into(),
        }
    }
}

impl Sobot {
    /// A client for this configuration; it asks nothing yet.
    ///
    /// # Errors
    /// There are no credentials, or the system cannot speak TLS.
    pub fn new(config: &config::Sobot, patience: Patience, shelf: Arc<dyn TokenShelf>) -> Result<Self, SobotError> {
        if config.appid.is_empty() || config.app_key.is_empty() {
            return Err(SobotError::NotConfigured);
        }
        let base = format!("{}/", config.base_url.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|_| SobotError::NotConfigured)?;
        let client = Client::new(&base, patience)?;
        let url = base.join("api/get_token").map_err(|_| SobotError::NotConfigured)?;
        let sends = Quota::per_second(NonZero::new(config.sends_per_second).unwrap_or(NonZero::<u32>::MIN));
        let sends = RateLimiter::direct(sends.allow_burst(NonZero::<u32>::MIN));
        Ok(Self { tokens: Tokens::new(config, client.clone(), url, shelf), client, base, sends })
    }

    /// The token that counts, fetched if there is none (`get_token`).
    ///
    /// # Errors
    /// None can be had.
    pub async fn token(&self) -> Result<Shelved, SobotError> {
        self.tokens.current().await
    }

    /// Waits until one more message may be sent.
    pub(super) async fn until_it_may_send(&self) {
        self.sends.until_ready().await;
    }

    /// `chat-facebook/api/messenger/<endpoint>`
    fn url(&self, endpoint: &str) -> Url {
        let mut url = self.base.clone();
        // A base of http or https always has a path that segments can be added to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["chat-facebook", "api", "messenger", endpoint]);
        }
        url
    }

    /// A GET with these parameters.
    pub(super) fn get(&self, endpoint: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.client.get(self.url(endpoint)).query(query)
    }

    /// A POST with this as its JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON, which no type of this module does.
    pub(super) fn post(&self, endpoint: &str, body: &impl Serialize) -> Result<RequestBuilder, SobotError> {
        let body = serde_json::to_vec(body).map_err(|_| SobotError::Unreadable("the request is no JSON"))?;
        Ok(self.client.post(self.url(endpoint), body))
    }

    /// Asks once, and a second time only after an answer that the token is not valid.
    pub(super) async fn call(&self, request: &RequestBuilder) -> Result<Answer, Failure> {
        let token = self.tokens.current().await.map_err(Failure::Token)?;
        let answer = self.call_with(request, &token).await?;
        if !is_about_token(&answer) {
            return Ok(answer);
        }
        let token = self.tokens.renewed(token.number).await.map_err(Failure::Token)?;
        self.call_with(request, &token).await
    }

    async fn call_with(&self, request: &RequestBuilder, token: &Shelved) -> Result<Answer, Failure> {
        let header = sensitive("", &token.token);
        let header = header.map_err(|_| Failure::Token(SobotError::Unreadable("its token fits into no header")))?;
        // Every body here is in memory, so every request can be copied.
        let request = request.try_clone().ok_or(Failure::Token(SobotError::Unreadable("the request is a stream")))?;
        self.client.call(request.header("token", header)).await.map_err(Failure::Call)
    }

    /// An answer of success to what changes something: asked once.
    pub(super) async fn command(&self, request: RequestBuilder) -> Result<Bytes, SobotError> {
        let answer = self.call(&request).await?;
        accepted(&answer)?;
        Ok(answer.body)
    }

    /// An answer of success to what changes nothing: asked up to three times.
    pub(super) async fn question(&self, request: RequestBuilder) -> Result<Bytes, SobotError> {
        let attempt = async || {
            let answer = self.call(&request).await?;
            accepted(&answer)?;
            Ok(answer.body)
        };
        attempt.retry(retries()).when(SobotError::is_passing).await
    }
}

fn is_about_token(answer: &Answer) -> bool {
    let codes = [Code::TokenMissing, Code::TokenInvalid];
    matches!(accepted(answer), Err(SobotError::Refused(refusal)) if codes.contains(&refusal.code))
}
