//! The doors, a folder each with its own routes, state and errors. No door knows another one; all of them stand on
//! [`server`], and `app` hangs them into the two listeners.

pub mod ops;
pub mod server;
pub mod webhook;
