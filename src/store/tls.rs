//! TLS with a server that this program cannot agree with.
//!
//! Old self-made certificates (X.509 version 1, as `openssl x509 -req` and Citus make them), short keys and old versions of
//! TLS are refused by the TLS library, whatever is asked of the certificate. Where TLS is only preferred, which promises
//! nothing against whoever is between, the connection is then made without it, as libpq does; where it is demanded, the
//! error says what to do.

use std::io::ErrorKind;

use sqlx::postgres::PgSslMode;
use sqlx::{Connection, PgConnection};

use super::error::StoreError;
use super::way::Way;

/// The SQLSTATE with which PostgreSQL tells a client that `pg_hba.conf` has no place for it.
const NOT_LET_IN: &str = "28000";

/// A new connection. Once TLS has turned out to be a hindrance, all later ones do without it, too.
pub async fn connect(way: &Way) -> Result<PgConnection, StoreError> {
    let options = way.options();
    let error = match PgConnection::connect_with(&options).await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let Some(advice) = advice(&error) else { return Err(error.into()) };
    if !matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
        return Err(StoreError::Away(advice));
    }
    let plain = options.ssl_mode(PgSslMode::Disable);
    let connection = match PgConnection::connect_with(&plain).await {
        Ok(connection) => connection,
        // It insists on TLS: then that is the reason to tell.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_LET_IN) => {
            return Err(StoreError::Away(advice));
        }
        Err(error) => return Err(error.into()),
    };
    tracing::warn!("the connection to PostgreSQL is not encrypted: {advice}");
    way.set_options(plain);
    Ok(connection)
}

/// What to do about an error of the TLS library, which comes as invalid data; None for any other error.
fn advice(error: &sqlx::Error) -> Option<String> {
    let reason = match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => error.to_string(),
        sqlx::Error::Tls(error) => error.to_string(),
        _ => return None,
    };
    let mend = if reason.contains("UnsupportedCertVersion") {
        "the server's certificate is of X.509 version 1; give it one of version 3"
    } else {
        "mend the server's TLS"
    };
    Some(format!(
        "TLS with PostgreSQL failed ({reason}): {mend}, or set sslmode=disable in database.url where nobody can listen"
    ))
}
