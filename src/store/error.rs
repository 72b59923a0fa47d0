//! What can go wrong between us and PostgreSQL, sorted by what to do about it.
//!
//! PostgreSQL's own message may quote a value or a path, so it is never shown: the SQLSTATE is, with the names in it and
//! what it means in our words.

use sqlx::error::DatabaseError;

/// The SQLSTATE by which the function `store` says that a session does not know of the latest erasure.
pub const OUTDATED: &str = "SH001";

/// Why a statement did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL refused the transaction. Whether the rows are to blame or the server, the error alone does not tell.
    #[error("PostgreSQL refused the data ({0})")]
    Refused(String),
    /// Two transactions were in each other's way: the same rows will do at the next try.
    #[error("PostgreSQL asks to try the transaction again ({0})")]
    Conflict(String),
    /// The transaction was not committed within its time.
    #[error("no commit within the time that a transaction has")]
    Slow,
    /// The partition of a row's month is gone.
    #[error("the month of an event is being dropped (SQLSTATE 23514)")]
    NoMonth,
    /// Somebody was erased since this session has read who was.
    #[error("somebody has been erased meanwhile (SQLSTATE SH001)")]
    Outdated,
    /// A table or a month cannot be locked while others hold it.
    #[error("others hold a table that is needed (SQLSTATE 55P03)")]
    Held,
    /// The connection broke, and with it the knowledge whether the transaction was committed. Another one
    /// may do, and repeating what was stored is harmless.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// PostgreSQL cannot be reached, or cannot do its work; nothing is wrong with the rows.
    #[error("{0}")]
    Away(String),
    /// It can be reached, and will not be of use until somebody does what this says.
    #[error("{0}")]
    Unusable(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => from_database(error.as_ref()),
            sqlx::Error::PoolTimedOut => Self::Away("no connection within the time limit".to_owned()),
            sqlx::Error::Io(error) => Self::Lost(error.to_string()),
            sqlx::Error::Tls(error) => Self::Away(format!("no TLS connection: {error}")),
            sqlx::Error::Encode(_) => Self::Refused("not encodable".to_owned()),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Away("shutting down".to_owned()),
            // Its text may quote what was read.
            _ => Self::Away("its answer was not understood".to_owned()),
        }
    }
}

/// SQLSTATE classes, from PostgreSQL's manual, appendix A.
fn from_database(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    let known = |meaning: &str| format!("{meaning} (SQLSTATE {code})");
    match code.as_bytes() {
        // Serialization failure, deadlock; a month that another process made at the same moment.
        b"40001" | b"40P01" | b"42P07" => StoreError::Conflict(format!("SQLSTATE {code}")),
        // An administrator or an idle time-out ended the session; the server was stopped or crashed.
        b"57P01" | b"57P02" | b"57P05" => StoreError::Lost(known("the server ended the session")),
        // Another process has dropped it, or is at it. It is made anew.
        b"23514" if error.constraint().is_none() => StoreError::NoMonth,
        code if code == OUTDATED.as_bytes() => StoreError::Outdated,
        b"55P03" => StoreError::Held,
        b"57P03" => StoreError::Away(known("the server is starting or stopping")),
        b"53300" => StoreError::Away(known("the server has no connection left")),
        b"53100" => StoreError::Away(known("the server's disk is full")),
        b"25006" => StoreError::Away(known("the server is read-only")),
        b"3D000" => StoreError::Away(known("there is no such database")),
        b"28P01" => StoreError::Away(known("wrong user or password")),
        b"42883" | b"42P01" | b"42704" => {
            StoreError::Away(known("a table, type or function is missing; sobot-hook migrate makes it"))
        }
        // Connection, authorisation, resources, the operator, input and output.
        [b'0' | b'2', b'8', ..] | [b'5', b'3' | b'7' | b'8', ..] => StoreError::Away(known("the server cannot work")),
        // A row that data, constraint, trigger, policy or a damaged page keeps out; or everything is kept out.
        _ => {
            let name = error.constraint().or(error.table()).map(|name| format!(", {name}"));
            StoreError::Refused(format!("SQLSTATE {code}{}", name.unwrap_or_default()))
        }
    }
}

/// What cannot be done without a right that the role does not have.
pub fn is_forbidden(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("42501"))
}
