//! What SQLite says went wrong, in the words of the caller.

use crate::StoreError;
use rusqlite::ErrorCode;

/// A failed piece of work, before it is known who is told.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// Ready to be told.
    Told(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

impl Fault {
    /// A value that was read makes no sense.
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Told(StoreError::Corrupt(what.into()))
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(rusqlite::Error::SqliteFailure(error, _)) => Some(error.code),
            Self::Sql(_) | Self::Told(_) => None,
        }
    }

    /// True when the whole transaction is lost, not one statement of it.
    pub(super) fn ends_transaction(&self) -> bool {
        match self.code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
            | None => false,
            Some(_) => true,
        }
    }

    /// True when the connection must not be used again. After a failed write or fsync the
    /// kernel may have dropped what it could not write and call the next fsync a success, so
    /// only a new connection, which reads the log afresh, knows what is really on disk.
    pub(super) fn breaks_connection(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ReadOnly
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::ApiMisuse
                    | ErrorCode::InternalMalfunction
            )
        )
    }

    /// True when another connection holds the lock; the same may work a moment later.
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    /// What the caller is told.
    pub(super) fn tell(&self) -> StoreError {
        let error = match self {
            Self::Told(told) => return told.clone(),
            Self::Sql(error) => error,
        };
        let Some(code) = self.code() else {
            return StoreError::Corrupt(error.to_string());
        };
        let why = match code {
            ErrorCode::DiskFull => "the disk is full".to_owned(),
            ErrorCode::SystemIoFailure => format!("the disk failed ({error})"),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                "another process keeps the database locked".to_owned()
            }
            ErrorCode::OperationInterrupted => "a statement took too long".to_owned(),
            ErrorCode::ReadOnly => format!("the database cannot be written ({error})"),
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::Unknown => return StoreError::Corrupt(error.to_string()),
            _ => error.to_string(),
        };
        StoreError::Unavailable(why)
    }
}
