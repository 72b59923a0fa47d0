//! What Meta answers instead of data, sorted by what to do about it. Meta's own words are not kept: some of them quote the
//! token.

use std::time::Duration;

use reqwest::StatusCode;

use super::usage::Usage;
use crate::json::{self, Document, Json};
use crate::outbound::client::{Answer, CallError};

/// Older than the twenty newest messages, or unsent. A dead token's code (190) comes with this text, too.
const GONE: &str = "deleted by the user or the business";

/// The limit of a list is too high for what its elements hold.
const TOO_MUCH: &str = "reduce the amount of data";

/// Why Meta gives no more for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub code: i64,
    /// How long to wait, if Meta says so (whole minutes). A zero of Meta's says nothing.
    pub wait: Option<Duration>,
}

/// Why a question to Meta has no answer. It holds no token and no text of Meta's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("no access token is set for this page; set it in graph.page_tokens")]
    NoToken,
    /// Code 190: expired (463), revoked (460) and the like, by its subcode.
    #[error(
        "Meta no longer accepts the page's access token (code 190, subcode {subcode:?}); get a new one and set it in graph.page_tokens"
    )]
    TokenDead { subcode: Option<i64> },
    /// The message is older than the twenty newest of its conversation, or has been unsent: nobody can have it any more.
    #[error("Meta no longer gives this message away")]
    Gone,
    /// 4, 17, 32, 613, 80000 to 80014, or the status 429.
    #[error("Meta limits how often it is asked (code {})", .0.code)]
    RateLimited(Limit),
    /// Ask again for fewer at once.
    #[error("Meta cannot give so much at once")]
    TooMuch,
    /// Codes 10 and 200 to 299.
    #[error(
        "the page's access token lacks a permission (code {code}, subcode {subcode:?}); see Meta's list of error codes"
    )]
    NoPermission { code: i64, subcode: Option<i64> },
    /// Code 100, subcode 33: no such thing, or not for this token.
    #[error("Meta knows nothing of this id, or not for this token")]
    Missing,
    /// Codes 1 and 2, a status of 500 and above, or whatever Meta itself calls passing.
    #[error("Meta failed for the moment (status {status}, code {code:?})")]
    Transient { status: u16, code: Option<i64> },
    /// Any other code.
    #[error("Meta refused (status {status}, code {code:?}, subcode {subcode:?}); see Meta's list of error codes")]
    Refused { status: u16, code: Option<i64>, subcode: Option<i64> },
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer of success that is not what the document describes.
    #[error("Meta's answer is not what its document describes: {0}")]
    Unreadable(&'static str),
}

impl GraphError {
    /// Whether the same question may well be answered in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Call(error) => !matches!(error, CallError::TooLong { .. }),
            Self::Transient { .. } => true,
            _ => false,
        }
    }

    /// What an answer tells of a failure; none if it tells of none.
    pub fn of(answer: &Answer, usage: &Usage) -> Option<Self> {
        let document = Document::parse(&answer.body);
        let told = document.as_ref().ok().and_then(|document| Told::of(document.root()));
        match told {
            Some(told) => Some(told.sorted(answer.status, usage)),
            None if answer.status.is_success() => None,
            None => Some(Told::default().sorted(answer.status, usage)),
        }
    }
}

/// What an error says, in whatever shape.
#[derive(Default)]
struct Told {
    code: Option<i64>,
    subcode: Option<i64>,
    is_transient: bool,
    /// `message` and `error_user_msg`
    texts: String,
}

impl Told {
    /// `{"error":{…}}`; Instagram's `{"error_type","code","error_message"}`; in a batch `[{"code","headers","body":"…"}]`.
    fn of(root: Json<'_>) -> Option<Self> {
        if let Some(error) = root.member("error") {
            return Some(Self::read(error));
        }
        if root.member("error_type").is_some() || root.member("error_message").is_some() {
            return Some(Self::read(root));
        }
        let body = root.elements().next()?.member("body")?.string()?;
        let body = body.into_owned().into();
        let document = Document::parse(&body).ok()?;
        document.root().member("error").map(Self::read)
    }

    fn read(error: Json<'_>) -> Self {
        let number = |name: &str| i64::try_from(json::number(error.member(name)?)?.scaled(0)?).ok();
        let texts = ["message", "error_user_msg", "error_message"];
        let texts = texts.iter().filter_map(|name| error.member(name)?.string());
        Self {
            code: number("code"),
            subcode: number("error_subcode"),
            is_transient: error.member("is_transient").is_some_and(Json::is_true),
            texts: texts.collect::<Vec<_>>().join("\n").to_lowercase(),
        }
    }

    fn sorted(self, status: StatusCode, usage: &Usage) -> GraphError {
        let Self { code, subcode, is_transient, texts } = self;
        let (is_gone, is_too_much) = (texts.contains(GONE), texts.contains(TOO_MUCH));
        let limited = |code| GraphError::RateLimited(Limit { code, wait: usage.wait() });
        match (code, subcode) {
            (Some(9_000_001), _) => GraphError::Gone,
            (Some(190), _) if is_gone => GraphError::Gone,
            (Some(1), Some(99)) => GraphError::TooMuch,
            _ if is_too_much && (code == Some(1) || status.is_server_error()) => GraphError::TooMuch,
            (Some(190), subcode) => GraphError::TokenDead { subcode },
            (Some(code @ (4 | 17 | 32 | 613 | 80_000..=80_014)), _) => limited(code),
            (code, _) if status == StatusCode::TOO_MANY_REQUESTS => limited(code.unwrap_or_default()),
            (Some(code @ (10 | 200..=299)), subcode) => GraphError::NoPermission { code, subcode },
            (Some(100), Some(33)) => GraphError::Missing,
            (Some(1 | 2), _) => GraphError::Transient { status: status.as_u16(), code },
            _ if is_transient || status.is_server_error() => GraphError::Transient { status: status.as_u16(), code },
            _ => GraphError::Refused { status: status.as_u16(), code, subcode },
        }
    }
}
