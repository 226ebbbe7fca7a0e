//! How the program ends.

use std::fmt;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// Not allowed.
    Auth = 4,
    /// The server cannot be reached, or has no usable value yet.
    Unavailable = 5,
    /// The value is not fresh, and `--require fresh` was given.
    Stale = 6,
    /// Ended by Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The code for the operating system.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What an HTTP status means for a command.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=399 => Self::Ok,
            400 | 405 | 406 | 413 | 414 | 415 | 422 => Self::Usage,
            401 | 403 => Self::Auth,
            404 => Self::NotFound,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Failure,
        }
    }
}

/// Why a command did not do what it was asked: a sentence for people and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Said on standard error; empty when everything was said already.
    pub message: String,
}

impl Failure {
    /// A failure with its exit code.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// A failure about which all was said.
    #[must_use]
    pub const fn silent(exit: Exit) -> Self {
        Self {
            exit,
            message: String::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // A reader that has seen enough (`kurs history | head`) is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::silent(Exit::Ok);
        }
        Self::new(Exit::Failure, error.to_string())
    }
}

impl From<crate::config::Mistakes> for Failure {
    fn from(mistakes: crate::config::Mistakes) -> Self {
        Self::new(Exit::Usage, mistakes.to_string())
    }
}
