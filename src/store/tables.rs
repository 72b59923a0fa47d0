//! The tables of the state, in the order in which a transaction writes them.

use super::state_table::StateTable;
use super::{conversations, messages, subscriptions, uploads};

pub const TABLES: [StateTable; 4] = [messages::TABLE, conversations::TABLE, subscriptions::TABLE, uploads::TABLE];
