//! Meta's Conversations API: a page's conversations, the ids of their messages, and the details of the newest twenty of
//! each. All of it only asks.
//!
//! * A list ends when `paging.next` is absent, and only then: an empty page may have a next one. The way on is the cursor
//!   `after`; `next` itself holds the token and is neither followed nor kept.
//! * Each page (account) is asked at most twice a second, more slowly once Meta reports that 80 % of what it allows is used
//!   up, and not at all for as long as Meta says ([`Account::rests`]).
//! * The token travels in the header `Authorization`, which Meta's own examples for other APIs on this host use, so it is in
//!   no URL.
//!
//! ```no_run
//! # use sobot_hook::config::Config;
//! # use sobot_hook::ids::PageId;
//! # use sobot_hook::outbound::client::Patience;
//! # use sobot_hook::outbound::graph::{ConversationPages, Graph, GraphError, Platform};
//! # async fn example(config: &Config, page: &PageId) -> Result<(), GraphError> {
//! let graph = Graph::new(&config.graph, Patience::default())?;
//! let account = graph.account(page)?;
//! let mut conversations = ConversationPages::new(account, Platform::Messenger, None);
//! while let Some(some) = conversations.next().await? {
//!     for conversation in some {
//!         println!("{} changed at {:?}", conversation.id.as_str(), conversation.updated_at);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod account;
mod answer;
mod error;
mod pace;
mod pages;
mod usage;

pub use account::{Account, Graph, Platform};
pub use answer::{Conversation, Cursor, Message, MessageId, Page};
pub use error::{GraphError, Limit};
pub use pages::{ConversationPages, MessagePages};
