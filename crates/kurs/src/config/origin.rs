//! Where a value came from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value came from, for messages and for `kurs config print`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of a configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
    },
    /// A file in the folder of credentials that systemd prepared.
    Credential(PathBuf),
    /// A variable in the `.env` file of the working folder.
    DotEnv(String),
    /// An environment variable.
    Environment(String),
    /// A setting of this key that was made while kurs ran.
    Stored(Arc<str>),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Credential(path) => write!(formatter, "credential {}", path.display()),
            Self::DotEnv(name) => write!(formatter, ".env {name}"),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::Stored(key) => write!(formatter, "setting {key}"),
            Self::Flag(name) => write!(formatter, "flag {name}"),
        }
    }
}
