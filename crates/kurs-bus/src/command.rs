//! What Readers ask of the Writer.

use kurs_core::{Pair, TrackedSymbol};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Asks for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Command {
    /// Follow this symbol. The Writer asks the venues whether they list it.
    Track {
        /// As asked for, upper case.
        symbol: Arc<str>,
        /// The pair it means.
        pair: Pair,
    },
    /// Stop following this symbol.
    Untrack {
        /// As asked for, upper case.
        symbol: Arc<str>,
    },
}

/// The Writer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    /// It is tracked now and stored durably.
    Tracked {
        /// The symbol.
        symbol: TrackedSymbol,
        /// False when it was tracked before.
        created: bool,
    },
    /// It is not tracked any more.
    Untracked {
        /// False when it was not tracked before.
        existed: bool,
    },
    /// No enabled streaming venue lists it.
    NotListed {
        /// One sentence for people.
        why: Arc<str>,
    },
    /// Cannot be done at present; nothing was changed.
    Unavailable {
        /// One sentence for people.
        why: Arc<str>,
    },
}
