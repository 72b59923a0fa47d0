//! What is done beside receiving: state from the journal, another try for the quarantine, people erased,
//! past conversations brought in and what was missed found, that neither journal nor quarantine grow for ever, and which
//! pages have been heard.

mod agreed_time;
pub mod backfill;
mod conversation;
pub mod erase;
pub mod heal;
pub mod outbox;
pub mod pages;
mod parts;
pub mod rebuild;
pub mod replay;
pub mod upkeep;
