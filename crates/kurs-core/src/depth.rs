//! The best levels of an order book, as they go from a source to pricing and to answers.

use crate::price::Price;
use rust_decimal::Decimal;

/// One price level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Quote asset per base asset.
    pub price: Price,
    /// What is offered there, in base asset; greater than zero.
    pub size: Decimal,
}

/// The best levels of a synced book, best first on both sides. Neither side is empty and the
/// best bid is below the best ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Buyers, highest first.
    pub bids: Box<[Level]>,
    /// Sellers, lowest first.
    pub asks: Box<[Level]>,
}

/// What is offered at the best bid and the best ask, in base asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// At the best bid.
    pub bid: Decimal,
    /// At the best ask.
    pub ask: Decimal,
}
