//! Sobot's Facebook Messenger API, as its document has it: a function for each of its endpoints, under the endpoint's own
//! name. [`docs/apis.md`](../../../docs/apis.md) lists them with the tests that show them.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use sobot_hook::config::Config;
//! # use sobot_hook::outbound::client::Patience;
//! # use sobot_hook::outbound::sobot::{MemoryShelf, SendOutcome, SendRequest, Sobot};
//! # async fn example(config: Config, file: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let sobot = Sobot::new(&config.sobot, Patience::default(), Arc::new(MemoryShelf::default()))?;
//! match sobot.send(&SendRequest::from_json(file)?).await {
//!     SendOutcome::Sent(sent) => println!("sent as {:?}", sent.mid),
//!     SendOutcome::NotSent(why) => println!("not sent: {why}"),
//!     SendOutcome::Unknown { why, .. } => println!("perhaps sent: {why}"),
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod api;
mod check;
mod code;
mod content;
mod error;
mod optin;
mod send;
mod send_request;
mod shelf;
mod subscribers;
mod token;
mod topics;
mod upload;

pub use answer::Listed;
pub use api::Sobot;
pub use code::{Code, SUCCESS};
pub use content::{
    Button, ButtonTemplate, Content, Element, GenericTemplate, MediaElement, MediaKind, MediaTemplate, Template,
};
pub use error::{Invalid, Refusal, SobotError};
pub use optin::OptIn;
pub use send::{SendOutcome, Sent};
pub use send_request::{MessagingType, Recipient, SendRequest, Tag};
pub use shelf::{Fetched, Fetching, MemoryShelf, Pending, Shelved, TokenShelf};
pub use subscribers::Subscriber;
pub use token::sign;
pub use topics::{Topic, TopicChange, TopicQuery};
pub use upload::Upload;
