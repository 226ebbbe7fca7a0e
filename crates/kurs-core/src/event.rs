//! What sources say, in our words. Symbols and wire formats never get past kurs-sources.

use crate::depth::{Depth, Sizes};
use crate::pair::Pair;
use crate::price::{Price, PriceError};
use crate::source::{SourceId, SourceState};
use crate::time::{Now, Wall};
use std::sync::Arc;
use std::time::Duration;

/// A price as one source gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// Best bid and ask; never crossed.
    Sides {
        /// Best price somebody buys at.
        bid: Price,
        /// Best price somebody sells at.
        ask: Price,
    },
    /// One number, from a source that gives no sides.
    Single(Price),
}

impl Quote {
    /// Best bid and ask of a book.
    ///
    /// # Errors
    /// [`CrossedQuote`] when the bid is not below the ask: such a book has no price.
    pub fn sides(bid: Price, ask: Price) -> Result<Self, CrossedQuote> {
        if bid < ask {
            Ok(Self::Sides { bid, ask })
        } else {
            Err(CrossedQuote)
        }
    }

    /// The fair price: the middle of the sides, or the one number.
    ///
    /// # Errors
    /// As those of [`Price::mid`].
    pub fn value(&self) -> Result<Price, PriceError> {
        match *self {
            Self::Sides { bid, ask } => Price::mid(bid, ask),
            Self::Single(value) => Ok(value),
        }
    }

    /// The bid, if sides are known.
    #[must_use]
    pub const fn bid(&self) -> Option<Price> {
        match *self {
            Self::Sides { bid, .. } => Some(bid),
            Self::Single(_) => None,
        }
    }

    /// The ask, if sides are known.
    #[must_use]
    pub const fn ask(&self) -> Option<Price> {
        match *self {
            Self::Sides { ask, .. } => Some(ask),
            Self::Single(_) => None,
        }
    }
}

/// Bid at or above ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bid is not below the ask")]
pub struct CrossedQuote;

/// One source's ready-made price for one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The pair, under its canonical assets.
    pub pair: Pair,
    /// The price.
    pub quote: Quote,
    /// What is offered at the best bid and ask, if the source says.
    pub sizes: Option<Sizes>,
    /// When the source says it was true; `None` when it does not say.
    pub observed_at: Option<Wall>,
    /// How long after receipt the price may be used as fresh.
    pub valid_for: Duration,
    /// The source's own id of this change, rising per pair; `None` when it has none.
    pub event_id: Option<u64>,
}

/// Something a source said or did.
#[derive(Debug, Clone)]
pub struct SourceEvent {
    /// Who.
    pub source: SourceId,
    /// When the bytes arrived here.
    pub received: Now,
    /// What.
    pub kind: EventKind,
}

/// The reason given for a price whose market is not followed any more.
pub const NOT_TRACKED: &str = "not tracked any more";

/// Kinds of [`SourceEvent`].
#[derive(Debug, Clone)]
pub enum EventKind {
    /// A price of one pair.
    Tick(Tick),
    /// A whole table of prices, as polled sources give; pairs absent from it keep what they had.
    Table(Arc<[Tick]>),
    /// The best levels of a book that pricing looks into, at most a few times a second.
    Depth {
        /// The pair.
        pair: Pair,
        /// The levels; `None` when the book is not readable any more.
        depth: Option<Arc<Depth>>,
        /// How long after receipt they may be used as fresh.
        valid_for: Duration,
    },
    /// A trade, which proves the stream alive and dates it.
    Trade {
        /// The pair.
        pair: Pair,
        /// Price of the trade.
        price: Price,
        /// When the venue says it happened.
        traded_at: Wall,
    },
    /// The source can no longer vouch for one pair (silent stream, refused subscription,
    /// contradictory data) or can again.
    PairState {
        /// The pair.
        pair: Pair,
        /// Its state from now on; [`SourceState::Live`] merely lifts an earlier mark.
        state: SourceState,
        /// One short phrase for people.
        why: Arc<str>,
    },
    /// The source as a whole changed state.
    State {
        /// Its state from now on. `Down` takes all its streamed prices out at once; polled
        /// prices stay until they expire.
        state: SourceState,
        /// One short phrase for people.
        why: Arc<str>,
    },
    /// The source no longer follows this pair: forget its price.
    Untracked(Pair),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossed_or_touching_quote_is_refused() {
        let price = |text| Price::parse(text).unwrap();
        assert_eq!(Quote::sides(price("101"), price("100")), Err(CrossedQuote));
        assert_eq!(
            Quote::sides(price("100"), price("100.00")),
            Err(CrossedQuote)
        );
        let quote = Quote::sides(price("100.00"), price("100.10")).unwrap();
        assert_eq!(quote.value().unwrap().to_string(), "100.05");
    }
}
