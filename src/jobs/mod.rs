//! What is done beside receiving: state from the journal, another try for the quarantine, the journal's months.

mod agreed_time;
pub mod rebuild;
pub mod replay;
pub mod upkeep;
