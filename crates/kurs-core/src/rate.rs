//! What kurs publishes.

use crate::pair::Pair;
use crate::price::Price;
use crate::source::{SourceId, SourceState};
use crate::time::Wall;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// May this rate be used? Only `fresh` may be used blindly.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RateState {
    /// Within its validity.
    Fresh,
    /// Past its validity; the value is the last one known.
    Stale,
    /// Within its validity, but contradicted by other evidence.
    Suspect,
    /// No source gives it any more.
    Halted,
}

impl RateState {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Suspect => "suspect",
            Self::Halted => "halted",
        }
    }
}

/// One market on the way from base to quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// The market as its source quotes it.
    pub pair: Pair,
    /// Who quotes it.
    pub source: SourceId,
    /// The price used, in the market's own direction.
    pub value: Price,
    /// True when the way goes from the market's quote to its base: 1 / value was used.
    pub inverted: bool,
    /// When it was observed.
    pub observed_at: Wall,
    /// Until when it is valid.
    pub expires_at: Wall,
}

/// A source that was passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// The source.
    pub source: SourceId,
    /// Its state for this pair.
    pub state: SourceState,
    /// One short phrase for people.
    pub why: Arc<str>,
}

/// Why this source serves this pair at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The source in use.
    pub source: SourceId,
    /// Since when.
    pub since: Wall,
    /// One sentence for people: "kraken since 12:03:00Z: binance is stale".
    pub reason: Arc<str>,
    /// Better sources that are not used, best first.
    pub skipped: Vec<Skipped>,
}

/// The rate of one pair as published by the Writer. `value` units of the quote asset cost one
/// unit of the base asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The pair, canonical assets.
    pub pair: Pair,
    /// The fair price.
    pub value: Price,
    /// Best bid, if known on every leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Best ask, if known on every leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// Half-width of what the constituents support, in units of the quote asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Decimal>,
    /// The source of the leg that starts at the base asset.
    pub source: SourceId,
    /// State when published. Expiry is counted down by whoever holds the rate.
    pub state: RateState,
    /// The markets it is made of, from base to quote. `None`: the one market `pair` of `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legs: Option<Arc<[Leg]>>,
    /// When the oldest leg was observed.
    pub observed_at: Wall,
    /// When the Writer published it.
    pub published_at: Wall,
    /// How long from publishing it may be used as fresh. Counted on the holder's own monotonic
    /// clock, since two machines' wall clocks are never compared.
    pub valid_for: Duration,
    /// Why this source.
    pub choice: Arc<Choice>,
}

impl Rate {
    /// Until when it may be used as fresh, on the Writer's wall clock. For display.
    #[must_use]
    pub fn expires_at(&self) -> Wall {
        self.published_at.plus(self.valid_for)
    }

    /// True when the price is one source's own, not computed over several markets.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.legs.is_none()
    }

    /// The markets it is made of, from base to quote.
    #[must_use]
    pub fn legs(&self) -> std::borrow::Cow<'_, [Leg]> {
        match &self.legs {
            Some(legs) => std::borrow::Cow::Borrowed(legs),
            None => std::borrow::Cow::Owned(vec![Leg {
                pair: self.pair,
                source: self.source,
                value: self.value,
                inverted: false,
                observed_at: self.observed_at,
                expires_at: self.expires_at(),
            }]),
        }
    }
}
