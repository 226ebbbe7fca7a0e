//! Who asks, and what they may do.

use crate::key::KeyId;
use crate::scope::{Scope, Scopes};
use kurs_core::Wall;
use std::sync::Arc;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Somebody who named neither a key nor a token.
    Anonymous,
    /// The holder of a key.
    Key(KeyId),
    /// The subject of a token.
    Token {
        /// Who says so.
        issuer: Arc<str>,
        /// Whom the issuer means.
        subject: Arc<str>,
    },
}

/// Who asks, what they may do, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who asks.
    pub who: Who,
    /// What they may do.
    pub scopes: Scopes,
    /// Not from this moment on; `None`: without an end.
    pub expires_at: Option<Wall>,
}

impl Caller {
    /// Somebody unknown, who may do this much.
    #[must_use]
    pub const fn anonymous(scopes: Scopes) -> Self {
        Self {
            who: Who::Anonymous,
            scopes,
            expires_at: None,
        }
    }

    /// True when nobody is known to ask.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.who == Who::Anonymous
    }

    /// True when they may do this.
    #[must_use]
    pub const fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// True when their time is over.
    #[must_use]
    pub fn is_expired(&self, now: Wall) -> bool {
        self.expires_at.is_some_and(|until| until <= now)
    }
}
