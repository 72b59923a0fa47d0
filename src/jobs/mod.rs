//! What is done beside receiving: state from the journal, another try for the quarantine, people erased, that neither journal nor quarantine
//! grow for ever, which pages have been heard, and what is asked of Sobot.

mod agreed_time;
pub mod erase;
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
