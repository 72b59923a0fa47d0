//! sobot-hook
pub mod clock;
pub mod ids;
pub mod messenger;
