//! How clients reach a server.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Part of the socket's name and nothing else: no network port is opened, so no other server can be in the way.
pub(crate) const PORT: u16 = 5432;

/// What a URL escapes: everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for a path, whose slashes may stand in a query as they are.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The socket, and who asks for which database there.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// Absolute, UTF-8: it was chosen, or written by the server, as such.
    pub socket_dir: PathBuf,
    /// The number in the socket's name.
    pub port: u16,
    pub user: String,
    pub database: String,
}

impl Address {
    /// The URL of one database of the server. The host name is a placeholder, which the socket's directory overrides.
    pub fn url(&self, database: &str) -> String {
        let user = percent_encode(self.user.as_bytes(), RESERVED);
        let database = percent_encode(database.as_bytes(), RESERVED);
        let socket_dir = self.socket_dir.to_string_lossy();
        let socket_dir = percent_encode(socket_dir.as_bytes(), RESERVED_IN_PATH);
        format!("postgres://{user}@localhost/{database}?host={socket_dir}&port={}", self.port)
    }

    /// `psql` with its arguments, quoted for a shell.
    pub fn psql_command(&self, psql: &Path) -> String {
        let (psql, port) = (psql.to_string_lossy(), self.port.to_string());
        let words =
            [&*psql, "-h", &*self.socket_dir.to_string_lossy(), "-p", &port, "-U", &self.user, "-d", &self.database]
                .map(str::to_owned);
        // Only a zero byte cannot be quoted: no path has one, and no server could be started with such a name.
        shlex::Quoter::new().allow_nul(true).join(words.iter().map(String::as_str)).unwrap_or_default()
    }

    /// What libpq's clients and those that take a URL read from their environment.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("DATABASE_URL", self.url(&self.database)),
            ("PGHOST", self.socket_dir.to_string_lossy().into_owned()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(socket_dir: &str, user: &str) -> Address {
        Address { socket_dir: socket_dir.into(), port: PORT, user: user.to_owned(), database: "shop".to_owned() }
    }

    #[test]
    fn a_url_escapes_what_a_query_or_a_form_would_read_otherwise() {
        assert_eq!(
            address("/a b/c&d+é%/socket", "a/b@c").url("d?e"),
            "postgres://a%2Fb%40c@localhost/d%3Fe?host=/a%20b/c%26d%2B%C3%A9%25/socket&port=5432"
        );
    }

    #[test]
    fn a_shell_reads_the_command_as_it_was_meant() {
        let address = address("/it's here", "me");
        assert_eq!(
            shlex::split(&address.psql_command(Path::new("/a b/psql"))).unwrap(),
            ["/a b/psql", "-h", "/it's here", "-p", "5432", "-U", "me", "-d", "shop"]
        );
    }
}
