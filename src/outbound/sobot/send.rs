//! What is sent goes out at most once, and its outcome says what is known.

use std::fmt::{self, Debug, Formatter};

use bytes::Bytes;
use reqwest::StatusCode;
use serde::Serialize;

use super::answer::{accepted, id};
use super::api::{Failure, Sobot};
use super::code::Code;
use super::error::SobotError;
use super::send_request::SendRequest;
use crate::ids::Mid;
use crate::json::{Json, Type};
use crate::outbound::client::{Answer, CallError};

/// What became of a message. Its `Debug` does not show what Sobot answered, which may quote the message.
pub enum SendOutcome {
    /// Sobot answered [`super::SUCCESS`].
    Sent(Sent),
    /// It has certainly not been sent: a limit of the document forbids it, no connection or no token could be had, or
    /// Sobot refused it with a code. Sending it again is safe.
    NotSent(SobotError),
    /// The request left, and nothing certain came back: no answer or half of one, a time-out, a status of 500 and above,
    /// Sobot's "unknown error" (999999), or something unreadable. Sending it again might send it twice.
    Unknown {
        why: SobotError,
        /// What came back, if anything whole did.
        answer: Option<Bytes>,
    },
}

/// A message that Sobot has taken.
#[derive(Clone)]
pub struct Sent {
    /// The message's id at Facebook, if the answer tells it.
    pub mid: Option<Mid>,
    /// The whole answer. The document does not describe it.
    pub answer: Bytes,
}

impl Sobot {
    /// Sends one message, once (`POST send`). It waits for its turn under `sobot.sends_per_second`.
    pub async fn send(&self, request: &SendRequest) -> SendOutcome {
        if let Err(invalid) = request.check() {
            return SendOutcome::NotSent(invalid.into());
        }
        self.send_once("send", request).await
    }

    /// Posts what is to be sent to an endpoint.
    pub(super) async fn send_once(&self, endpoint: &str, body: &impl Serialize) -> SendOutcome {
        let request = match self.post(endpoint, body) {
            Ok(request) => request,
            Err(error) => return SendOutcome::NotSent(error),
        };
        self.until_it_may_send().await;
        match self.call(&request).await {
            Ok(answer) => outcome(answer),
            Err(Failure::Token(error)) => SendOutcome::NotSent(SobotError::NoToken(Box::new(error))),
            Err(Failure::Call(error @ CallError::NotConnected { .. })) => SendOutcome::NotSent(error.into()),
            Err(Failure::Call(error)) => SendOutcome::Unknown { why: error.into(), answer: None },
        }
    }
}

fn outcome(answer: Answer) -> SendOutcome {
    let mid = match accepted(&answer) {
        Ok(document) => Ok(mid(document.root())),
        Err(error) => Err(error),
    };
    match mid {
        Ok(mid) => SendOutcome::Sent(Sent { mid, answer: answer.body }),
        Err(error) if is_refusal(answer.status, &error) => SendOutcome::NotSent(error),
        Err(why) => SendOutcome::Unknown { why, answer: Some(answer.body) },
    }
}

/// Whether an answer without success rules out that the message was sent.
fn is_refusal(status: StatusCode, error: &SobotError) -> bool {
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return false;
    }
    match error {
        // "An unknown error" may have come up after the message had gone to Facebook.
        SobotError::Refused(refusal) => refusal.code != Code::SystemError,
        // What stands before Sobot (404, 413, 429 …) did not let it through.
        SobotError::Http(_) => status.is_client_error(),
        _ => false,
    }
}

/// The message's id, wherever it stands. The document shows the answer of `send_opt_in_message` alone:
/// `item.message_id`.
fn mid(root: Json<'_>) -> Option<Mid> {
    const NAMES: [&str; 4] = ["message_id", "mid", "messageId", "messageid"];
    let places = [root.member("item"), root.member("data"), Some(root)];
    let named = places.into_iter().flatten().flat_map(Json::one_or_many).find_map(|place| id(place, &NAMES));
    let alone = || {
        let item = root.member("item").filter(|item| item.kind() == Type::String)?.string()?;
        item.starts_with("m_").then(|| Mid::try_from(item).ok())?
    };
    named.or_else(alone)
}

impl Debug for SendOutcome {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(sent) => sent.fmt(out),
            Self::NotSent(error) => out.debug_tuple("NotSent").field(error).finish(),
            Self::Unknown { why, .. } => out.debug_struct("Unknown").field("why", why).finish_non_exhaustive(),
        }
    }
}

impl Debug for Sent {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sent").field("mid", &self.mid).finish_non_exhaustive()
    }
}
