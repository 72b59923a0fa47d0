//! What is done beside receiving: state from the journal, another try for the quarantine, people erased, messages sent,
//! past conversations brought in and what was missed found, what else is asked of Sobot; that neither journal nor quarantine
//! grow for ever, and which pages have been heard.

mod agreed_time;
pub mod backfill;
mod conversation;
pub mod erase;
pub mod heal;
pub mod optin;
pub mod outbox;
pub mod pages;
mod parts;
pub mod rebuild;
pub mod replay;
pub mod subscribers;
pub mod topics;
pub mod upkeep;
pub mod upload;
