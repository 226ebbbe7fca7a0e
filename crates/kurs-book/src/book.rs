//! The levels of an order book.

mod ladder;
mod leaves;

use crate::update::{Change, Side};
use kurs_core::{Depth, Level};
use ladder::Ladder;

/// The price levels of an order book, both sides sorted, every number with the digits that
/// the venue wrote.
#[derive(Debug, Clone)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
}

impl Book {
    /// A book without levels.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bids: Ladder::new(Side::Bid),
            asks: Ladder::new(Side::Ask),
        }
    }

    /// The highest bid.
    #[must_use]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best()
    }

    /// The lowest ask.
    #[must_use]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best()
    }

    /// The best levels, at most so many per side, best first.
    #[must_use]
    pub fn depth(&self, levels: usize) -> Depth {
        Depth {
            bids: self.bids().take(levels).collect(),
            asks: self.asks().take(levels).collect(),
        }
    }

    /// All bids, highest first.
    pub fn bids(&self) -> impl Iterator<Item = Level> {
        self.bids.iter()
    }

    /// All asks, lowest first.
    pub fn asks(&self) -> impl Iterator<Item = Level> {
        self.asks.iter()
    }

    /// Number of levels on one side.
    #[must_use]
    pub fn len(&self, side: Side) -> usize {
        match side {
            Side::Bid => self.bids.len(),
            Side::Ask => self.asks.len(),
        }
    }

    /// True when neither side has a level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bids.len() == 0 && self.asks.len() == 0
    }

    /// True when the best bid is not below the best ask: no market is like that for longer
    /// than a moment, so something is missing. A book without one of the sides is not crossed.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.best_bid(), self.best_ask()) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Gives a level its new size; zero removes it (as would a negative size, which no venue
    /// sends and codecs refuse). To remove a level that is not there is normal: it was beyond
    /// what the snapshot showed.
    #[inline]
    pub fn set(&mut self, change: &Change) {
        let level = Level {
            price: change.price,
            size: change.size,
        };
        match change.side {
            Side::Bid => self.bids.set(level),
            Side::Ask => self.asks.set(level),
        }
    }

    /// Forgets what lies beyond the best `depth` levels of each side.
    pub fn cut(&mut self, depth: usize) {
        self.bids.cut(depth);
        self.asks.cut(depth);
    }

    /// Forgets all levels, and keeps their memory for the next ones.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
