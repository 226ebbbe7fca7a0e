//! What PostgreSQL says went wrong, in the words of the caller.

use crate::{Fence, StoreError};
use tokio_postgres::error::SqlState;

/// What `kurs_fence` says.
const FENCED: &str = "KURS1";

/// A failed piece of work, before it is known who is told.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused, or is not there.
    Sql(tokio_postgres::Error),
    /// It did not answer in time; the connection must not be used again.
    TooLate,
    /// Ready to be told.
    Told(StoreError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
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

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Sql(error) => error.code(),
            Self::TooLate | Self::Told(_) => None,
        }
    }

    /// True when the connection must not be used again.
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::TooLate => true,
            // What has no code did not come from the server: the connection is lost or confused.
            Self::Sql(error) => error.as_db_error().is_none() || self.is_of_class(&["57P", "08"]),
            Self::Told(_) => false,
        }
    }

    /// True when a partition is missing that an insert needs.
    pub(super) fn misses_partition(&self) -> bool {
        self.code() == Some(&SqlState::CHECK_VIOLATION)
    }

    /// True when the same may work at once: two transactions were in each other's way.
    pub(super) fn is_collision(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED
                || *code == SqlState::UNIQUE_VIOLATION
        })
    }

    /// True when a lock was not to be had in time.
    pub(super) fn is_locked_out(&self) -> bool {
        self.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Says that a fence does not hold, where that is what the server said.
    pub(super) fn under(self, fence: Option<Fence>) -> Self {
        match fence {
            Some(fence) if self.code().is_some_and(|code| code.code() == FENCED) => {
                Self::Told(StoreError::Fenced(fence))
            }
            _ => self,
        }
    }

    /// True when a table, column or function is not there: the schema may be another one.
    pub(super) fn doubts_schema(&self) -> bool {
        self.is_of_class(&["42P01", "42703", "42883", "3F000"])
    }

    fn is_of_class(&self, classes: &[&str]) -> bool {
        self.code()
            .is_some_and(|code| classes.iter().any(|class| code.code().starts_with(class)))
    }

    /// What the caller is told. Never holds the address, which may carry a password.
    pub(super) fn tell(&self) -> StoreError {
        let error = match self {
            Self::Told(told) => return told.clone(),
            Self::TooLate => {
                return StoreError::Unavailable("PostgreSQL did not answer in time".to_owned());
            }
            Self::Sql(error) => error,
        };
        let Some(said) = error.as_db_error() else {
            return self.tell_without_server(error);
        };
        let why = format!(
            "PostgreSQL says: {} ({})",
            said.message(),
            said.code().code()
        );
        // Data that makes no sense (21, 22, 23), is damaged (XX001, XX002), or statements that do
        // not fit the tables (42, but for missing rights): trying again changes nothing.
        let is_final = self.is_of_class(&["21", "22", "23", "XX001", "XX002", "42"])
            && !self.is_of_class(&["42501"]);
        if is_final {
            StoreError::Corrupt(why)
        } else {
            StoreError::Unavailable(why)
        }
    }

    fn tell_without_server(&self, error: &tokio_postgres::Error) -> StoreError {
        use std::error::Error as _;
        if error.is_closed() {
            return StoreError::Unavailable("the connection to PostgreSQL was lost".to_owned());
        }
        let why = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        // A value of a row that this program cannot hold.
        if why.starts_with("error deserializing") || why.starts_with("error serializing") {
            return StoreError::Corrupt(why);
        }
        StoreError::Unavailable(why)
    }
}
