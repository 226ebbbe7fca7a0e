//! What Readers ask of the Writer.

use crate::book::BookState;
use kurs_core::{Pair, SourceId, TrackedSymbol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Asks for a change, or for what only the Writer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Show the order book of this source and pair.
    Book {
        /// Whose.
        source: SourceId,
        /// The market, canonical assets.
        pair: Pair,
        /// Levels per side, at most [`crate::book::LEVELS_MAX`].
        #[schemars(
            description = "Levels per side.",
            range(min = 1, max = crate::book::LEVELS_MAX)
        )]
        levels: u16,
    },
}

/// The Writer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The book, in step with its venue.
    Book(Box<BookState>),
    /// The source follows the pair, but its book cannot be read at present.
    BookNotReady {
        /// One phrase for people.
        why: Arc<str>,
    },
    /// There is no such book: the source is not there, keeps none, or does not follow the pair.
    NoBook {
        /// True when the source itself is unknown.
        unknown_source: bool,
        /// One sentence for people.
        why: Arc<str>,
    },
}
