//! What is done beside receiving: state from the journal, another try for the quarantine, people erased, that neither journal nor quarantine
//! grow for ever, and which pages have been heard.

mod agreed_time;
pub mod erase;
pub mod outbox;
pub mod pages;
mod parts;
pub mod rebuild;
pub mod replay;
pub mod upkeep;
