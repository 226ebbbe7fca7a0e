//! Where prices come from: the name, kind and state of a source.

use crate::text::ShortText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use thiserror::Error;

/// Name of a source: `binance`, `cbr`, `sim:binance` for the simulated venue, or
/// `replay:binance` for what it said in the past.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(ShortText<31>);

/// The text is not a source name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a source name has 1 to 31 of a-z, 0-9, dash, underscore and colon")]
pub struct SourceIdError;

/// Marks prices that a simulated venue made up.
pub const SIMULATED_PREFIX: &str = "sim:";

/// Marks prices of the past that are played again; it stands before every other mark.
pub const REPLAYED_PREFIX: &str = "replay:";

impl SourceId {
    /// Parses a source name. `coingeko`, a common misspelling in older clients, is CoinGecko.
    ///
    /// # Errors
    /// When a character or the length is not allowed.
    pub fn parse(text: &str) -> Result<Self, SourceIdError> {
        let lower = text.to_ascii_lowercase();
        let name = match lower.strip_prefix(SIMULATED_PREFIX) {
            Some("coingeko") => "sim:coingecko",
            None if lower == "coingeko" => "coingecko",
            _ => &lower,
        };
        ShortText::new(name, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':')
        })
        .map(Self)
        .ok_or(SourceIdError)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same source marked as simulated: `sim:binance` for `binance`.
    #[must_use]
    pub fn simulated(self) -> Self {
        if self.is_simulated() {
            return self;
        }
        Self::parse(&format!("{SIMULATED_PREFIX}{self}")).unwrap_or(self)
    }

    /// True for `sim:...`.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.as_str().starts_with(SIMULATED_PREFIX)
    }

    /// The same source marked as replayed: `replay:binance` for `binance`, `replay:sim:binance`
    /// for `sim:binance`. A name that leaves no room for the mark is cut.
    #[must_use]
    pub fn replayed(self) -> Self {
        if self.is_replayed() {
            return self;
        }
        let marked = format!("{REPLAYED_PREFIX}{self}");
        let most = marked.len().min(31);
        Self::parse(&marked[..most]).unwrap_or(self)
    }

    /// True for `replay:...`.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.as_str().starts_with(REPLAYED_PREFIX)
    }

    /// The name without the marks of a replay and of a simulated venue.
    #[must_use]
    pub fn plain(&self) -> &str {
        let name = self.as_str();
        let name = name.strip_prefix(REPLAYED_PREFIX).unwrap_or(name);
        name.strip_prefix(SIMULATED_PREFIX).unwrap_or(name)
    }
}

impl FromStr for SourceId {
    type Err = SourceIdError;

    fn from_str(text: &str) -> Result<Self, SourceIdError> {
        Self::parse(text)
    }
}

crate::short_text_traits!(SourceId, "^[a-z0-9_:-]{1,31}$");

/// What a source is, which decides how far its numbers can be trusted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Trades happen there; prices stream.
    Exchange,
    /// Blends other people's prices. Its values in anything but USD are its own cross rates.
    Aggregator,
    /// Fiat rates of a bank or a rate service, by timetable.
    Bank,
}

/// State of a source, or of one source's price for one pair.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Speaks, and what it says is within its limit of age.
    Live,
    /// Has spoken, but not recently enough.
    Stale,
    /// Connected, first data or a synced book still awaited.
    Syncing,
    /// Not reachable, refused, or judged unfit.
    Down,
}

impl SourceState {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Syncing => "syncing",
            Self::Down => "down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_spelling_of_coingecko_is_accepted() {
        assert_eq!(SourceId::parse("coingeko").unwrap().as_str(), "coingecko");
        assert_eq!(
            SourceId::parse("sim:coingeko").unwrap().as_str(),
            "sim:coingecko"
        );
    }

    #[test]
    fn simulated_sources_carry_their_mark() {
        let binance = SourceId::parse("Binance").unwrap();
        let simulated = binance.simulated();
        assert_eq!(simulated.as_str(), "sim:binance");
        assert_eq!(simulated.plain(), "binance");
        assert_eq!(simulated.simulated(), simulated);
        assert!(!binance.is_simulated());
    }

    #[test]
    fn replayed_sources_carry_their_mark_before_every_other() {
        let check = |name: &str, expect: &str, plain: &str| {
            let replayed = SourceId::parse(name).unwrap().replayed();
            assert_eq!((replayed.as_str(), replayed.plain()), (expect, plain));
            assert_eq!(replayed.replayed(), replayed);
            assert!(replayed.is_replayed());
        };
        check("binance", "replay:binance", "binance");
        check("sim:binance", "replay:sim:binance", "binance");
        // Rather a short name than one without its mark.
        check(
            "abcdefghijklmnopqrstuvwxyz12345",
            "replay:abcdefghijklmnopqrstuvwx",
            "abcdefghijklmnopqrstuvwx",
        );
    }

    #[test]
    fn bad_names_are_refused() {
        for text in ["", "a b", "ä", "x/y", "abcdefghijklmnopqrstuvwxyz1234567"] {
            assert!(SourceId::parse(text).is_err(), "{text:?}");
        }
    }
}
