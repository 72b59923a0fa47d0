//! What is done beside receiving: state from the journal, another try for the quarantine, and that neither journal nor
//! quarantine grow for ever.

mod agreed_time;
pub mod rebuild;
pub mod replay;
pub mod upkeep;
