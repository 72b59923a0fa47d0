//! What can go wrong between us and PostgreSQL, sorted by what to do about it.
//!
//! PostgreSQL's own message may quote the value that it refused, so it is shown only where it speaks of
//! the connection or the server; of refused data only the SQLSTATE and the names in it are told.

use sqlx::error::DatabaseError;

/// Why a statement did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL refused the data itself: the same rows will fail again.
    #[error("PostgreSQL refused the data (SQLSTATE {0})")]
    Data(String),
    /// Two transactions were in each other's way: the same rows will do at the next try.
    #[error("PostgreSQL asks to try the transaction again (SQLSTATE {0})")]
    Conflict(String),
    /// The transaction was not committed within its time.
    #[error("no commit within the time that a transaction has")]
    Slow,
    /// The partition of a row's month is gone.
    #[error("the month of an event is being dropped (SQLSTATE 23514)")]
    NoMonth,
    /// The connection broke, and with it the knowledge whether the transaction was committed. Another one
    /// may do, and repeating what was stored is harmless.
    #[error("the connection to PostgreSQL was lost: {0}")]
    Lost(String),
    /// PostgreSQL cannot be reached, or cannot do its work; nothing is wrong with the rows.
    #[error("PostgreSQL is away: {0}")]
    Away(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => from_database(error.as_ref()),
            sqlx::Error::PoolTimedOut => Self::Away("no connection within the time limit".to_owned()),
            sqlx::Error::Io(error) => Self::Lost(error.to_string()),
            sqlx::Error::Encode(_) => Self::Data("not encodable".to_owned()),
            other => Self::Away(other.to_string()),
        }
    }
}

/// SQLSTATE classes, from PostgreSQL's manual, appendix A.
fn from_database(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    match code.as_bytes() {
        // Serialization failure, deadlock; a month that another process made at the same moment.
        b"40001" | b"40P01" | b"42P07" => StoreError::Conflict(code.into_owned()),
        // An administrator or an idle time-out ended the session; the server was stopped or crashed.
        b"57P01" | b"57P02" | b"57P05" => StoreError::Lost(error.message().to_owned()),
        // Another process has dropped it, or is at it. It is made anew.
        b"23514" if error.constraint().is_none() => StoreError::NoMonth,
        // Data exception, integrity constraint, program limit (such as a row too long for an index).
        [b'2', b'1' | b'2' | b'3', ..] | [b'5', b'4', ..] => {
            let name = error.constraint().or(error.table()).map(|name| format!(", {name}"));
            StoreError::Data(format!("{code}{}", name.unwrap_or_default()))
        }
        _ => StoreError::Away(format!("{} (SQLSTATE {code})", error.message())),
    }
}
