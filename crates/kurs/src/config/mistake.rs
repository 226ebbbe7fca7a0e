//! What is wrong with a configuration, all of it in one message.

use super::origin::Origin;
use super::tree::show_path;
use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Key path as shown, such as `http.addr`; empty when it is about a whole file.
    pub key: String,
    /// What is wrong and what would be right. Never a secret.
    pub what: String,
    /// Where it was said.
    pub origin: Option<Origin>,
}

impl Mistake {
    /// A mistake in the value of a key.
    #[must_use]
    pub fn at(path: &[String], origin: &Origin, what: impl Into<String>) -> Self {
        Self {
            key: show_path(path),
            what: what.into(),
            origin: Some(origin.clone()),
        }
    }

    /// A mistake that belongs to no key.
    #[must_use]
    pub fn general(what: impl Into<String>) -> Self {
        Self {
            key: String::new(),
            what: what.into(),
            origin: None,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        // The place stands at the end of the first line; lines below show what was written.
        let (what, shown) = self
            .what
            .split_at(self.what.find('\n').unwrap_or(self.what.len()));
        formatter.write_str(what)?;
        match &self.origin {
            None | Some(Origin::Default) => {}
            Some(origin) => write!(formatter, " ({origin})")?,
        }
        formatter.write_str(shown)
    }
}

/// Everything that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => formatter.write_str("the configuration has a mistake:")?,
            count => write!(formatter, "the configuration has {count} mistakes:")?,
        }
        for mistake in &self.0 {
            write!(formatter, "\n  - {mistake}")?;
        }
        Ok(())
    }
}
