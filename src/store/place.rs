//! Where the database is, for people.

use super::pool::Store;

impl Store {
    /// `host:port/database`, or the socket's directory in place of the host. No user and no password.
    #[must_use]
    pub fn place(&self) -> String {
        let options = self.pool.connect_options();
        // As PostgreSQL does, where none is named.
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        match options.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}
