#![doc = include_str!("../README.md")]
//!
//! # In the sources
//!
//! Reading order: `options` (what a caller chooses, and the steps of a start), `account` (who), `home` and
//! `private_dir` (where), `binaries` (with what), `cluster` (made once), `pid_file` (what is left over), `launch` (how
//! it starts), `process` (one run), `supervisor` (again and again), `server` (what the caller holds), `address` (how
//! clients get there).

mod account;
mod address;
mod binaries;
mod cluster;
mod error;
mod home;
mod launch;
mod options;
mod pid_file;
mod private_dir;
mod process;
mod server;
mod supervisor;

pub use error::Error;
pub use options::Options;
pub use server::Server;
