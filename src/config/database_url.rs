//! The one error of a database URL that no parser finds: a password with a character that means something in a URL. What
//! stands after it is then taken for the host or the database, and the failure shows only as a name that cannot be looked up.

use super::error::ConfigError;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Refuses a URL that has such a character, or another scheme. The error quotes nothing of it.
pub fn check(url: &str) -> Result<(), ConfigError> {
    if url.is_empty() {
        return Ok(());
    }
    let Some(rest) = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        let problem = "database.url (or DATABASE_URL) must look like postgres://user:password@host/database";
        return Err(ConfigError(problem.to_owned()));
    };
    if is_plain(rest) {
        return Ok(());
    }
    Err(ConfigError(
        "database.url (or DATABASE_URL): @ : / ? # and % in a user name, a password or a database's name must be \
         percent-encoded (@ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25)"
            .to_owned(),
    ))
}

/// Whether every character of `user:password@host/database?parameters` can only mean what it says.
fn is_plain(rest: &str) -> bool {
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    // `user:pass?word@host/database` has a parameter of this name, which there is not.
    let is_named = |part: &str| !part.split('=').next().unwrap_or_default().contains('@');
    !rest.contains('#')
        && authority.matches('@').count() <= 1
        && !database.contains(['@', '/'])
        && parameters.split('&').all(is_named)
        && has_whole_escapes(rest)
}

/// Whether each `%` is followed by two hexadecimal digits.
fn has_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_breaks_the_url_is_told_and_not_quoted() {
        let broken = [
            "postgres://me:hid@den@db/x",
            "postgres://me:hid#den@db/x",
            "postgres://me:12#hidden@db/x",
            "postgres://me:12/hidden@db/x",
            "postgres://me:12?hidden@db/x",
            "postgres://me:12?hidden@db/x?sslmode=disable",
            "postgresql://me:hid@den/12@db/x",
            "postgres://me:100%hidden@db/x",
            "postgres://me:hidden%@db/x",
            "postgres://me:hidden%2@db/x",
        ];
        for url in broken {
            let problem = check(url).unwrap_err().to_string();
            assert!(problem.contains("percent-encoded") && !problem.contains("hid"), "{problem}");
        }
        assert!(!check("mysql://me:hidden@db/x").unwrap_err().to_string().contains("hidden"));
    }

    #[test]
    fn every_sound_url_passes() {
        let sound = [
            "",
            "postgres://db/x",
            "postgres://me@db",
            "postgres://me:hid%40%23den@db:5432/x?sslmode=verify-full&sslrootcert=/etc/ssl/a@b.pem",
            "postgresql://me:pass:word@[fd00::7]:5432/x",
            "postgres:///x?host=/run/postgresql&user=me@here&",
            "postgres://me@localhost/x?host=/a%20b/socket&port=5432",
        ];
        for url in sound {
            assert!(check(url).is_ok(), "{url}");
        }
    }
}
