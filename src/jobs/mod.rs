//! What is done beside receiving: state from the journal, another try for the quarantine, the journal's months, the pages
//! that have been heard.

pub mod pages;
pub mod rebuild;
pub mod replay;
pub mod upkeep;
