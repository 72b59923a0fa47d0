//! What the private server calls its own.

/// The role that owns everything; trusted, because only its own account and root reach the socket.
pub const SUPERUSER: &str = "sobot_hook";

/// The database that the service uses.
pub const DATABASE: &str = "sobot_hook";

/// Part of the socket's name and nothing else: no network port is opened, so no other server can be in the way.
pub const PORT: u16 = 5432;
