//! Processes that stand still.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// They go on when this is dropped, also by a test that fails.
pub struct Stopped(Vec<Pid>);

impl Stopped {
    /// Stops those of them that are still there.
    pub fn of(processes: impl IntoIterator<Item = Pid>) -> Self {
        Self(processes.into_iter().filter(|process| kill(*process, Signal::SIGSTOP).is_ok()).collect())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in &self.0 {
            // One that has ended needs nothing any more.
            let _ = kill(*process, Signal::SIGCONT);
        }
    }
}
