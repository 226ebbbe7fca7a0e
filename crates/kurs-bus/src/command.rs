//! What Readers ask of the Writer.

use crate::book::BookState;
use kurs_core::{Pair, SourceId, TrackedSymbol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who wants a change, for the audit log. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// `key:ID`, `token:ISSUER/SUBJECT`, `loopback` or `configuration`.
    pub who: Arc<str>,
    /// The network address that it came from, if it came over a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Arc<str>>,
    /// What for, in the words of whoever wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
}

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
        /// Who wants it; earlier versions do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<Actor>>,
    },
    /// Stop following this symbol.
    Untrack {
        /// As asked for, upper case.
        symbol: Arc<str>,
        /// Who wants it; earlier versions do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<Actor>>,
    },
    /// Change settings, all of these or none.
    Change {
        /// Values by key, such as `sources.binance.enabled`; without one the key is not set any
        /// more.
        changes: BTreeMap<String, Option<Value>>,
        /// Only if the settings have this version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
        /// Who wants it.
        by: Box<Actor>,
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

/// One thing that is wrong with a change of settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeMistake {
    /// The key of the configuration that it is about; empty when it is about the whole.
    pub key: Arc<str>,
    /// One sentence for people.
    pub what: Arc<str>,
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
    /// The settings are as was wanted, stored durably.
    Changed {
        /// The version that they have.
        version: u64,
        /// False when they were so before.
        changed: bool,
    },
    /// The change cannot be made, and nothing was changed.
    Refused {
        /// Everything that is wrong with it.
        mistakes: Vec<ChangeMistake>,
    },
    /// The settings have another version than the change was for; nothing was changed.
    Outdated {
        /// The version that they have.
        version: u64,
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
